"""The search for an order: by tables, against trying every order, and what it says when there is none."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from folkmoot.node.simulation.checkers.linearizability import UNKNOWN, Model, Operation, linearize
from folkmoot.node.simulation.checkers.models import Call, Register, Text
from hypothesis import given
from hypothesis import strategies as st


def operation(process: int, call: Call, result: Any, called_at: int, returned_at: int = 0) -> Operation:
    return Operation(process, call, result, called_at, returned_at)


def read(value: Any, called_at: int, returned_at: int) -> Operation:
    return operation(0, Call("read"), value, called_at, returned_at)


def write(value: Any, called_at: int, returned_at: int) -> Operation:
    return operation(1, Call("write", value), True, called_at, returned_at)


def cas(expected: Any, new: Any, result: bool, called_at: int, returned_at: int) -> Operation:
    return operation(2, Call("cas", (expected, new)), result, called_at, returned_at)


def lost(call: Call, called_at: int) -> Operation:
    return operation(9, call, UNKNOWN, called_at)


@pytest.mark.parametrize(
    ("operations", "linearizable"),
    [
        pytest.param([], True, id="nothing happened"),
        pytest.param([read(None, 1, 2)], True, id="a read of nothing"),
        pytest.param([read(3, 1, 2)], False, id="a read of what nobody wrote"),
        pytest.param([write(3, 1, 2), read(3, 3, 4)], True, id="a read after its write"),
        pytest.param([write(3, 1, 2), read(None, 3, 4)], False, id="a read that missed a write"),
        pytest.param([write(3, 1, 4), read(None, 2, 3)], True, id="a read during a write, before it"),
        pytest.param([write(3, 1, 6), read(3, 2, 3), read(3, 4, 5)], True, id="two reads during a write"),
        pytest.param([write(3, 1, 6), read(3, 2, 3), read(None, 4, 5)], False, id="time ran backwards"),
        pytest.param([write(3, 1, 2), cas(3, 4, True, 3, 4), read(4, 5, 6)], True, id="a cas took effect"),
        pytest.param([write(3, 1, 2), cas(2, 4, True, 3, 4)], False, id="a cas of what was not there"),
        pytest.param([write(3, 1, 2), cas(3, 4, False, 3, 4)], False, id="a cas that had no reason to fail"),
        pytest.param([lost(Call("write", 3), 1), read(3, 8, 9)], True, id="a lost write took effect late"),
        pytest.param([lost(Call("write", 3), 1), read(None, 8, 9)], True, id="a lost write never did"),
        pytest.param(
            [lost(Call("write", 3), 1), read(3, 2, 3), read(None, 4, 5)], False, id="a lost write was undone"
        ),
        pytest.param([lost(Call("write", 3), 5), read(3, 1, 2)], False, id="a write before its call"),
        pytest.param(
            [write(1, 1, 2), lost(Call("cas", (1, 2)), 3), read(2, 4, 5), read(1, 6, 7)],
            False,
            id="a lost cas that was seen cannot be unseen",
        ),
        pytest.param(
            [write(1, 1, 2), cas(1, 2, True, 3, 10), cas(1, 3, True, 4, 11), read(3, 12, 13)],
            False,
            id="two cas won one race",
        ),
    ],
)
def test_registers(operations: list[Operation], linearizable: bool) -> None:
    assert linearize(operations, Register()).linearizable is linearizable


def test_texts() -> None:
    def on(name: str, argument: Any, result: Any, at: int) -> Operation:
        return operation(at, Call(name, argument), result, at, at + 1)

    good = [on("append", "a", True, 1), on("append", "b", True, 3), on("get", None, "ab", 5)]
    assert linearize(good, Text()).linearizable
    assert linearize([*good, on("put", "c", True, 7), on("get", None, "c", 9)], Text()).linearizable
    assert not linearize([*good, on("get", None, "ba", 7)], Text()).linearizable


def test_what_is_found_is_an_order_and_what_is_not_names_who_is_stuck() -> None:
    operations = [write(3, 1, 6), read(3, 2, 3), write(4, 4, 5), read(4, 7, 8)]
    found = linearize(operations, Register())
    assert is_order(found.order, operations, Register())
    stale = read(3, 9, 10)
    missed = linearize([*operations, stale], Register())
    assert not missed.linearizable
    assert missed.blocked == stale
    assert set(missed.order) == set(operations)


def concurrent_appends(count: int, then: str) -> list[Operation]:
    """So many appends at once, and then a read: every order of them gives another text."""
    appends = [
        operation(number, Call("append", chr(97 + number)), True, number, 100 + number)
        for number in range(count)
    ]
    return [*appends, operation(99, Call("get"), then, 300, 301)]


def test_a_search_that_comes_to_its_bound_says_neither_yes_nor_no() -> None:
    hard = concurrent_appends(12, then="nobody wrote this")
    given_up = linearize(hard, Text(), tries_max=10_000)
    assert (given_up.linearizable, given_up.blocked, given_up.tried) == (None, None, 10_000)


def test_what_is_found_within_the_bound_is_found() -> None:
    easy = concurrent_appends(4, then="abcd")
    found = linearize(easy, Text())
    assert found.linearizable
    assert linearize(easy, Text(), tries_max=found.tried) == found
    assert linearize(easy, Text(), tries_max=found.tried - 1).linearizable is None
    refuted = linearize(concurrent_appends(4, then="x"), Text())
    assert refuted.linearizable is False
    assert linearize(concurrent_appends(4, then="x"), Text(), tries_max=refuted.tried) == refuted


def is_order(order: Sequence[Operation], operations: Sequence[Operation], model: Model) -> bool:
    """Whether `order` is one: complete, within everyone's times, and as one copy answers."""
    known = [each for each in operations if each.result is not UNKNOWN]
    if any(each not in order for each in known):
        return False
    state: Any = model.initial
    for place, each in enumerate(order):
        if any(
            later.result is not UNKNOWN and later.returned_at < each.called_at for later in order[place + 1 :]
        ):
            return False
        possible, state = model.step(state, each.call, each.result)
        if not possible:
            return False
    return True


