"""`policy.reverse`: what a policy decided by itself is taken back, once it is no longer in force.

What it labelled and had wait is found all over the cluster. Left as they are: posts that people have decided
about since, for no policy overrules a person; what the policy now in force says as well; and what is gone.
The rest is taken back by the node whose gate said it, since nobody else can sign for it: each signs only for
itself, and only against a policy it does not judge by. Going over it again does nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, NamedTuple, Protocol

import trio
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import EpochCheck, Peers, PeerUnreachable, Put, PutResult
from folkmoot.node.moderation.casebook import Case, Casebook
from folkmoot.node.moderation.deciders import Deciders
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.methods import Coordination, Keys
from folkmoot.node.moderation.submissions import Submission, texts_of
from folkmoot.node.slice_search import Around, SliceAsked, SliceSearch
from folkmoot.protocol import codec, limits
from folkmoot.protocol.community.value import Hash
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    CONFLICT,
    FORBIDDEN,
    LEVEL_UNREACHABLE,
    UNAUTHENTICATED,
    WireError,
)
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import KIND_AT, cell_key
from folkmoot.protocol.moderation.bounds import REVERSAL_LOOK_S, REVERSAL_SIGN_S
from folkmoot.protocol.moderation.compensation import Statement, statement_in, taken_back
from folkmoot.protocol.moderation.decision import Role
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.moderation.verdict import Action, combine
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.roster import Roster
from folkmoot.storage.automatic import KIND_OF, Sort, decided_by
from folkmoot.storage.slices import Slice
from folkmoot.storage.store import Store
from msgspec import Meta, Struct

SEARCH: Final = "replica.automatic"
TAKE_BACK: Final = "policy.take_back"

_LEVEL: Final[Level] = "quorum"
_SORTS: Final[tuple[Sort, ...]] = ("labels", "holds")

Frame = Annotated[list[bytes], Meta(min_length=2, max_length=2)]


class _Asked(SliceAsked):
    """`replica.automatic`: what nodes said because of a policy."""

    policy: Annotated[str, Meta(max_length=64)]
    what: Sort


class _TakeBack(Struct):
    """`policy.take_back`, and its answer: a record as `[payload, signature]`."""

    record: Frame


class _Reverse(Struct):
    """`policy.reverse`: which policy's decisions, from where on."""

    hash: Hash
    cursor: Annotated[bytes, Meta(max_length=1 + limits.STORE_KEY_BYTES)] | None = None
    dry_run: bool = False


class Gate(Protocol):
    """What this node judges by."""

    @property
    def judges_by(self) -> Collection[str]: ...


class Members(Protocol):
    """Who is a member."""

    @property
    def roster(self) -> Roster | None: ...


class Mine(NamedTuple):
    """What a node needs to take back what it said itself.

    Args:
        service: its key pair.
        gate: what it judges by.
    """

    service: KeyPair
    gate: Gate

    def take_back(self, record: Record) -> Record:
        """See `compensation.taken_back`.

        Raises:
            WireError: `conflict`, besides: the policy is in force here.
        """
        said = statement_in(record)
        if said is not None and said.policy in self.gate.judges_by:
            raise WireError(CONFLICT, "that policy is in force here: roll it back first")
        return taken_back(record, self.service)


class _Step(NamedTuple):
    """One answer's share of the work.

    Args:
        ends: when it is over, on trio's clock.
        dry_run: whether nothing is taken back.
        coordination, keys: bring records to where they belong, and tell which keys were revoked.
        engines: the policy in force, by regions that it was asked for in.
    """

    ends: float
    dry_run: bool
    coordination: Coordination
    keys: Keys
    engines: dict[str, PolicyEngine]


