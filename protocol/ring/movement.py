"""Moving a slot from one node to another without losing a write: which step comes next.

A slot of C that is to be D's goes through four descriptors of its range, each one epoch later:

    (C)     C has the slot.
    (C, D)  both have to acknowledge, reads go to C. Once older epochs are fenced, D copies from C.
    (D, C)  both have to acknowledge, reads go to D. Once older epochs are fenced, nobody reads at C any more.
    (D)     D has the slot. C pushes what is left there to the others, then erases it (not a step of this).

Two epochs must never both form quorums, so before the next descriptor is proposed older ones are *fenced* by
the donor, by the recipient, and by so many others that the rest is no majority: neither of all slots nor,
because of `local_quorum`, of a region's. A copy counts when it began after that: whatever C acknowledged
alone, it acknowledged before. Until reads have moved, the move can be undone.

When C is dead for ever, whoever replaces it says so. Then D copies from enough survivors that every quorum
there was has one among them, and the slot is D's at once. With fewer nothing is done, unless an operator
accepted the loss of what only dead nodes acknowledged; then D copies from all who are left.

A move is called off by a plan that wants the slot at C again, and goes back by the same steps. That needs D,
as the last step does: (C, D) looks the same on the way there and back, and on the way back D may still answer
reads under the epoch before. A D that will not come back is given up for dead, and then needs no fence.

Slots come and go one at a time, since majorities of n and of n + 1 slots always share one. A slot is added by
having the new node share the slot of another, copy, and then take a slot of its own. When one is dropped,
majorities of the rest may be so small that one of them has nothing of what the donor and others acknowledged:
two slots that become one, four that become three. Then enough of the rest copy from the donor first, or from
one another if it is dead.

A step is worked out from the descriptor and from what is known about its epoch alone. So any node can go on
with a move that another began, and a driver that comes back has nothing to remember.

Source: joint consensus, D. Ongaro, J. Ousterhout, "In Search of an Understandable Consensus Algorithm"
(2014), section 6, for slots of a quorum instead of members of a log.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from folkmoot.protocol.ring.levels import majority
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from folkmoot.protocol.ring.roster import NOBODY, GivenUp

TOO_FEW_LEFT: Final = "too few copies are left beside those of dead nodes to know all that was acknowledged"


@dataclass(frozen=True, slots=True)
class Move:
    """One slot of a range, from one node to another.

    Args:
        range_id: of the range.
        donor: the node that has the slot.
        recipient: the node that is to have it.
        donor_is_dead: whether an operator said that the donor never comes back.
    """

    range_id: int
    donor: bytes
    recipient: bytes
    donor_is_dead: bool = False


@dataclass(frozen=True, slots=True)
class Add:
    """One more slot of a range.

    Args:
        range_id: of the range.
        region: the slot's.
        recipient: the node that is to have it.
    """

    range_id: int
    region: str
    recipient: bytes


@dataclass(frozen=True, slots=True)
class Drop:
    """One slot of a range less.

    Args:
        range_id: of the range.
        donor: the node that has it.
        donor_is_dead: as for `Move`.
    """

    range_id: int
    donor: bytes
    donor_is_dead: bool = False


Change = Move | Add | Drop


@dataclass(frozen=True, slots=True)
class Propose:
    """Have this descriptor decided, in the place of the one the step was worked out from."""

    descriptor: RangeDescriptor


@dataclass(frozen=True, slots=True)
class Fence:
    """Have these nodes fence what is older than the range's epoch; enough of them will do."""

    nodes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """Have the recipient copy the range from these nodes, by passes that begin now."""

    donors: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Hand:
    """Have these nodes copy the range from each of the donors, by passes that begin now; enough will do."""

    recipients: tuple[bytes, ...]
    donors: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """The recipient has the slot."""


@dataclass(frozen=True, slots=True)
class Impossible:
    """The move cannot be made; the reason is a sentence."""

    reason: str


Step = Propose | Fence | Copy | Hand | Finished | Impossible

_NOTHING: Final[frozenset[bytes]] = frozenset()


def next_step(
    change: Change,
    descriptor: RangeDescriptor,
    *,
    fenced: AbstractSet[bytes] = _NOTHING,
    copied: AbstractSet[bytes] = _NOTHING,
    given_up: GivenUp = NOBODY,
) -> Step:
    """What brings a change on.

    Args:
        change: what is to become of the range.
        descriptor: of its range, as decided last.
        fenced: the nodes that have fenced everything older than the descriptor's epoch.
        copied: the nodes from which the recipient has copied all, by passes begun when `fenced` was enough
            and under the descriptor's epoch; of a drop those who have copied from all donors, likewise.
        given_up: who never comes back.
    """
    dead = given_up.nodes | _dead(change)
    lossy = not given_up.lossy.isdisjoint(descriptor.nodes())
    match change:
        case Move():
            return _next_of_move(change, descriptor, fenced, copied, dead, lossy)
        case Add():
            return _next_of_add(change, descriptor, fenced, copied, dead)
        case Drop():
            return _next_of_drop(change, descriptor, fenced, copied, dead, lossy)


