"""Accounts: who may sign, by what householders were answered, and what each store knew when, and in the end.

Four promises. An acknowledged operation is part of its account's chain, and in the end every node has the
chain of every account that its register has, and every handle is one account's. A gate goes by what its
store knows: it takes no post of a key that cannot sign by it, and refuses none of a key that can. And a post
whose key had been revoked before it was sent, and which a gate took that could not know, is labelled in the
end; no other is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from folkmoot.node.accounts.key_gate import REVOKED_LABEL
from folkmoot.node.registers.accounts import ACCOUNT
from folkmoot.node.simulation.checkers.verdict import Evidence, HeldCells, Inquiry, Verdict
from folkmoot.node.simulation.history import History
from folkmoot.node.simulation.key_history import Answer, DevicePost
from folkmoot.node.simulation.key_watch import KeyWatch, chains_on
from folkmoot.node.simulation.ownership import registers_held
from folkmoot.protocol.accounts.actions import SetHandle
from folkmoot.protocol.accounts.chain import Chain, Entry
from folkmoot.protocol.accounts.handle import register_name
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.moderation.label import KIND as LABEL
from folkmoot.protocol.moderation.label import label_item
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.storage.interface import Table

KNOWN_S_MAX: Final = 60.0
EXCUSED_BY_CLOCK: Final = "by_its_clock"
EXCUSED_BY_DISK: Final = "lost_its_disk"
EXCUSED_BY_BOOT: Final = "forgot_at_boot"

Chains = Mapping[bytes, Chain]
"""By account: as the registers hold them."""


class Late(NamedTuple):
    """A post that was taken although its key had been revoked before it was sent.

    Args:
        post: as it was answered.
        entry: that revoked the key.
    """

    post: DevicePost
    entry: Entry


def check(evidence: Evidence) -> Verdict:
    """Judge all of it."""
    inquiry = Inquiry("keys")
    history, watch = evidence.history, evidence.witness.keys
    chains = decided(evidence.held)
    _compare_changes(inquiry, history, chains)
    if history.key_changes or chains:
        _compare_stores(inquiry, evidence, chains)
    _compare_handles(inquiry, chains)
    for post in history.device_posts:
        _compare_answer(inquiry, watch, post)
    facts = _compare_labels(inquiry, evidence, chains)
    return inquiry.verdict({"changes": len(history.key_changes), **facts})


def known_everywhere(held: Sequence[HeldCells]) -> bool:
    """Whether every node has the chain of every account, as it is in its register."""
    wanted = {account: chain.encode() for account, chain in decided(held).items()}
    return all({of: chain.encode() for of, chain in chains_on(each.engine)} == wanted for each in held)


def unlabelled(
    history: History,
    watch: KeyWatch,
    held: Sequence[HeldCells],
    ranges: RangeMap,
    services: Mapping[str, bytes],
) -> list[DevicePost]:
    """The posts that are still to be labelled.

    Args:
        held: what the nodes hold.
        ranges: who should hold what.
        services: the account that each node signs labels with.
    """
    late = _late(history, decided(held))
    return [
        each.post
        for each in late
        if _excuse(each, watch) is None
        and not _is_labelled(each.post, held, ranges, services[each.post.gate])
    ]


def decided(held: Sequence[HeldCells]) -> dict[bytes, Chain]:
    """The chains of all accounts, as the seats hold them; those that nothing was ever done to have none."""
    bodies = registers_held({each.node_id: each.engine for each in held}, ACCOUNT)
    found = {bytes.fromhex(name.removeprefix(ACCOUNT)): body for name, body in bodies.items()}
    return {account: Chain.decode(account, body) for account, body in found.items()}


def _compare_changes(inquiry: Inquiry, history: History, chains: Chains) -> None:
    """What was acknowledged has been done."""
    for change in history.key_changes:
        operation = change.operation
        chain = chains.get(operation.account)
        if inquiry.fails(chain is not None and operation.hash in chain.hashes):
            inquiry.complain(
                f"{operation} on {operation.account.hex()} was acknowledged at {change.at_s:.3f} s and is "
                "not in the account's register"
            )


def _compare_stores(inquiry: Inquiry, evidence: Evidence, chains: Chains) -> None:
    """Every node knows of all that was done, and of nothing else; the index of handles fits."""
    known_s = evidence.quiet.known_s
    if inquiry.fails(known_s is not None and known_s <= KNOWN_S_MAX):
        told = "never" if known_s is None else f"after {known_s:.0f} s"
        inquiry.complain(f"{told} did all nodes know all accounts, and label what they should not have taken")
    for held in evidence.held:
        known = dict(chains_on(held.engine))
        for account in sorted({*chains, *known}):
            one, other = chains.get(account), known.get(account)
            same = one is not None and other is not None and one.encode() == other.encode()
            if inquiry.fails(same):
                inquiry.complain(
                    f"{held.name} has {_told(other)} of {account.hex()}, and its register {_told(one)}"
                )
        if inquiry.fails(_handles_on(held) == {_index_key(chain) for chain in known.values()} - {None}):
            inquiry.complain(f"the index of handles of {held.name} is not what its chains come to")


def _compare_handles(inquiry: Inquiry, chains: Chains) -> None:
    """A handle, with all that looks like it, was one account's in a run: no run is as long as the time that a
    handle which was given up is kept from others."""
    holders: dict[str, dict[bytes, str]] = {}
    for account, chain in chains.items():
        for entry in chain.entries:
            action = entry.operation.action
            if isinstance(action, SetHandle) and action.handle is not None:
                holders.setdefault(register_name(action.handle), {})[account] = action.handle
    for accounts in holders.values():
        if inquiry.fails(len(accounts) == 1):
            named = " and ".join(f"{account.hex()} {handle!r}" for account, handle in accounts.items())
            inquiry.complain(f"accounts had handles that are the same, or look it: {named}")


def _compare_answer(inquiry: Inquiry, watch: KeyWatch, post: DevicePost) -> None:
    """A gate's answer is what its store said of the key at some time between question and answer."""
    record = post.record
    states = watch.states(post.gate, record.author, post.sent_s, post.at_s)
    wanted = post.answer is Answer.KEPT
    if inquiry.fails(any(state.may_sign(record.device) is wanted for state in states)):
        did = "took" if wanted else "refused as revoked"
        knew = "cannot sign, as it knew" if wanted else "can sign, as it knew"
        inquiry.complain(
            f"{post.gate} {did} post {record.item.hex()} of a key that {knew} from {post.sent_s:.3f} s, when "
            f"it was sent, to {post.at_s:.3f} s"
        )