class Reversal:
    """See the module.

    Args:
        around: see `slice_search`.
        store: this node's.
        casebook: what is known of posts.
        members: who is a member, and by which account its gate speaks.
        peers: see `contracts`.
        mine: what this node said itself.
        judges: the policy in force for most accounts, as it is in a region.
        wall_us: the wall clock, microseconds since 1970.
    """

    def __init__(
        self,
        around: Around,
        store: Store,
        casebook: Casebook,
        members: Members,
        peers: Peers,
        mine: Mine,
        judges: Callable[[str], Awaitable[PolicyEngine]],
        wall_us: Callable[[], int],
    ) -> None:
        self._search = SliceSearch(
            *(around, SEARCH, _Asked, partial(_searched, store)),
            lambda asked, key: key[KIND_AT] == KIND_OF[asked.what],
        )
        self._casebook = casebook
        self._topology = around.topology
        self._members = members
        self._peers = peers
        self._mine = mine
        self._judges = judges
        self._wall_us = wall_us

    def peer_methods(self, epochs: EpochCheck) -> Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {**self._search.peer_methods(epochs), TAKE_BACK: self._take_back}

    def client_methods(
        self, deciders: Deciders, coordination: Coordination, keys: Keys
    ) -> Mapping[str, Method]:
        """What clients may ask, by name."""

        async def reverse(asker: Asker, params: Params) -> dict[str, Any]:
            """Take back what a policy decided, as far as one step goes."""
            if asker.account is None:
                raise WireError(UNAUTHENTICATED, "reversals are for operators: send auth first")
            if Role.OPERATOR not in deciders.roles_of(asker.account):
                raise WireError(FORBIDDEN, "reversals are for operators, and this account is none")
            asked = codec.shaped(params, _Reverse, "policy.reverse")
            if not asked.dry_run and asked.hash.hex() in self._mine.gate.judges_by:
                raise WireError(CONFLICT, "that policy is in force: roll it back first")
            return await self._step(asked, coordination, keys)

        return {"policy.reverse": reverse}

    async def _take_back(self, node_id: bytes, params: Any) -> dict[str, Any]:
        asked = codec.shaped(params, _TakeBack, TAKE_BACK)
        record = Record.from_wire(asked.record)
        record.verify()
        return {"record": self._mine.take_back(record).to_wire()}

    async def _step(self, asked: _Reverse, coordination: Coordination, keys: Keys) -> dict[str, Any]:
        """Go through the key space from a cursor on, for a bounded time; labels first, then what waits."""
        number, start = (0, b"") if asked.cursor is None else (asked.cursor[0], asked.cursor[1:])
        if number >= len(_SORTS):
            raise WireError(BAD_REQUEST, "this is no cursor of policy.reverse")
        counts: Counter[str] = Counter()
        resume: bytes | None = start
        step = _Step(trio.current_time() + REVERSAL_LOOK_S, asked.dry_run, coordination, keys, {})
        while resume is not None and trio.current_time() < step.ends:
            try:
                found, owner = await self._search.find(
                    _LEVEL, resume, policy=asked.hash.hex(), what=_SORTS[number]
                )
            except WireError as error:
                if error.kind is not LEVEL_UNREACHABLE:
                    raise
                counts["missing"] += 1
                owner = self._topology.where(resume)
                resume = owner.end or None
            else:
                done = await self._all(found.keys, step, counts)
                resume = done or found.resume or owner.end or None
            if resume is None and number + 1 < len(_SORTS):
                number, resume = number + 1, b""
        cursor = None if resume is None else bytes((number,)) + resume
        return {"counts": dict(counts), "cursor": cursor, "progress": _progress(number, resume)}

    async def _all(self, keys: Sequence[bytes], step: _Step, counts: Counter[str]) -> bytes | None:
        """Take back what is said at some keys; where to go on when there was no time for all of it.

        The first is taken back however late it is, so that each step gets on even where a replica hangs.
        """
        late = False
        for key, record in (await self._casebook.records(keys, _LEVEL)).items():
            if late:
                return key
            counts[await self._one(record, step)] += 1
            late = trio.current_time() >= step.ends
        return None

    async def _one(self, record: Record, step: _Step) -> str:
        """What became of one statement, in a word."""
        said = statement_in(record)
        if said is None:
            return "gone"
        case = await self._case(record, said)
        if (stays := await self._stays(case, record, said, step.engines)) is not None:
            return stays
        waits = None if isinstance(said, Label) else case.waiting
        if waits is not None and step.keys.refusal(waits.author, waits.device) is not None:
            return "revoked"
        word = "labels" if isinstance(said, Label) else "holds"
        if step.dry_run:
            return word
        try:
            undone = await self._undone(record)
        except (WireError, PeerUnreachable):
            return "unreachable"
        if not await _put(step.coordination, undone):
            return "uncertain"
        if waits is None:
            return word
        await step.keys.take([waits])
        return word if await _put(step.coordination, waits) else "uncertain"

    async def _case(self, record: Record, said: Statement) -> Case:
        kind, item = ("post", said.post_item) if isinstance(said, Label) else said.subject
        return await self._casebook.case(cell_key(record.place, kind, item), _LEVEL)

    async def _stays(
        self, case: Case, record: Record, said: Statement, engines: dict[str, PolicyEngine]
    ) -> str | None:
        """Why a statement is left as it is, in a word; None when it is to be taken back."""
        is_label = isinstance(said, Label)
        version_id = said.subject_id if isinstance(said, Label) else said.version
        if is_label and (case.own is None or case.own.taken_back):
            return "gone"
        if not is_label and (case.waiting is None or case.waiting.id != version_id):
            return "settled"
        if any(not each.is_automatic for each in case.outcome.in_force):
            return "people"
        version = case.versions().get(version_id)
        if version is None or said.policy in self._mine.gate.judges_by:
            # Edited so often that nobody can judge it again; or counted before the policy is rolled back.
            return None
        # The node that said it would say so by the policy as it is in its own region.
        region = self._region_of(record.author)
        if region not in engines:
            engines[region] = await self._judges(region)
        verdict = self._judged(engines[region], version)
        same = said.value in verdict.labels if isinstance(said, Label) else verdict.action >= Action.HOLD
        return "same" if same else None

    def _region_of(self, service: bytes) -> str:
        """Where the node stands that speaks by an account; nowhere if there is none any more."""
        roster = self._members.roster
        members = () if roster is None else roster.nodes
        return next((each.region for each in members if each.service_account == service), "")

    def _judged(self, engine: PolicyEngine, version: Record) -> _Said:
        """What a policy says of a version now, without how fast it came."""
        findings = engine.findings(Submission(texts_of(version) or (), version), self._wall_us())
        verdict = combine(engine.document.hash, findings)
        return _Said(verdict.action, frozenset(str(each.label) for each in verdict.labels))

    async def _undone(self, record: Record) -> Record:
        """The record that takes another back, signed by the node that said it.

        Raises:
            WireError: it refuses to.
            PeerUnreachable: it is not to be had.
        """
        if record.author == self._mine.service.account:
            return self._mine.take_back(record)
        roster = self._members.roster
        members = () if roster is None else roster.nodes
        signer = next((each.node_id for each in members if each.service_account == record.author), None)
        if signer is None:
            raise PeerUnreachable("the node that said it is no member any more")
        answer = await self._peers.call(signer, TAKE_BACK, {"record": record.to_wire()}, REVERSAL_SIGN_S)
        undone = Record.from_wire(codec.shaped(answer, _TakeBack, TAKE_BACK).record)
        undone.verify()
        if undone.author != record.author or undone.place != record.place:
            raise WireError(BAD_REQUEST, "a node took back something else")
        return undone


def _progress(number: int, resume: bytes | None) -> float:
    """How far it is, 0 to 1: places are spread evenly over the key space."""
    if resume is None:
        return 1.0
    return (number + int.from_bytes(resume[:4].ljust(4, b"\0"), "big") / 2**32) / len(_SORTS)


class _Said(NamedTuple):
    action: Action
    labels: frozenset[str]


async def _put(coordination: Coordination, record: Record) -> bool:
    """Bring a record to a quorum; whether it is there."""
    results: dict[int, PutResult] = {}
    await coordination.put([Put(record)], _LEVEL, results.update)
    return results[0].status in ("stored", "duplicate")


def _searched(store: Store, asked: _Asked) -> Slice:
    return decided_by(store.engine, asked.start, asked.stop, asked.policy, asked.what)