def _next_of_move(
    move: Move,
    descriptor: RangeDescriptor,
    fenced: AbstractSet[bytes],
    copied: AbstractSet[bytes],
    dead: AbstractSet[bytes],
    lossy: bool,
) -> Step:
    index = _slot_of(move, descriptor)
    if index is None:
        return Impossible(f"range {descriptor.id} has no slot that node {move.donor.hex()[:8]} could give")
    nodes = descriptor.slots[index].nodes
    if nodes == (move.recipient,):
        return Finished()
    if nodes != (move.donor,) and set(nodes) != {move.donor, move.recipient}:
        return Impossible(f"the slot of range {descriptor.id} is moving to another node")
    if nodes[0] == move.donor and move.donor_is_dead and not lossy and lacks_copies(descriptor, dead):
        return Impossible(TOO_FEW_LEFT)
    if nodes == (move.donor,):
        if move.recipient in descriptor.nodes():
            return Impossible(f"node {move.recipient.hex()[:8]} has another slot of range {descriptor.id}")
        return _propose(descriptor, index, move.donor, move.recipient)
    if not is_fenced(descriptor, fenced, dead=dead):
        return _fence(descriptor, fenced | dead)
    if nodes[0] == move.recipient:
        return _propose(descriptor, index, move.recipient)
    return _after_the_fence(move, descriptor, index, fenced, copied, dead)


def lacks_copies(descriptor: RangeDescriptor, dead: AbstractSet[bytes]) -> bool:
    """Whether so few copies of a range are left that something a quorum acknowledged may be on none of them.

    Args:
        descriptor: of the range.
        dead: nodes whose copies are gone.
    """
    return len(survivors(descriptor, dead)) < copies_needed(descriptor)


def survivors(descriptor: RangeDescriptor, dead: AbstractSet[bytes]) -> Sequence[bytes]:
    """The nodes from which a range can be read when some are dead, one for each slot that is left."""
    return [slot.reader for slot in descriptor.slots if slot.reader not in dead]


def copies_needed(descriptor: RangeDescriptor) -> int:
    """How many slots every quorum of a range has one in common with."""
    return _copies_needed(len(descriptor.slots))


def _copies_needed(slots: int) -> int:
    return slots - majority(slots) + 1


def is_fenced(
    descriptor: RangeDescriptor, fenced: AbstractSet[bytes], *, dead: AbstractSet[bytes] = _NOTHING
) -> bool:
    """Whether no older epoch of a range can reach any level with a majority.

    The epoch before may have had one more slot, of a node that was dropped and may not know so yet.

    Args:
        descriptor: the newest.
        fenced: nodes that refuse everything older.
        dead: nodes that will never acknowledge anything: they need no fence, and are none.
    """
    closed = fenced | dead
    moving = {node for slot in descriptor.slots if len(slot.nodes) > 1 for node in slot.nodes}
    regions = {slot.region for slot in descriptor.slots}
    groups = [
        descriptor.slots,
        *([slot for slot in descriptor.slots if slot.region == region] for region in sorted(regions)),
    ]
    return moving <= closed and all(
        sum(closed.isdisjoint(slot.nodes) for slot in group) < majority(len(group) + 1) - 1
        for group in groups
    )


def host_of(descriptor: RangeDescriptor, dead: AbstractSet[bytes]) -> bytes | None:
    """Whose slot a node shares before it has one of its own: the first that is neither moving nor dead."""
    resting = (slot.reader for slot in descriptor.slots if len(slot.nodes) == 1)
    return next((node for node in resting if node not in dead), None)


def _next_of_add(
    add: Add,
    descriptor: RangeDescriptor,
    fenced: AbstractSet[bytes],
    copied: AbstractSet[bytes],
    dead: AbstractSet[bytes],
) -> Step:
    shared = next((slot for slot in descriptor.slots if add.recipient in slot.nodes), None)
    if shared is None:
        host = host_of(descriptor, dead)
        if host is None:
            return Impossible(f"every slot of range {descriptor.id} is moving, or its node is dead")
        index = next(index for index, slot in enumerate(descriptor.slots) if slot.nodes == (host,))
        return _propose(descriptor, index, host, add.recipient)
    if shared.nodes == (add.recipient,):
        return Finished()
    [host] = [node for node in shared.nodes if node != add.recipient]
    if not is_fenced(descriptor, fenced, dead=dead):
        return _fence(descriptor, fenced | dead)
    if shared.reader == host and host not in copied:
        return Copy((host,))
    apart = [Slot(each.region, (host,)) if each is shared else each for each in descriptor.slots]
    return _replaced(descriptor, [*apart, Slot(add.region, (add.recipient,))])


