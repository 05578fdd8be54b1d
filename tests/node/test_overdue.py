"""Overdue: what is not answered is given up after the patience, what is answered is not."""

from __future__ import annotations

import trio
import trio.testing
from folkmoot.node.overdue import Overdue

PATIENCE_S = 10.0


async def test_each_is_given_up_in_its_own_time(autojump_clock: trio.testing.MockClock) -> None:
    overdue = Overdue(PATIENCE_S)
    given_up: list[tuple[str, float]] = []
    start_s = trio.current_time()

    def watch(thing: str) -> None:
        overdue.watch(thing, lambda: given_up.append((thing, trio.current_time() - start_s)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(overdue.run)
        await trio.sleep(1.0)
        for thing in ("early", "answered"):
            watch(thing)
        await trio.sleep(3.0)
        watch("late")
        overdue.forget("answered")
        await trio.sleep(100.0)
        watch("after a rest")
        await trio.sleep(100.0)
        nursery.cancel_scope.cancel()
    assert [(thing, round(at_s, 3)) for thing, at_s in given_up] == [
        ("early", 11.0),
        ("late", 14.0),
        ("after a rest", 114.0),
    ]
