"""Configurations: which seats decide, one step from the next."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import pytest
from folkmoot.protocol import limits
from folkmoot.protocol.consensus.configuration import Configuration, Seat, recovery_number
from folkmoot.protocol.errors import WireError
from hypothesis import given
from hypothesis import strategies as st

from tests.consensus.world import seat


def seats(*numbers: int) -> list[Seat]:
    return [seat(number) for number in numbers]


def ids(*numbers: int) -> set[bytes]:
    return {seat(number).id for number in numbers}


ONE = Configuration.first(seat(1))
THREE = Configuration(4, seats(1, 2, 3))
JOINT = THREE.joined_by(seats(2, 3, 4, 5, 6))


@pytest.mark.parametrize(
    ("configuration", "quorums", "others"),
    [
        (ONE, [ids(1)], [set(), ids(2)]),
        (THREE, [ids(1, 2), ids(2, 3), ids(1, 2, 3)], [ids(1), ids(1, 4)]),
        (JOINT, [ids(2, 3, 4), ids(1, 2, 4, 5), ids(1, 3, 5, 6)], [ids(1, 2), ids(4, 5, 6), ids(1, 4, 5, 6)]),
    ],
)
def test_quorums(configuration: Configuration, quorums: list[set[bytes]], others: list[set[bytes]]) -> None:
    assert all(configuration.is_quorum(each) for each in quorums)
    assert not any(configuration.is_quorum(each) for each in others)


@pytest.mark.parametrize("coming", [seats(2), seats(2, 3, 4), seats(4, 5, 6), seats(1, 2, 3, 4, 5)])
@pytest.mark.parametrize("before", [seats(1), seats(1, 2, 3), seats(1, 2, 3, 7, 8)])
def test_quorums_of_neighbours_meet(before: list[Seat], coming: list[Seat]) -> None:
    """Between one configuration and the next there is never room for two that decide apart."""
    first = Configuration(1, before)
    joint = first.joined_by(coming)
    last = joint.settled()
    assert [each.number for each in (first, joint, last)] == [1, 2, 3]
    assert last == Configuration(3, coming)
    everyone = sorted(each.id for each in joint.all_seats)
    every_set = [
        set(chosen) for count in range(len(everyone) + 1) for chosen in combinations(everyone, count)
    ]
    for one, other in ((first, joint), (joint, last), (joint, joint)):
        quorums = [each for each in every_set if one.is_quorum(each)]
        assert quorums
        for quorum in quorums:
            assert not other.is_quorum(set(everyone) - quorum)


@pytest.mark.parametrize(
    ("configuration", "may_fail"),
    [(ONE, 0), (THREE, 1), (Configuration(1, seats(1, 2, 3, 4, 5)), 2), (JOINT, 1)],
)
def test_how_many_may_fail(configuration: Configuration, may_fail: int) -> None:
    assert configuration.may_fail == may_fail
    everyone = [each.id for each in configuration.all_seats]
    assert all(configuration.can_do_without(lost) for lost in combinations(everyone, may_fail))
    assert not all(configuration.can_do_without(lost) for lost in combinations(everyone, may_fail + 1))


def test_one_change_at_a_time() -> None:
    with pytest.raises(WireError, match="on its way to other seats already"):
        JOINT.joined_by(seats(1))


@pytest.mark.parametrize("coming", [[], seats(1, 2), seats(1, 2, 3, 4), [seat(1), seat(1), seat(2)]])
def test_what_is_no_set_of_seats(coming: list[Seat]) -> None:
    with pytest.raises(WireError):
        ONE.joined_by(coming)
    with pytest.raises(WireError):
        Configuration.from_wire(Configuration(1, coming).to_wire())


@pytest.mark.parametrize("configuration", [ONE, THREE, JOINT, JOINT.settled()])
def test_it_travels(configuration: Configuration) -> None:
    assert Configuration.from_wire(configuration.to_wire()) == configuration


@pytest.mark.parametrize(
    "value", [None, {}, {"number": 0, "seats": []}, {"number": 1, "seats": [{"id": b""}]}]
)
def test_what_is_no_configuration(value: Any) -> None:
    with pytest.raises(WireError):
        Configuration.from_wire(value)


def test_nodes_that_recover_on_two_sides_make_numbers_apart() -> None:
    nodes = [bytes([number]) * 16 for number in range(50)]
    numbers = sorted(recovery_number(7, node) for node in nodes)
    gaps = [after - before for before, after in pairwise(numbers)]
    assert min(gaps) >= limits.SEATS_RECOVERY_STEP, "room for changes after them"
    assert numbers[0] >= 7 + limits.SEATS_RECOVERY_STEP and numbers[-1] - 7 < limits.SEATS_STEP


@given(st.integers(0, 2**40), st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_of_two_recoveries_the_later_number_has_the_later_ballots(
    known: int, one: bytes, other: bytes
) -> None:
    first, second = (Configuration(recovery_number(known, node), [seat(1)]) for node in (one, other))
    assert (first.number > second.number) <= (first.ballot_floor >= second.ballot_floor)
    if known < 2**20 and first.number != second.number:
        assert first.ballot_floor != second.ballot_floor
    assert first.ballot_floor < limits.BALLOT_STEP, "a seat that never promised anything can still promise it"