def _next_of_drop(
    drop: Drop,
    descriptor: RangeDescriptor,
    fenced: AbstractSet[bytes],
    copied: AbstractSet[bytes],
    dead: AbstractSet[bytes],
    lossy: bool,
) -> Step:
    slots = [slot for slot in descriptor.slots if drop.donor not in slot.nodes]
    if len(slots) == len(descriptor.slots):
        return Finished()
    if not slots or any(drop.donor in slot.nodes and len(slot.nodes) > 1 for slot in descriptor.slots):
        return Impossible(f"the slot of range {descriptor.id} is its only one, or is moving")
    if drop.donor_is_dead and not lossy and lacks_copies(descriptor, dead):
        return Impossible(TOO_FEW_LEFT)
    if not is_fenced(descriptor, fenced, dead=dead):
        return _fence(descriptor, fenced | dead)
    if not is_handed_on(descriptor, slots, copied, dead):
        rest = tuple(survivors(replace(descriptor, slots=tuple(slots)), dead))
        donors = rest if drop.donor_is_dead else (drop.donor,)
        return Hand(tuple(node for node in rest if node not in copied), donors)
    return _replaced(descriptor, slots)


def is_handed_on(
    descriptor: RangeDescriptor, rest: Sequence[Slot], copied: AbstractSet[bytes], dead: AbstractSet[bytes]
) -> bool:
    """Whether every majority of what is left of a range's slots will have all that was acknowledged.

    Args:
        descriptor: of the range.
        rest: its slots but for the one that is dropped.
        copied: nodes that have all that the donor had.
        dead: nodes whose copies are gone; what only they acknowledged was given up.
    """
    [going] = [slot for slot in descriptor.slots if slot not in rest]
    local = [slot for slot in descriptor.slots if slot.region == going.region]
    for group in (descriptor.slots, local):
        # A region that has none left is read like all the others; of its last slot nothing was elsewhere.
        left = [slot for slot in group if slot is not going] or rest
        needed = _copies_needed(len(left))
        if len(group) > 1 and needed < _copies_needed(len(group)):
            continue  # of the copies that met every majority, one may be missing
        living = sum(slot.reader not in dead for slot in left)
        if sum(slot.reader in copied for slot in left) < min(needed, living):
            return False
    return True


def _fence(descriptor: RangeDescriptor, fenced: AbstractSet[bytes]) -> Fence:
    return Fence(tuple(node for node in descriptor.nodes() if node not in fenced))


def _after_the_fence(
    move: Move,
    descriptor: RangeDescriptor,
    index: int,
    fenced: AbstractSet[bytes],
    copied: AbstractSet[bytes],
    dead: AbstractSet[bytes],
) -> Step:
    if not move.donor_is_dead:
        if move.donor not in copied:
            return Copy((move.donor,))
        return _propose(descriptor, index, move.recipient, move.donor)
    left = survivors(descriptor, dead)
    # Fewer than that only where the loss was accepted: then nothing that is left is to be missed.
    needed = min(copies_needed(descriptor), len(left))
    behind_fence = [node for node in left if node in fenced]
    if sum(node in copied for node in behind_fence) >= needed:
        return _propose(descriptor, index, move.recipient)
    if len(behind_fence) < needed:
        return Fence(tuple(node for node in left if node not in fenced))
    return Copy(tuple(node for node in behind_fence if node not in copied))


def _propose(descriptor: RangeDescriptor, index: int, *nodes: bytes) -> Propose:
    slots = list(descriptor.slots)
    slots[index] = Slot(slots[index].region, nodes)
    return _replaced(descriptor, slots)


def _replaced(descriptor: RangeDescriptor, slots: Sequence[Slot]) -> Propose:
    return Propose(replace(descriptor, epoch=descriptor.epoch + 1, slots=tuple(slots)))


def _slot_of(move: Move, descriptor: RangeDescriptor) -> int | None:
    """The slot that moves: the donor's, or once it is only that, the recipient's."""
    for node in (move.donor, move.recipient):
        for index, slot in enumerate(descriptor.slots):
            if node in slot.nodes:
                return index
    return None


def _dead(change: Change) -> frozenset[bytes]:
    return _NOTHING if isinstance(change, Add) or not change.donor_is_dead else frozenset((change.donor,))
