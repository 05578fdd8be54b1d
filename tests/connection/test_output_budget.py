"""Many links under one bound: what nobody reads is bounded in all, and those who read are served."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.protocol import limits
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import LinkSettings
from folkmoot.protocol.client.output_budget import OutputBudget, OutputShare
from folkmoot.protocol.connection import Connection, Request
from folkmoot.protocol.errors import BUSY, WireError
from hypothesis import given
from hypothesis import strategies as st

PAGE_BYTES = 100_000
PAGES = 12
TOTAL_BYTES = 40 * PAGE_BYTES
FAIR_BYTES = 3 * PAGE_BYTES
LINKS = 25
SETTINGS = LinkSettings(send_s=1e9)


def pages(link: Link, requests: list[Request]) -> None:
    for request in requests:
        link.respond(request.msgid, bytes(request.params["size"]))


class Hall:
    """Links that share a budget, and what is at their other ends."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.budget = OutputBudget(TOTAL_BYTES, FAIR_BYTES)
        self.peak_bytes = 0
        self._nursery = nursery

    async def greedy(self) -> tuple[Link, trio.abc.Stream]:
        """A link whose other side asks for more than may be held, and reads nothing."""
        here, there = trio.testing.lockstep_stream_pair()
        link = self._serve(there)
        asked = Connection()
        for _ in range(PAGES):
            await here.send_all(asked.request("page", {"size": PAGE_BYTES})[1])
            self.watch()
        await trio.testing.wait_all_tasks_blocked()
        return link, here

    async def reader(self) -> Link:
        """A link that reads what it asked for."""
        here, there = trio.testing.memory_stream_pair()
        self._serve(there)
        asker = Link(here)
        self._nursery.start_soon(asker.run)
        return asker

    def watch(self) -> None:
        self.peak_bytes = max(self.peak_bytes, self.budget.held_bytes)

    def _serve(self, stream: trio.abc.Stream) -> Link:
        link = Link(stream, on_requests=pages, settings=SETTINGS, budget=self.budget)
        self._nursery.start_soon(link.run)
        return link


@asynccontextmanager
async def hall() -> AsyncIterator[Hall]:
    async with trio.open_nursery() as nursery:
        yield Hall(nursery)
        nursery.cancel_scope.cancel()


async def test_what_many_do_not_read_stays_in_bounds_and_others_are_served(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with hall() as held:
        links = []
        for _ in range(LINKS):
            links.append((await held.greedy())[0])
            await trio.sleep(limits.OUTPUT_PATIENCE_S)
        assert LINKS * PAGES * PAGE_BYTES > TOTAL_BYTES > held.peak_bytes > TOTAL_BYTES / 4
        asker = await held.reader()
        for size in (10, PAGE_BYTES, FAIR_BYTES - 100):
            assert len(await asker.call("page", {"size": size})) == size
        gone = [link for link in links if link.ended is not None]
        assert gone == links[: len(gone)] != [], "those who have been slow for longest go first"
        assert all("others needed the room" in link.ended.reason for link in gone if link.ended)


async def test_one_that_is_alone_may_have_much_and_of_many_each_gets_little() -> None:
    async with hall() as held:
        links = [(await held.greedy())[0] for _ in range(LINKS)]
        shares = [link.statistics().buffered_bytes for link in links]
        assert shares[0] > 4 * PAGE_BYTES > PAGE_BYTES > shares[-1]
        assert held.peak_bytes < TOTAL_BYTES


async def test_while_nobody_is_slow_yet_more_is_busy_and_what_is_short_goes_on() -> None:
    async with hall() as held:
        links = [(await held.greedy())[0] for _ in range(LINKS)]
        asker = await held.reader()
        with pytest.raises(WireError) as caught:
            await asker.call("page", {"size": FAIR_BYTES - 100})
        assert caught.value.kind == BUSY
        assert caught.value.retry_after_ms
        assert len(await asker.call("page", {"size": 10})) == 10
        assert all(link.ended is None for link in links)


async def test_who_asks_for_more_than_its_part_gets_nobody_cut(autojump_clock: trio.abc.Clock) -> None:
    async with hall() as held:
        slow = [(await held.greedy())[0] for _ in range(2)]
        await trio.sleep(10 * limits.OUTPUT_PATIENCE_S)
        greedy, _ = await held.greedy()
        assert greedy.statistics().buffered_bytes > FAIR_BYTES
        assert all(link.ended is None for link in slow)


async def test_what_an_ended_link_held_is_free_again() -> None:
    async with hall() as held:
        link, stream = await held.greedy()
        assert held.budget.held_bytes > 0
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert link.ended is not None
        assert held.budget.held_bytes == link.statistics().buffered_bytes == 0


async def test_one_who_trickles_is_slower_than_one_who_reads_it_all(autojump_clock: trio.abc.Clock) -> None:
    cut: list[str] = []
    budget = OutputBudget(2_000_000, 700_000)
    trickling = budget.share(10**6, lambda: cut.append("trickling"))
    prompt = budget.share(10**6, lambda: cut.append("prompt"))
    newcomer = budget.share(10**6, lambda: cut.append("newcomer"))
    trickling.take(400_000)
    for _ in range(20):
        prompt.take(400_000)
        await trio.sleep(0.5)
        trickling.give_back(10_000)
        trickling.take(10_000)
        prompt.give_back(400_000)
    prompt.take(400_000)
    assert trickling.behind_s(trio.current_time()) == pytest.approx(10.0)
    assert newcomer.has_room(180_000)
    assert cut == ["trickling"]


async def test_the_bound_holds_even_for_what_may_not_be_refused() -> None:
    cut: list[OutputShare] = []
    budget = OutputBudget(1_000)
    shares = [budget.share(10**6, lambda: cut.append(shares[0])) for _ in range(2)]
    for _ in range(20):
        shares[0].take(60)
        shares[1].take(30)
        shares[1].give_back(30)
        assert budget.held_bytes <= 1_000
    assert cut == [shares[0]]
    assert budget.held_bytes == 0


OPERATIONS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("+-xc"), st.integers(1, 500)), max_size=60)


@given(OPERATIONS)
def test_the_sum_is_what_the_shares_hold(operations: list[tuple[int, str, int]]) -> None:
    async def check() -> None:
        budget = OutputBudget(2_000)
        shares = [budget.share(10**6, lambda: None) for _ in range(4)]
        for number, operation, size in operations:
            share: Any = shares[number]
            if operation == "+":
                share.take(size)
            elif operation == "-":
                share.give_back(min(size, share.held_bytes))
            elif operation == "x":
                share.close()
            else:
                budget.has_room(share.held_bytes + size)
            assert budget.held_bytes == sum(each.held_bytes for each in shares) <= 2_000
            assert all(each.held_bytes >= 0 for each in shares)

    trio.run(check)
