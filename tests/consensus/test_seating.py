"""Which nodes should hold the seats."""

from __future__ import annotations

import pytest
from folkmoot.protocol.consensus.configuration import Configuration, Seat
from folkmoot.protocol.consensus.seating import spread, wanted_seats

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
