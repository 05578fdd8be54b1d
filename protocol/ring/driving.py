"""Driving: which node carries a change of a plan out, and which changes may begin."""

from __future__ import annotations

from collections.abc import Callable

from folkmoot.protocol.ring.movement import Add, Change, Drop, Move
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.ring.roster import Roster

Alive = Callable[[bytes], bool]
"""Whether a node (16 bytes) can be expected to do anything."""


def driver_of(change: Change, roster: Roster, alive: Alive) -> bytes | None:
    """Who carries a change out: the node that is to have the slot, or else the one that gives it up.

    Args:
        change: of a plan.
        roster: the members.
        alive: see `Alive`.

    Returns:
        The node's id; for a slot of a dead node the first member that is alive; None when there is none.
    """
    if not isinstance(change, Drop):
        return change.recipient
    if not change.donor_is_dead:
        return change.donor
    return first_alive(roster, alive)


def first_alive(roster: Roster, alive: Alive) -> bytes | None:
    """The first member in good standing, in the order of ids, that is alive: who does what is nobody's."""
    members = (node.node_id for node in roster.nodes if node.standing == "member")
    return next((node_id for node_id in members if alive(node_id)), None)


def may_begin(change: Change, descriptor: RangeDescriptor, alive: Alive) -> bool:
    """Whether a change may begin, or go on.

    Not when it would have a slot need two nodes of which the one that has it is away: the fence would wait
    for it. What has begun goes on whenever it can.
    """
    if is_joint(descriptor):
        return True
    match change:
        case Move():
            return change.donor_is_dead or alive(change.donor)
        case Add():
            return alive(descriptor.slots[0].reader)
        case Drop():
            return True


def is_joint(descriptor: RangeDescriptor) -> bool:
    """Whether a slot of a range is moving."""
    return any(len(slot.nodes) > 1 for slot in descriptor.slots)


def said_of(change: Change, roster: Roster) -> str:
    """A change, for people."""

    def name(node_id: bytes) -> str:
        node = roster.get(node_id)
        return node_id.hex()[:8] if node is None else node.name

    match change:
        case Move():
            return f"from {name(change.donor)} to {name(change.recipient)}"
        case Add():
            return f"one more replica, on {name(change.recipient)}"
        case Drop():
            return f"one replica less, on {name(change.donor)}"
