"""Driving: which node carries a change of a plan out, which changes may begin, and for whom one waits."""

from __future__ import annotations

from collections.abc import Callable

from folkmoot.protocol.ring.movement import (
    Add,
    Change,
    Drop,
    Hand,
    Impossible,
    Move,
    copies_needed,
    host_of,
    is_fenced,
    is_handed_on,
    next_step,
    survivors,
)
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.ring.roster import GivenUp, Roster

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


def may_begin(change: Change, descriptor: RangeDescriptor, given_up: GivenUp, alive: Alive) -> bool:
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
            host = host_of(descriptor, given_up.nodes)
            return host is None or alive(host)
        case Drop():
            return True


def waits_for(change: Change, descriptor: RangeDescriptor, roster: Roster, alive: Alive) -> set[bytes]:
    """The nodes that are away without which a change cannot be brought on; empty when there are none.

    Args:
        change: what a plan wants of the range next.
        descriptor: of the range.
        roster: the members; those who were given up for dead are waited for by nobody.
        alive: see `Alive`.
    """
    given_up = roster.given_up()
    driver = driver_of(change, roster, alive)
    needed = set() if driver is None else {driver}
    if is_joint(descriptor):
        needed |= {node for slot in descriptor.slots if len(slot.nodes) > 1 for node in slot.nodes}
    elif isinstance(change, Move):
        needed.add(change.donor)
    elif isinstance(change, Add) and (host := host_of(descriptor, given_up.nodes)) is not None:
        needed.add(host)
    if missing := {node for node in needed - given_up.nodes if not alive(node)}:
        return missing
    away = {node for node in descriptor.nodes() if not alive(node)} - given_up.nodes
    there = set(descriptor.nodes()) - away - given_up.nodes
    if not is_fenced(descriptor, there, dead=given_up.nodes):
        return away
    if isinstance(change, Drop):
        rest = [slot for slot in descriptor.slots if change.donor not in slot.nodes]
        if not rest or is_handed_on(descriptor, rest, set(), given_up.nodes):
            return set()  # it is dropped at once
        # A dead donor's are handed on by all the others together.
        can = set() if change.donor_is_dead and away else there
        return set() if is_handed_on(descriptor, rest, can, given_up.nodes) else away
    if isinstance(change, Move) and change.donor_is_dead:
        left = set(survivors(descriptor, given_up.nodes))
        if len(left & there) < min(copies_needed(descriptor), len(left)):
            return left & away
    return set()


def passes_to_hand_on(drop: Drop, descriptor: RangeDescriptor, given_up: GivenUp) -> int:
    """By how many passes a copy is handed on before it is dropped, when all who are asked can take it."""
    fenced = frozenset(descriptor.nodes())
    copied: set[bytes] = set()
    passes = 0
    while True:
        step = next_step(drop, descriptor, fenced=fenced, copied=copied, given_up=given_up)
        if not isinstance(step, Hand) or not step.recipients:
            return passes
        recipient = step.recipients[0]
        passes += sum(donor != recipient for donor in step.donors)
        copied.add(recipient)


def is_impossible(change: Change, descriptor: RangeDescriptor, given_up: GivenUp) -> bool:
    """Whether nothing that nodes do brings a change on."""
    return isinstance(next_step(change, descriptor, given_up=given_up), Impossible)


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
