"""Driving: which absent nodes a change waits for, and what goes on once an operator has accepted a loss."""

from __future__ import annotations

from dataclasses import replace

import pytest
from folkmoot.protocol.ring.driving import is_impossible, may_begin, waits_for
from folkmoot.protocol.ring.errors import RingError
from folkmoot.protocol.ring.movement import (
    Add,
    Change,
    Copy,
    Drop,
    Fence,
    Finished,
    Impossible,
    Move,
    Propose,
    lacks_copies,
    next_step,
)
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.ring.roster import GivenUp, Roster, RosterNode
from folkmoot.protocol.ring.roster_changes import with_dead

from tests.ring.samples import descriptor, node_id, numbered, slot

C, A, B, D, E = map(node_id, (1, 2, 3, 4, 5))
NOW = descriptor(0, 7, b"", b"", slot("eu", 1), slot("eu", 2), slot("eu", 3))
JOINT = replace(NOW, epoch=8, slots=(slot("eu", 1, 4), *NOW.slots[1:]))
TURNED = replace(NOW, epoch=9, slots=(slot("eu", 4, 1), *NOW.slots[1:]))
TWO, FOUR = replace(NOW, slots=NOW.slots[:2]), replace(NOW, slots=(*NOW.slots, slot("eu", 5)))
MOVE, ADD, DROP = Move(0, C, D), Add(0, "eu", D), Drop(0, C)


def members(*dead: int, lossy: tuple[int, ...] = ()) -> Roster:
    """Five nodes, some of them given up."""
    roster = numbered(5)
    for number in dead:
        roster = with_dead(roster, node_id(number), accept_loss=number in lossy)
    return roster


@pytest.mark.parametrize(
    ("change", "now", "away", "waited_for"),
    [
        pytest.param(MOVE, NOW, (), (), id="all are there"),
        pytest.param(MOVE, NOW, (1,), (1,), id="the donor"),
        pytest.param(MOVE, NOW, (4,), (4,), id="the recipient, who drives"),
        pytest.param(MOVE, NOW, (3,), (), id="one of the others is no loss"),
        pytest.param(MOVE, NOW, (2, 3), (2, 3), id="a majority of the others"),
        pytest.param(MOVE, NOW, (5,), (), id="a node that has nothing to do with it"),
        pytest.param(MOVE, JOINT, (1,), (1,), id="halfway: the donor"),
        pytest.param(MOVE, JOINT, (4,), (4,), id="halfway: the recipient"),
        pytest.param(Move(0, D, C), JOINT, (4,), (4,), id="on the way back: whom it is taken from"),
        pytest.param(MOVE, TURNED, (1,), (1,), id="reads moved: the donor"),
        pytest.param(ADD, NOW, (1,), (1,), id="whose slot is to be shared"),
        pytest.param(ADD, NOW, (4,), (4,), id="who is to be added"),
        pytest.param(DROP, NOW, (1,), (1,), id="who gives its slot up"),
        pytest.param(DROP, NOW, (3,), (), id="three that become two want no more than the fence"),
        pytest.param(DROP, TWO, (2,), (2,), id="who is to have all that is dropped"),
        pytest.param(DROP, FOUR, (3,), (), id="of four, two can have it"),
    ],
)
def test_who_is_waited_for(
    change: Change, now: RangeDescriptor, away: tuple[int, ...], waited_for: tuple[int, ...]
) -> None:
    gone = set(map(node_id, away))
    found = waits_for(change, now, members(), lambda each: each not in gone)
    assert found == set(map(node_id, waited_for))


@pytest.mark.parametrize(
    ("away", "waited_for"),
    [
        pytest.param((1,), (), id="not for whom was given up"),
        pytest.param((1, 2), (2,), id="but for those who have the rest"),
    ],
)
def test_who_is_waited_for_when_the_donor_is_given_up(
    away: tuple[int, ...], waited_for: tuple[int, ...]
) -> None:
    gone = set(map(node_id, away))
    burial = replace(MOVE, donor_is_dead=True)
    assert waits_for(burial, NOW, members(1), lambda each: each not in gone) == set(map(node_id, waited_for))


