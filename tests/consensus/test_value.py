"""Values: what a change makes of them, and what they remember."""

from __future__ import annotations

import pytest
from folkmoot.protocol.consensus.value import Changing, Value, keep, setting
from folkmoot.protocol.errors import CONFLICT, UNCERTAIN, WireError
from folkmoot.protocol.limits import REGISTER_REQUESTS

from tests.consensus.world import compare_and_set


def request(number: int) -> bytes:
    return number.to_bytes(16, "big")


FIRST = Value(1, b"first", [request(1)])
ENDED = Value(2, b"over", [request(2), request(1)], terminal=True)


@pytest.mark.parametrize(
    ("before", "version", "after"),
    [
        (None, 0, Value(1, b"body", [request(9)])),
        (None, None, Value(1, b"body", [request(9)])),
        (FIRST, 1, Value(2, b"body", [request(9), request(1)])),
        (FIRST, None, Value(2, b"body", [request(9), request(1)])),
    ],
)
def test_a_change_makes_the_next_version(before: Value | None, version: int | None, after: Value) -> None:
    assert compare_and_set(version, b"body", request(9))(before) == after


@pytest.mark.parametrize(
    ("before", "version", "found"),
    [(None, 1, 0), (FIRST, 0, 1), (FIRST, 2, 1), (ENDED, 2, 2), (ENDED, None, 2)],
)
def test_a_change_for_another_version_is_a_conflict(
    before: Value | None, version: int | None, found: int
) -> None:
    with pytest.raises(WireError) as refused:
        compare_and_set(version, b"body", request(9))(before)
    assert refused.value.kind is CONFLICT
    assert refused.value.details is not None and refused.value.details["version"] == found


def test_what_was_done_is_not_done_again_even_when_it_was_overwritten() -> None:
    mine = compare_and_set(0, b"mine", request(1))
    value: Value | None = mine(None)
    for number in range(2, REGISTER_REQUESTS + 1):
        value = compare_and_set(None, b"theirs", request(number))(value)
        assert mine(value) == value, "done, and known to be"
    assert value is not None and value.version == REGISTER_REQUESTS
    forgotten = compare_and_set(None, b"theirs", request(99))(value)
    with pytest.raises(WireError):
        mine(forgotten)


def test_the_last_version_is_the_last() -> None:
    last = compare_and_set(1, b"over", request(2), terminal=True)
    assert last(FIRST) == ENDED
    assert last(ENDED) == ENDED, "whoever ended it may ask again"
    assert keep(ENDED) is ENDED


@pytest.mark.parametrize("value", [FIRST, ENDED])
def test_it_travels(value: Value) -> None:
    assert Value.from_wire(value.to_wire()) == value


def overwritten(value: Value | None, times: int) -> Value | None:
    for number in range(times):
        value = Changing(setting(None, b"other"), b"other-%010d" % number)(value)
    return value


def test_a_change_that_was_made_is_known_as_long_as_it_is_remembered() -> None:
    change = Changing(setting(None, b"mine"), bytes(16))
    made = change(None)
    assert change.proposed
    kept = overwritten(made, REGISTER_REQUESTS - 1)
    assert change(kept) is kept, "it is not made again"
    with pytest.raises(WireError) as forgotten:
        change(overwritten(made, REGISTER_REQUESTS))
    assert forgotten.value.kind is UNCERTAIN


def test_a_change_that_was_lost_is_made_while_that_can_be_told() -> None:
    change = Changing(setting(None, b"mine"), bytes(16))
    change(None)  # and lost
    between = overwritten(None, REGISTER_REQUESTS)
    made = change(between)
    assert made is not None and made.version == REGISTER_REQUESTS + 1
    with pytest.raises(WireError) as forgotten:
        change(overwritten(None, REGISTER_REQUESTS + 1))
    assert forgotten.value.kind is UNCERTAIN


def test_a_conflict_says_whether_it_tells_what_became_of_the_request() -> None:
    for times, forgotten in ((REGISTER_REQUESTS, False), (REGISTER_REQUESTS + 1, True)):
        with pytest.raises(WireError) as conflict:
            setting(0, b"mine")(overwritten(None, times))
        assert conflict.value.details == {"version": times, "forgotten": forgotten}
