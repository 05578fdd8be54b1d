"""Answers that leave from the task that made them: bytes, bounds and deadlines are as if they had waited."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from folkmoot.protocol import codec, limits
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import LinkSettings
from folkmoot.protocol.client.outbox import Outbox, Prompt
from folkmoot.protocol.client.output_budget import OutputBudget
from folkmoot.protocol.connection import Connection, Request, Response
from hypothesis import given
from hypothesis import strategies as st

SEND_S = 5.0


class Window(trio.abc.Stream):
    """A stream that takes as many bytes as there is room for, and notes by which way they came."""

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self.taken = bytearray()
        self.at_once: list[int] = []
        self.waited: list[int] = []
        self.incoming = trio.testing.MemoryReceiveStream()
        self._opened = trio.lowlevel.ParkingLot()
        self._sending = False

    def open(self, room: int) -> None:
        self.room += room
        self._opened.unpark_all()

    def send_now(self, data: bytes) -> int:
        assert not self._sending, "two tasks send at the same time"
        self.at_once.append(self._take(data))
        return self.at_once[-1]

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self.waited.append(len(data))
        rest = bytes(data)
        self._sending = True
        while rest := rest[self._take(rest) :]:
            await self._opened.park()
        self._sending = False

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.incoming.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.incoming.aclose()

    def _take(self, data: bytes) -> int:
        size = min(self.room, len(data))
        self.room -= size
        self.taken += data[:size]
        return size


def fill(link: Link, requests: list[Request]) -> None:
    for request in requests:
        link.respond(request.msgid, bytes(request.params["size"]))


@asynccontextmanager
async def serving(stream: trio.abc.Stream, budget: OutputBudget | None = None) -> AsyncIterator[Link]:
    settings = LinkSettings(send_s=SEND_S)
    link = Link(stream, on_requests=fill, settings=settings, budget=budget)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        yield link
        nursery.cancel_scope.cancel()


def asking(*sizes: int) -> tuple[Connection, bytes]:
    """A connection, and what it asks for: answers of these sizes."""
    asked = Connection()
    return asked, b"".join(asked.request("fill", {"size": size})[1] for size in sizes)


def answers(asked: Connection, taken: bytearray) -> list[int]:
    """The sizes of the answers that have arrived whole."""
    events = asked.receive(taken)
    assert all(isinstance(event, Response) and event.error is None for event in events)
    return [len(event.result) for event in events if isinstance(event, Response)]


async def test_what_one_read_asked_leaves_at_once_in_one_piece() -> None:
    stream = Window(10**6)
    assert isinstance(stream, Prompt)
    async with serving(stream) as link:
        asked, requests = asking(*range(100, 150))
        stream.incoming.put_data(requests)
        await trio.testing.wait_all_tasks_blocked()
        assert (len(stream.at_once), stream.waited) == (1, [])
        assert answers(asked, stream.taken) == list(range(100, 150))
        figures = link.statistics()
        assert (figures.flushes, figures.sent_bytes) == (1, len(stream.taken))
        assert figures.buffered_bytes == figures.unanswered == 0


async def test_what_another_task_says_waits_for_the_flushing_task() -> None:
    stream = Window(10**6)
    async with serving(stream) as link:
        await trio.testing.wait_all_tasks_blocked()
        link.notify("news", {})
        assert not stream.taken
        await trio.testing.wait_all_tasks_blocked()
        assert (stream.at_once, stream.waited) == ([], [len(stream.taken)])


@given(
    st.lists(st.lists(st.integers(0, 3 * limits.FLUSH_BYTES), max_size=4), max_size=4),
    st.lists(st.integers(0, 2 * limits.FLUSH_BYTES), max_size=12),
)
def test_all_arrives_in_order_however_little_is_taken_at_once(
    reads: list[list[int]], rooms: list[int]
) -> None:
    """And what is held is at every moment what was asked for and not taken yet; nothing asked is too much."""
    assert 4 * 4 * 3 * limits.FLUSH_BYTES < limits.OUTPUT_BYTES

    async def check() -> None:
        stream, budget = Window(), OutputBudget(16 * limits.OUTPUT_BYTES)
        asked = Connection()
        promised = 0
        waiting = list(rooms)
        async with serving(stream, budget) as link:

            async def settle() -> None:
                await trio.testing.wait_all_tasks_blocked()
                held, untaken = link.statistics().buffered_bytes, promised - len(stream.taken)
                assert budget.held_bytes == held <= promised - link.statistics().sent_bytes
                # Of a flush on its way, what was taken counts as held until all of it is.
                assert untaken <= held <= untaken + limits.FLUSH_BYTES

            for sizes in reads:
                for size in sizes:
                    msgid, request = asked.request("fill", {"size": size})
                    promised += len(asked.response(msgid, bytes(size)))
                    stream.incoming.put_data(request)
                await settle()
                if waiting:
                    stream.open(waiting.pop(0))
                    await settle()
            stream.open(10**9)
            await settle()
            assert link.statistics().buffered_bytes == budget.held_bytes == 0
            assert answers(asked, stream.taken) == [size for sizes in reads for size in sizes]

    trio.run(check)


async def test_who_takes_a_part_at_once_and_no_more_is_cut_off(autojump_clock: trio.abc.Clock) -> None:
    stream = Window(100)
    async with serving(stream) as link:
        stream.incoming.put_data(asking(1_000, 1_000)[1])
        await trio.testing.wait_all_tasks_blocked()
        assert len(stream.taken) == 100
        assert link.statistics().buffered_bytes == sum(stream.waited)
        began = trio.current_time()
        with trio.move_on_after(10 * SEND_S):
            while link.ended is None:
                stream.incoming.put_data(asking(1)[1])  # asking on does not make a reader faster
                await trio.sleep(0.1)
        assert link.ended is not None and "too slowly" in link.ended.reason
        assert SEND_S <= trio.current_time() - began <= SEND_S + 0.2
        assert len(stream.at_once) == 1, "while the rest waits nothing may overtake it"


async def test_what_ends_the_link_takes_what_gathered_along() -> None:
    stream = Window(10**6)
    async with serving(stream) as link:
        asked, requests = asking(7)
        stream.incoming.put_data(requests + b"\xc1")
        await trio.testing.wait_all_tasks_blocked()
        answer, goodbye = asked.receive(stream.taken)
        assert answer == Response(0, None, bytes(7))
        assert getattr(goodbye, "method", None) == "goodbye"
        assert link.ended is not None


async def test_a_busy_link_lives_and_dies_of_silence_in_time(autojump_clock: trio.abc.Clock) -> None:
    """The deadline moves by steps, and not once too early."""
    idle_s = 60.0
    stream = Window(10**6)
    link = Link(stream, on_requests=fill, settings=LinkSettings(idle_s=idle_s))
    message = codec.pack([2, "m", [{}]])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        for pause_s in (0.1, 0.3, 0.4, 7.0, 59.9, 0.2, 59.9, 59.9):
            stream.incoming.put_data(message)
            await trio.sleep(pause_s)
            assert link.ended is None
        stream.incoming.put_data(message)
        began = trio.current_time()
    assert idle_s <= trio.current_time() - began <= idle_s + limits.IDLE_STEP_S + link.settings.close_s


@pytest.mark.parametrize("room", [0, 10, 10**6])
async def test_discarding_in_the_midst_of_gathering_sends_nothing(room: int) -> None:
    stream, budget = Window(room), OutputBudget()
    outbox = Outbox(stream, SEND_S, budget.share(10**6, lambda: None))
    outbox.gather()
    outbox.append(b"x" * 100)
    outbox.discard()
    outbox.send_gathered()
    await outbox.flush_until_finished()
    assert not stream.taken and budget.held_bytes == 0