@pytest.mark.parametrize(("now", "waited_for"), [(NOW, ()), (FOUR, (3,))], ids=["three", "four"])
def test_a_slot_of_the_dead_is_dropped_when_all_others_can_make_up_for_it(
    now: RangeDescriptor, waited_for: tuple[int, ...]
) -> None:
    found = waits_for(replace(DROP, donor_is_dead=True), now, members(1), lambda each: each not in (C, B))
    assert found == set(map(node_id, waited_for))


def test_a_node_shares_the_slot_of_one_that_is_not_given_up() -> None:
    dead = members(1).given_up()
    step = next_step(ADD, NOW, given_up=dead)
    assert isinstance(step, Propose) and step.descriptor.slots[1].nodes == (A, D)
    assert may_begin(ADD, NOW, dead, lambda each: each != C)
    assert not may_begin(ADD, NOW, dead, lambda each: each != A)


def test_a_fence_is_not_waited_for_from_any_node_that_was_given_up() -> None:
    regions = replace(JOINT, slots=(slot("eu", 1, 4), slot("us", 2), slot("ap", 3)))
    assert isinstance(next_step(MOVE, regions, fenced={C, D, A}), Fence)
    assert next_step(MOVE, regions, fenced={C, D, A}, given_up=GivenUp(frozenset({B}))) == Copy((C,))


@pytest.mark.parametrize(
    ("dead", "lacks"), [((1,), False), ((1, 2), True), ((1, 2, 3), True), ((4, 5), False)]
)
def test_how_many_copies_have_to_be_left(dead: tuple[int, ...], lacks: bool) -> None:
    assert lacks_copies(NOW, set(map(node_id, dead))) is lacks


@pytest.mark.parametrize("change", [replace(MOVE, donor_is_dead=True), replace(DROP, donor_is_dead=True)])
def test_too_few_copies_are_gone_on_with_only_if_the_loss_was_accepted(change: Change) -> None:
    refused, accepted = members(1, 2).given_up(), members(1, 2, lossy=(2,)).given_up()
    assert is_impossible(change, NOW, refused)
    assert not is_impossible(change, NOW, accepted)
    elsewhere = GivenUp(frozenset({C, A}), frozenset({E}))
    assert is_impossible(change, NOW, elsewhere), "a loss that was accepted of other ranges is not this one's"


def carried_out(now: RangeDescriptor, given_up: GivenUp) -> tuple[RangeDescriptor, list[bytes]]:
    """A range once C, given up, is replaced by D; and from whom D copied."""
    fenced: set[bytes] = set()
    copied: list[bytes] = []
    move = replace(MOVE, donor_is_dead=True)
    for _ in range(20):
        step = next_step(move, now, fenced=fenced, copied=set(copied), given_up=given_up)
        match step:
            case Propose():
                now, fenced = step.descriptor, set()
            case Fence():
                assert given_up.nodes.isdisjoint(step.nodes)
                fenced |= set(step.nodes)
            case Copy():
                copied += step.donors
            case Finished():
                return now, copied
            case Impossible():
                raise AssertionError(step.reason)
    raise AssertionError("it never ends")


@pytest.mark.parametrize(
    ("dead", "sources"), [((1,), (A, B)), ((1, 2), (B,)), ((1, 2, 3), ())], ids=["one", "two", "all"]
)
def test_with_an_accepted_loss_all_that_is_left_is_copied(
    dead: tuple[int, ...], sources: tuple[bytes, ...]
) -> None:
    after, copied = carried_out(NOW, members(*dead, lossy=dead).given_up())
    assert after.slots[0].nodes == (D,)
    assert tuple(copied) == sources


def test_an_accepted_loss_is_in_the_roster_and_travels() -> None:
    roster = members(1, 2, lossy=(2,))
    assert roster.given_up() == GivenUp(frozenset({C, A}), frozenset({A}))
    assert Roster.from_wire(roster.to_wire()) == roster
    again = with_dead(roster, A, accept_loss=False)
    assert again is roster, "what was accepted stays so"
    later = with_dead(roster, C, accept_loss=True)
    assert later.epoch == roster.epoch + 1 and later.given_up().lossy == {C, A}


def test_a_loss_is_accepted_of_the_dead_only() -> None:
    node = numbered(1).nodes[0]
    with pytest.raises(RingError, match="was not given up for dead"):
        RosterNode(node.node_id, "n", "eu", 1.0, node.service_account, loss_accepted=True)
