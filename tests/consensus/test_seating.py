"""Which nodes should hold the seats."""

from __future__ import annotations

from itertools import combinations

import pytest
from folkmoot.protocol.consensus.configuration import Configuration, Seat
from folkmoot.protocol.consensus.seating import Patience, evened_seats, spread, wanted_seats
from hypothesis import given
from hypothesis import strategies as st

REGIONS = {b"a": "eu", b"b": "eu", b"c": "eu", b"d": "us", b"e": "us", b"f": "ap"}
MEMBERS = {name * 16: region for name, region in REGIONS.items()}


def of(names: str) -> list[Seat]:
    """The seats in their stores: in capitals, those of an earlier store."""
    return [Seat(name.encode() * 16, name.lower().encode() * 16) for name in names]


def stores(names: str) -> dict[bytes, bytes]:
    return {seat.node: seat.id for seat in of(names)}


@pytest.mark.parametrize(
    ("today", "reachable", "wanted"),
    [
        pytest.param("a", "a", None, id="alone"),
        pytest.param("a", "ab", None, id="two are no more than one"),
        pytest.param("a", "abc", "abc", id="three in one region are three"),
        pytest.param("a", "abcd", "adb", id="another region first"),
        pytest.param("a", "abcdef", "afd", id="three regions first, the one with the least name to begin"),
        pytest.param("afd", "abcdef", "afdbe", id="then five, spread"),
        pytest.param("afd", "afde", None, id="four are no more than three"),
        pytest.param("afdbe", "abcdef", None, id="five are enough"),
        pytest.param("afd", "af", None, id="who is silent stays"),
        pytest.param("afd", "ace", None, id="also when others could take the seats"),
        pytest.param("afD", "afdb", "afd", id="another store is another seat"),
        pytest.param("afdbE", "afdbc", None, id="whose store it is, is not known of a silent one"),
    ],
)
def test_seats_follow_growth_and_stores(today: str, reachable: str, wanted: str | None) -> None:
    configuration = Configuration(7, of(today))
    found = wanted_seats(configuration, MEMBERS, stores(reachable))
    assert found == (None if wanted is None else of(wanted))


def test_who_is_no_member_any_more_is_replaced() -> None:
    members = {node: region for node, region in MEMBERS.items() if node != b"f" * 16}
    found = wanted_seats(Configuration(7, of("afd")), members, stores("abde"))
    assert found == of("adb")


def test_a_seat_that_cannot_be_filled_stays_where_it_was() -> None:
    members = {node: MEMBERS[node] for node in (b"a" * 16, b"d" * 16, b"b" * 16)}
    assert wanted_seats(Configuration(7, of("afd")), members, stores("ad")) is None


def test_with_fewer_members_than_seats_there_are_fewer_seats() -> None:
    members = {node: MEMBERS[node] for node in (b"a" * 16, b"d" * 16)}
    assert wanted_seats(Configuration(7, of("afd")), members, stores("ad")) == of("a")
    assert wanted_seats(Configuration(7, of("afd")), members, stores("d")) == of("d"), "of one that answers"


def test_regions_take_turns() -> None:
    order = spread([], {node: MEMBERS[node] for node in sorted(MEMBERS)})
    assert [node[:1] for node in order] == [b"f", b"a", b"d", b"b", b"e", b"c"]


@pytest.mark.parametrize(
    ("today", "reachable", "evened"),
    [
        pytest.param("abd", "abdf", "adf", id="a region without a seat gets one of two"),
        pytest.param("abd", "bdf", "bdf", id="that of who is silent"),
        pytest.param("abd", "abd", None, id="a region of which nobody answers gets none"),
        pytest.param("abd", "abcde", None, id="one more seat than another has is spread"),
        pytest.param("adf", "abdf", None, id="one in each"),
        pytest.param("abcde", "abcdef", "abdef", id="five in two regions"),
        pytest.param("abdef", "abcdef", None, id="five in three"),
        pytest.param("a", "abdf", None, id="one"),
    ],
)
def test_a_seat_moves_to_a_region_that_has_two_fewer(today: str, reachable: str, evened: str | None) -> None:
    found = evened_seats(Configuration(7, of(today)), MEMBERS, stores(reachable))
    assert found == (None if evened is None else of(evened))


@given(st.sets(st.sampled_from("abcdef"), min_size=5, max_size=5), st.sampled_from([1, 3, 5]), st.data())
def test_seats_that_move_come_to_rest(nodes: set[str], size: int, data: st.DataObject) -> None:
    seated = Configuration(7, of("".join(sorted(nodes)[:size])))
    for _ in range(size):
        there = "".join(sorted(data.draw(st.sets(st.sampled_from("abcdef")))))
        following = evened_seats(seated, MEMBERS, stores(there))
        seated = seated if following is None else Configuration(7, following)
    while (following := evened_seats(seated, MEMBERS, stores("abcdef"))) is not None:
        before, seated = seated, Configuration(7, following)
        assert len(set(before.seats) - set(seated.seats)) == 1, "one at a time"
    for four in combinations("abcdef", 4):
        assert evened_seats(seated, MEMBERS, stores("".join(four))) is None, "whoever comes and goes"


def test_a_seat_of_no_member_is_replaced_and_not_moved() -> None:
    members = {node: region for node, region in MEMBERS.items() if node != b"a" * 16}
    assert evened_seats(Configuration(7, of("abd")), members, stores("bdf")) is None


def test_patience_is_over_once_the_same_was_wanted_for_long() -> None:
    patience = Patience[str](30.0)
    asked = [("x", 0.0), ("x", 29.0), (None, 29.5), ("x", 31.0), ("y", 60.0), ("y", 89.0), ("y", 90.0)]
    assert [patience.is_over(wanted, now) for wanted, now in asked] == [False] * 6 + [True]