def _compare_labels(inquiry: Inquiry, evidence: Evidence, chains: Chains) -> dict[str, int]:
    """Posts that were taken too late are labelled, and those that were not are not; how many were."""
    history, watch = evidence.history, evidence.witness.keys
    counts = Counter({"late": 0})
    for each in _late(history, chains):
        counts["late"] += 1
        post = each.post
        if excuse := _excuse(each, watch):
            counts[excuse] += 1
        elif inquiry.fails(_is_labelled(post, evidence.held, evidence.ranges, evidence.services[post.gate])):
            inquiry.complain(
                f"post {post.record.item.hex()}, which {post.gate} took at {post.at_s:.3f} s, is not "
                f"labelled, and operation {each.entry.operation.number} had revoked its key"
            )
    for post in _early(history, chains):
        counts["early"] += 1
        service = evidence.services[post.gate]
        if inquiry.fails(not _is_labelled(post, evidence.held, evidence.ranges, service)):
            inquiry.complain(
                f"{post.gate} labelled post {post.record.item.hex()}, which it had taken at "
                f"{post.at_s:.3f} s, before anybody asked to have its key revoked"
            )
    return dict(counts)


def _late(history: History, chains: Chains) -> Iterator[Late]:
    """What was taken although the revocation of its key had been acknowledged before it was sent."""
    acknowledged_s: dict[bytes, float] = {}
    for change in history.key_changes:
        acknowledged_s.setdefault(change.operation.hash, change.at_s)
    for post in history.device_posts:
        entry = _revocation(post, chains)
        if post.answer is not Answer.KEPT or entry is None:
            continue
        if acknowledged_s.get(entry.operation.hash, post.sent_s) < post.sent_s:
            yield Late(post, entry)


def _early(history: History, chains: Chains) -> Iterator[DevicePost]:
    """What was taken before anybody asked to have its key revoked, and by no clock after that."""
    asked_s = {change.operation.hash: change.sent_s for change in history.key_changes}
    for post in history.device_posts:
        entry = _revocation(post, chains)
        if post.answer is not Answer.KEPT or not post.first:
            continue
        if entry is None or (
            post.at_s < asked_s.get(entry.operation.hash, 0.0) and max(post.wall_us) < entry.decided_us
        ):
            yield post


def _revocation(post: DevicePost, chains: Chains) -> Entry | None:
    """The entry that revoked the key of a post; None while it may sign, or never could."""
    chain = chains.get(post.record.author)
    held = None if chain is None else chain.state.keys.get(post.record.device)
    if chain is None or held is None or held.revoked is None:
        return None
    return chain.entries[held.revoked - 1]


def _excuse(late: Late, watch: KeyWatch) -> str | None:
    """Why a post need not be labelled; None if it must.

    By its clock the gate took it before the key was revoked, by that of who had that decided; or it has lost
    the disk that its note was on; or it was started again, between the post and its hearing of the
    revocation, while the note was in memory only, since the gate was not cut off.
    """
    post, entry = late
    if min(post.wall_us) < entry.decided_us:
        return EXCUSED_BY_CLOCK
    if watch.was_exchanged(post.gate, post.sent_s):
        return EXCUSED_BY_DISK
    learned_s = watch.learned_s(post.gate, post.record.author, post.record.device, post.sent_s)
    until_s = float("inf") if learned_s is None else learned_s
    if not watch.has_noted(post.gate, post.record.id) and watch.was_booted(post.gate, post.sent_s, until_s):
        return EXCUSED_BY_BOOT
    return None


def _is_labelled(post: DevicePost, held: Sequence[HeldCells], ranges: RangeMap, service: bytes) -> bool:
    """Whether all replicas hold the gate's label on this version of a post."""
    record = post.record
    key = cell_key(record.author, LABEL, label_item(record.item, REVOKED_LABEL, service))
    replicas = [each for each in held if each.node_id in ranges.lookup(key).nodes()]
    return bool(replicas) and all(_says(each.cells.get(key), record.id) for each in replicas)


def _says(cell: bytes | None, subject: bytes) -> bool:
    records = [] if cell is None else Cell.decode(cell).records()
    return any(each.body.get("subject_id") == subject and not each.body.get("negated") for each in records)


def _handles_on(held: HeldCells) -> set[bytes]:
    with held.engine.begin() as transaction:
        return {key for key, _ in transaction.scan(Table.HANDLES)}


def _index_key(chain: Chain) -> bytes | None:
    handle = chain.state.handle
    return None if handle is None else register_name(handle).encode() + chain.account


def _told(chain: Chain | None) -> str:
    if chain is None or chain.state.head is None:
        return "nothing"
    return f"{chain.number} operations up to {chain.state.head.hex()[:12]}"
