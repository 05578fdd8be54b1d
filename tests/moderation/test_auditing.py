"""Counting on one node: how long a text and a step may take, whatever sets of words a client declares."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import trio.testing
from folkmoot.node.moderation.auditing import Auditor, Question
from folkmoot.node.moderation.budget import Budget
from folkmoot.node.moderation.dialects import Dialects
from folkmoot.node.slice_search import Around
from folkmoot.node.system import SystemWallClock
from folkmoot.protocol.errors import LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.limits import MIB
from folkmoot.protocol.moderation.bounds import AUDIT_STEP_S, JUDGING_S
from folkmoot.protocol.moderation.fairness.counting import By
from folkmoot.protocol.moderation.fairness.tally import EVERYBODY
from folkmoot.storage.memory_engine import MemoryEngine

from tests.moderation.documents import HEAD, word_list
from tests.node.alone import Ranges
from tests.node.doubles import TickingExecutor
from tests.storage.making import open_store, person, post, put

ME = bytes(16)
NESTED = (HEAD + word_list("nested", ["a" * length for length in range(1, 101)], match="anywhere")).encode()


class Counting(TickingExecutor):
    """See there.

    Attributes:
        steps: how often something was done.
    """

    steps = 0

    async def run(self, work: Any) -> Any:
        self.steps += 1
        return await super().run(work)


class Router:
    node_id = ME
    counts_itself = True

    def readers(self, slots: Sequence[Any], level: str, failed: set[bytes]) -> list[bytes] | None:
        return None if failed else [ME]

    def unreachable(self, slots: Sequence[Any], level: str, failed: set[bytes]) -> WireError:
        return WireError(LEVEL_UNREACHABLE, "nobody answers")


def auditor(executor: TickingExecutor, posts: int) -> Auditor:
    """One of a node that keeps so many posts."""
    store = open_store(MemoryEngine(cap_bytes=64 * MIB))
    put(store, *(post(person(1), number, "a" * 300) for number in range(posts)))
    roster = SimpleNamespace(current=lambda: SimpleNamespace(roster=SimpleNamespace(nodes=())))
    none: Any = None
    around = Around(cast(Any, Router()), Ranges([ME]), none, executor)
    return Auditor(around, cast(Any, roster), store, SystemWallClock())


def test_a_text_that_takes_too_long_is_in_no_set() -> None:
    dialects = Dialects(NESTED)
    assert dialects.sets_in("a" * 3_000) == {"test"}
    clock = TickingExecutor(JUDGING_S / 10)
    assert dialects.sets_in("a" * 3_000, Budget(clock.spent_s, 0.0)) == ()
    assert clock.looks == 11


async def test_a_step_ends_when_its_time_is_over(autojump_clock: trio.testing.MockClock) -> None:
    for by, dialects in ((By.LANGUAGE, b""), (By.DIALECT, NESTED)):
        executor = Counting(AUDIT_STEP_S / 5)
        made = auditor(executor, 30)
        page = await made.page(b"", Question(0, by, dialects))
        assert page.resume is None and page.tally.of(EVERYBODY).posts == 30
        assert executor.steps >= 30 // 5
