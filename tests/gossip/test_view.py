"""Whom a node knows: what views have in common, and for whom there is room."""

from __future__ import annotations

from dataclasses import replace

import pytest
from folkmoot.protocol.gossip.members import Member, State
from folkmoot.protocol.gossip.view import View
from folkmoot.protocol.limits import GOSSIP_MEMBERS, GOSSIP_STRANGERS, ROSTER_NODES
from hypothesis import given
from hypothesis import strategies as st

from tests.gossip.strategies import members
from tests.gossip.world import description, node_id

A = description("a")
OWN = Member.alive(node_id("own"), description("own"), 1)
ROSTER = frozenset({OWN.node_id, *(node_id(f"r{number}") for number in range(ROSTER_NODES - 1))})


def member(name: str, state: State = State.ALIVE) -> Member:
    return Member.alive(node_id(name), A, 1).claimed(state, 1)


def meets(view: View, new: Member, *, proven: bool = False) -> bool:
    """Let a view take in a node it does not know, as whoever hears of one does; whether there was room."""
    in_the_way = view.in_the_way(new, proven=proven)
    if in_the_way is None:
        return False
    view.join(new)
    for other in in_the_way:
        view.forget(other.node_id)
    if proven:
        view.prove(new.node_id)
    return True


def full(roster: frozenset[bytes] | None = ROSTER) -> View:
    """A view as full of inventions as it gets."""
    view = View(OWN)
    if roster is not None:
        assert view.take_roster(roster) == []
    number = 0
    while meets(view, member(f"s{number}")):
        number += 1
        assert number <= GOSSIP_MEMBERS
    return view


@given(st.lists(st.tuples(st.sampled_from("abcd"), members), max_size=12), st.randoms(use_true_random=False))
def test_views_that_heard_the_same_are_equal_whatever_the_order_and_repeats(heard, random) -> None:  # type: ignore[no-untyped-def]
    heard = [replace(member, node_id=node_id(name)) for name, member in heard]
    first, second = View(OWN), View(OWN)
    for each in heard:
        first.join(each)
    again = heard + random.sample(heard, len(heard) // 2)
    random.shuffle(again)
    for each in again:
        second.join(each)
    assert first.digest() == second.digest()
    assert {each.node_id: each for each in first} == {each.node_id: each for each in second}


def test_the_roster_has_room_beside_any_number_of_inventions() -> None:
    view = full()
    assert len(list(view)) == 1 + GOSSIP_STRANGERS
    assert all(meets(view, Member.alive(each, A, 1)) for each in sorted(ROSTER - {OWN.node_id}))
    assert len(list(view)) == ROSTER_NODES + GOSSIP_STRANGERS <= GOSSIP_MEMBERS
    assert view.live_count() == ROSTER_NODES + GOSSIP_STRANGERS


def test_a_full_view_hears_of_those_it_has() -> None:
    view = full()
    assert not meets(view, member("one-more"))
    assert view.join(Member.alive(node_id("s1"), A, 2))


@pytest.mark.parametrize("roster", [ROSTER, None])
def test_who_speaks_over_a_link_takes_the_place_of_an_invention(roster: frozenset[bytes] | None) -> None:
    view = full(roster)
    before = len(list(view))
    assert meets(view, member("newcomer"), proven=True)
    assert view.get(node_id("newcomer")) is not None
    assert view.get(node_id("s0")) is None
    assert len(list(view)) == before


def test_who_has_proven_itself_gives_way_to_nobody() -> None:
    view = View(OWN)
    view.take_roster(ROSTER)
    for number in range(GOSSIP_STRANGERS):
        assert meets(view, member(f"s{number}"), proven=True)
    assert not meets(view, member("invented"))
    assert not meets(view, member("late"), proven=True), "there is an end to this, too"
    view.join(member("s7", State.DEAD))
    assert meets(view, member("late"), proven=True)
    assert view.get(node_id("s7")) is None


@pytest.mark.parametrize("state", [State.DEAD, State.LEFT])
def test_who_is_gone_gives_way_to_who_is_here(state: State) -> None:
    view = full()
    view.join(member("s3", state))
    assert view.gone_strangers() == [node_id("s3")]
    assert meets(view, member("newcomer"))
    assert view.get(node_id("s3")) is None
    assert not meets(view, member("one-more"))


@pytest.mark.parametrize("state", [State.DEAD, State.LEFT])
def test_a_stranger_that_is_gone_is_nothing_to_hear_of(state: State) -> None:
    view = View(OWN)
    assert meets(view, member("before the roster is known", state))
    view.take_roster(ROSTER)
    assert not meets(view, member("x", state))
    assert meets(view, member("r1", state)), "of the roster it is"


def test_whom_a_roster_makes_strangers_may_have_no_room_any_more() -> None:
    view = full(None)
    view.join(member("s9", State.DEAD))
    view.prove(node_id("s0"))
    assert len(list(view)) == GOSSIP_MEMBERS
    gone = view.take_roster(ROSTER)
    assert len(gone) == GOSSIP_MEMBERS - 1 - GOSSIP_STRANGERS
    assert gone[0].node_id == node_id("s9"), "the gone go first"
    assert node_id("s0") not in {each.node_id for each in gone}, "and the proven last"


def test_who_is_more_than_hearsay() -> None:
    view = full(None)
    assert view.trusts(node_id("s1")), "everyone may be on the roster"
    view.take_roster(ROSTER)
    assert not view.trusts(node_id("s1"))
    assert view.trusts(node_id("r1"))
    view.prove(node_id("s1"))
    assert view.trusts(node_id("s1"))
    view.prove(node_id("nobody"))
    assert not view.trusts(node_id("nobody")), "nothing is kept of those who are not known"
    view.forget(node_id("s1"))
    assert not view.trusts(node_id("s1"))