def by_trying_everything(operations: Sequence[Operation], model: Model) -> bool:
    """The slow obvious way: every order of every choice of those that may not have happened."""
    known = [each for each in operations if each.result is not UNKNOWN]
    lost_ones = [each for each in operations if each.result is UNKNOWN]
    return any(
        is_order(order, operations, model)
        for count in range(len(lost_ones) + 1)
        for happened in itertools.combinations(lost_ones, count)
        for order in itertools.permutations([*known, *happened])
    )


VALUES = st.integers(0, 2)
CALLS = st.one_of(
    st.tuples(st.just(Call("read")), st.one_of(st.none(), VALUES)),
    st.tuples(VALUES.map(lambda value: Call("write", value)), st.just(True)),
    st.tuples(st.tuples(VALUES, VALUES).map(lambda pair: Call("cas", pair)), st.booleans()),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Up to six operations at different times, some of unknown outcome."""
    calls = draw(st.lists(CALLS, min_size=1, max_size=6))
    times = draw(st.permutations(range(1, 2 * len(calls) + 1)))
    operations = []
    for number, (call, result) in enumerate(calls):
        called_at, returned_at = sorted(times[2 * number : 2 * number + 2])
        known = draw(st.integers(0, 3)) > 0
        operations.append(operation(number, call, result if known else UNKNOWN, called_at, returned_at))
    return operations


@given(histories())
def test_it_agrees_with_trying_everything(operations: list[Operation]) -> None:
    found = linearize(operations, Register())
    assert found.linearizable == by_trying_everything(operations, Register())
    if found.linearizable:
        assert is_order(found.order, operations, Register())
