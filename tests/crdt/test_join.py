"""The laws of the join over reachable states, and joins that break them, each of which must be caught."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from folkmoot.protocol.crdt import cell as cells
from folkmoot.protocol.crdt import clock as clocks
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.limits import CELL_HISTORY
from folkmoot.protocol.record import Record
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crdt.laws import (
    CHECKS,
    check_convergence,
    check_definition,
    check_laws,
    check_nothing_returns,
    check_shape,
)
from tests.crdt.world import Join, World

Check = Callable[[World], None]

# A short history is cut often, which is where its order matters; the real bound is cut by long runs only.
HISTORIES = (CELL_HISTORY, 2)


@pytest.mark.parametrize("kind", ["post", "profile", "follow"])
@pytest.mark.parametrize("bound", HISTORIES)
@settings(max_examples=120)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60), devices=st.integers(1, 5))
def test_the_join_keeps_its_laws(kind: str, bound: int, seed: int, steps: int, devices: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "CELL_HISTORY", bound)
        world = World(Random(seed), kind=kind, devices=devices, history_max=bound)
        world.write()
        world.run(steps)
        for check in CHECKS:
            check(world)


def forgets_clocks(one: Cell, other: Cell) -> Cell:
    """Keeps what either side holds, whatever the other had already superseded."""
    return join(Cell(one.survivors, {}, one.history), Cell(other.survivors, {}, other.history))


def believes_the_wall_clock(one: Cell, other: Cell) -> Cell:
    """Last writer wins: concurrent records of other devices are lost."""
    joined = join(one, other)
    return Cell(joined.survivors[:1], joined.clock, joined.history)


def prefers_its_own(one: Cell, other: Cell) -> Cell:
    """Of two records under one dot, or two signatures, keeps what it had."""
    joined = join(one, other)
    mine = {(record.device, record.stamp): record for record in one.survivors}
    survivors = [mine.get((record.device, record.stamp), record) for record in joined.survivors]
    return Cell(tuple(survivors), joined.clock, joined.history)


def keeps_siblings_of_deletions(one: Cell, other: Cell) -> Cell:
    """Lets a deletion stand beside what it had not seen."""
    return Cell(
        tuple(dict.fromkeys((*join(one, other).survivors, *other.survivors, *one.survivors))),
        clocks.join(one.clock, other.clock),
    )


def keeps_all_history(one: Cell, other: Cell) -> Cell:
    """Never cuts the history."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "CELL_HISTORY", 1000)
        return join(one, other)


def orders_history_by_id(one: Cell, other: Cell) -> Cell:
    """Cuts the history by (stamp, id), so that a twin under one dot changes what else is kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_recency", lambda record: (record.stamp, record.id))
        return join(one, other)


def keeps_what_was_erased(one: Cell, other: Cell) -> Cell:
    """Goes by what it has superseded, and does not look at what has been erased."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Record, "erases", property(lambda record: False))
        return join(one, other)


def forgets_erasing_twins(one: Cell, other: Cell) -> Cell:
    """Of two records under one dot, keeps the smaller id though it erases nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_preference", lambda record: (record.id, record.signature))
        return join(one, other)


def forgets_history(one: Cell, other: Cell) -> Cell:
    """Keeps what it superseded itself, and drops what the other side had."""
    joined = join(one, other)
    return Cell(
        joined.survivors, joined.clock, tuple(old for old in joined.history if old not in other.history)
    )


BROKEN: tuple[Join, ...] = (
    forgets_clocks,
    believes_the_wall_clock,
    prefers_its_own,
    keeps_siblings_of_deletions,
    keeps_all_history,
    orders_history_by_id,
    forgets_history,
)


def survives(check: Check, broken: Join, kind: str = "post") -> bool:
    """Whether 150 seeded worlds show nothing wrong with `broken`."""
    for seed in range(150):
        world = World(Random(seed), join=broken, kind=kind, devices=4, history_max=2)
        try:
            world.write()
            world.run(40)
            check(world)
        except (AssertionError, WireError):
            return False
    return True


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_join_is_caught(broken: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "CELL_HISTORY", 2)
    assert not survives(check_definition, broken)


@pytest.mark.parametrize("kind", ["profile", "follow"])
@pytest.mark.parametrize(
    ("check", "broken"),
    [(check_definition, keeps_what_was_erased), (check_laws, forgets_erasing_twins)],
    ids=lambda function: function.__name__,
)
def test_a_join_that_does_not_erase_is_caught(
    check: Check, broken: Join, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "CELL_HISTORY", 2)
    assert not survives(check, broken, kind)


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        (check_laws, orders_history_by_id),
        (check_laws, prefers_its_own),
        (check_convergence, forgets_history),
        (check_nothing_returns, forgets_clocks),
        (check_shape, keeps_siblings_of_deletions),
    ],
    ids=lambda function: function.__name__,
)
def test_every_law_can_fail(check: Check, broken: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "CELL_HISTORY", 2)
    assert not survives(check, broken)


def test_long_lives_keep_sixteen_devices_and_sixteen_superseded_records() -> None:
    world = World(Random(16), kind="profile", devices=16, nodes=5)
    world.run(1500)
    for check in CHECKS:
        check(world)
    assert max(len(state.cell.history) for state in world.reached()) == CELL_HISTORY
    assert max(len(state.cell.survivors) for state in world.reached()) > 4
