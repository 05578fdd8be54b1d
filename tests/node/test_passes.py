"""Passes: at once when nothing is under way, else together, and never late by more than a moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import groupby

import pytest
import trio
import trio.testing
from folkmoot.node.passes import Passes

MOMENT_S = 0.5
MOST = 10
UNDER_WAY_MOST = 3


class Carrier:
    """Carries passes.

    Args:
        take: awaited by each pass, given its number.

    Attributes:
        begun: when each pass began, and what it carried.
    """

    def __init__(self, take: Callable[[int], Awaitable[None]]) -> None:
        self.begun: list[tuple[float, list[int]]] = []
        self.under_way = self.peak = 0
        self._take = take

    async def carry(self, items: list[int]) -> None:
        self.begun.append((trio.current_time(), items))
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        await self._take(len(self.begun))
        self.under_way -= 1


@asynccontextmanager
async def running(carrier: Carrier) -> AsyncIterator[Passes[int]]:
    passes: Passes[int] = Passes(
        carrier.carry,
        lambda item: item,
        lambda item: item % 2,
        most=MOST,
        under_way_most=UNDER_WAY_MOST,
        moment_s=MOMENT_S,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(passes.run)
        yield passes
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("takes_s", "submitted", "begun"),
    [
        pytest.param(0.1, [(0.0, 1)], [(0.0, [1])], id="alone: at once"),
        pytest.param(0.1, [(0.0, 1), (0.0, 2)], [(0.0, [1, 2])], id="one turn: one pass"),
        pytest.param(0.1, [(0.0, 1), (0.2, 2)], [(0.0, [1]), (0.2, [2])], id="after a pass: at once"),
        pytest.param(
            0.3,
            [(0.0, 1), (0.1, 2), (0.2, 4)],
            [(0.0, [1]), (0.3, [2, 4])],
            id="during a pass: together when it ends",
        ),
        pytest.param(
            9.0,
            [(0.0, 1), (0.1, 2), (0.4, 3), (0.9, 4)],
            [(0.0, [1]), (0.6, [2, 3]), (1.4, [4])],
            id="during a long pass: together after a moment",
        ),
        pytest.param(
            9.0, [(0.0, 1), (0.1, 4), (0.2, 7)], [(0.0, [1]), (0.2, [4, 7])], id="full: without waiting"
        ),
        pytest.param(
            9.0,
            [(0.0, 8), (0.0, 8), (0.0, 8), (0.0, 8)],
            [(0.0, [8, 8]), (0.0, [8, 8])],
            id="more than one pass holds",
        ),
    ],
)
async def test_when_things_are_carried(
    takes_s: float,
    submitted: list[tuple[float, int]],
    begun: list[tuple[float, list[int]]],
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def take(number: int) -> None:
        await trio.sleep(takes_s)

    carrier = Carrier(take)
    start_s = trio.current_time()
    async with running(carrier) as passes:
        for at_s, items in groupby(submitted, lambda each: each[0]):
            await trio.sleep_until(start_s + at_s)
            for _, item in items:
                passes.submit(item)
        await trio.sleep(3.0)
    assert [(round(at_s - start_s, 3), carried) for at_s, carried in carrier.begun] == begun


async def test_origins_take_turns(autojump_clock: trio.testing.MockClock) -> None:
    """Here the even and the odd ones: however many even ones came first, the odd ones are in the first pass.

    What is left does not fill a second pass: full ones begin in one turn of the loop, in any order.
    """

    async def take(number: int) -> None:
        await trio.sleep(0.1)

    carrier = Carrier(take)
    async with running(carrier) as passes:
        for item in (4, 4, 4, 4, 1, 3):
            passes.submit(item)
        await trio.sleep(3.0)
    assert [items for _, items in carrier.begun] == [[4, 1, 4, 3], [4, 4]]


async def test_only_so_many_are_under_way(autojump_clock: trio.testing.MockClock) -> None:
    async def take(number: int) -> None:
        await trio.sleep(5.0)

    carrier = Carrier(take)
    async with running(carrier) as passes:
        for _ in range(2 * UNDER_WAY_MOST):
            passes.submit(MOST)
        await trio.sleep(1.0)
        assert passes.statistics() == (UNDER_WAY_MOST, UNDER_WAY_MOST, UNDER_WAY_MOST, UNDER_WAY_MOST)
        await trio.sleep(100.0)
        assert passes.statistics() == (2 * UNDER_WAY_MOST, 2 * UNDER_WAY_MOST, 0, 0)
    assert carrier.peak == UNDER_WAY_MOST


async def test_a_later_pass_that_ends_first_is_the_one_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The first pass hangs; those after it are quick, and what comes is held up by them alone."""

    async def take(number: int) -> None:
        await trio.sleep(9.0 if number == 1 else 0.1)

    carrier = Carrier(take)
    start_s = trio.current_time()
    async with running(carrier) as passes:
        for item, at_s in ((1, 0.0), (2, 0.1), (3, 0.75), (4, 0.76)):
            await trio.sleep_until(start_s + at_s)
            passes.submit(item)
        await trio.sleep(1.0)
    assert [(round(at_s - start_s, 3), items) for at_s, items in carrier.begun] == [
        (0.0, [1]),
        (0.6, [2]),
        (0.75, [3]),
        (0.85, [4]),
    ]
