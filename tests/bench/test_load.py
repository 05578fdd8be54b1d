"""Load against a stand-in whose slowness is planned, on virtual time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.cli.bench.links import PATIENCE_S
from folkmoot.cli.bench.load import Load, LoadPlan
from folkmoot.cli.bench.posts import presigned_posts
from folkmoot.cli.journal import Journal, read_journal
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.connection import Request
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.record import Record

from tests.bench.standing_in import answered_by, stored

CLUSTER = "town"


def plan(**changes: Any) -> LoadPlan:
    """Ten seconds of a hundred single posts a second, but for `changes`."""
    usual = LoadPlan(level="quorum", seconds=10.0, rate=100.0, batch=1, window=4, read_share=0.0)
    return replace(usual, **changes)


def posts(count: int) -> list[Record]:
    return presigned_posts(count, 3, Random(1))


async def test_open_loop_counts_a_stall_for_everything_it_held_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """One second of silence delays a second's arrivals, by half a second on average."""
    began = trio.current_time()
    silent: list[tuple[Link, Request]] = []

    def stalls(server: Link, request: Request) -> None:
        if 4.0 <= trio.current_time() - began < 5.0:
            silent.append((server, request))
        else:
            while silent:
                stored(*silent.pop(0))
            stored(server, request)

    async with answered_by(stalls) as client:
        load = Load([client], plan(), posts(2_000), Random(2), None)
        await load.run()
    late = [latency_s for latency_s in load.tally.put_s if latency_s > 0.01]
    assert load.tally.clean
    assert 900 < len(load.tally.put_s) < 1_100
    assert 70 < len(late) < 130
    assert 0.4 < sum(late) / len(late) < 0.6


async def test_open_loop_counts_from_when_a_request_was_due(autojump_clock: trio.testing.MockClock) -> None:
    """More arrives than may be unanswered: what had to wait for its turn to be sent is late, too."""

    async with trio.open_nursery() as nursery:

        async def answer_in_turn(server: Link, request: Request) -> None:
            async with turn:
                await trio.sleep(0.02)
                stored(server, request)

        turn = trio.Lock()
        async with answered_by(lambda *asked: nursery.start_soon(answer_in_turn, *asked)) as client:
            load = Load([client], plan(rate=100.0, seconds=10.0), posts(2_000), Random(3), None)
            seconds = await load.run()
    assert load.tally.clean
    assert 17 < seconds < 23
    assert max(load.tally.put_s) > 8


async def test_a_closed_loop_keeps_its_window_full(autojump_clock: trio.testing.MockClock) -> None:
    most = unanswered = 0
    async with trio.open_nursery() as nursery:

        async def answer_later(server: Link, request: Request) -> None:
            nonlocal most, unanswered
            unanswered += 1
            most = max(most, unanswered)
            await trio.sleep(0.1)
            unanswered -= 1
            stored(server, request)

        async with answered_by(lambda *asked: nursery.start_soon(answer_later, *asked)) as client:
            load = Load([client], plan(rate=None, window=3, batch=2), posts(1_000), Random(4), None)
            await load.run()
    assert most == 3
    assert load.tally.clean and load.tally.acknowledged == pytest.approx(3 * 2 * 10 / 0.1, rel=0.05)
    assert not load.used_up


async def test_posts_that_are_used_up_end_the_run(autojump_clock: trio.testing.MockClock) -> None:
    async with answered_by(stored) as client:
        load = Load([client], plan(rate=None, batch=64), posts(100), Random(5), None)
        seconds = await load.run()
    assert load.used_up and load.tally.acknowledged == 100
    assert seconds < 1


async def test_what_is_never_answered_is_said(autojump_clock: trio.testing.MockClock) -> None:
    async with answered_by(lambda server, request: None) as client:
        load = Load([client], plan(rate=None, window=3, seconds=1.0), posts(100), Random(6), None)
        began = trio.current_time()
        await load.run()
    assert load.tally.unanswered == 3 and not load.tally.clean
    assert trio.current_time() - began < PATIENCE_S + 2


async def test_due_requests_that_could_not_be_sent_are_unanswered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with answered_by(lambda server, request: None) as client:
        load = Load([client], plan(rate=100.0, seconds=10.0), posts(2_000), Random(7), None)
        await load.run()
    assert 900 < load.tally.unanswered < 1_100


async def test_a_broken_link_fails_what_it_carried(autojump_clock: trio.testing.MockClock) -> None:
    async with answered_by(lambda server, request: server.close()) as client:
        load = Load([client], plan(rate=None, window=3, seconds=1.0), posts(100), Random(8), None)
        await load.run()
    assert load.tally.failed["link_broken"] >= 1 and not load.tally.unanswered


async def test_refusals_are_counted_by_name_and_do_not_spin(autojump_clock: trio.testing.MockClock) -> None:
    def refuse(server: Link, request: Request) -> None:
        server.refuse(request.msgid, WireError(BUSY, "not now"))

    async with answered_by(refuse) as client:
        load = Load([client], plan(rate=None, seconds=1.0), posts(1_000), Random(9), None)
        await load.run()
    assert set(load.tally.failed) == {"busy"}
    assert load.tally.failed["busy"] < 200


async def test_pages_are_the_share_that_was_asked_for(autojump_clock: trio.testing.MockClock) -> None:
    async with answered_by(stored) as client:
        wanted = plan(rate=200.0, read_share=0.75, batch=4)
        load = Load([client], wanted, posts(2_000), Random(10), None)
        await load.run()
    pages = len(load.tally.page_s)
    assert pages / (pages + load.tally.acknowledged) == pytest.approx(0.75, abs=0.05)
    assert (pages + load.tally.acknowledged) / 10.0 == pytest.approx(200, rel=0.1)


async def test_only_promises_are_journalled(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    numbers = iter(range(10**6))

    def every_third(server: Link, request: Request) -> None:
        status = ("stored", "refused", "uncertain")[next(numbers) % 3]
        server.respond(request.msgid, {"results": [{"id": bytes(32), "status": status}], "token": b""})

    file = tmp_path / "load.journal"
    signed = posts(30)
    with Journal(file, CLUSTER) as journal:
        async with answered_by(every_third) as client:
            load = Load([client], plan(rate=None, window=1), signed, Random(11), journal)
            await load.run()
    promised = list(read_journal(file, CLUSTER))
    assert [entry.id for entry in promised] == [record.id for record in signed[::3]]
    assert {entry.level for entry in promised} == {"quorum"}
    assert load.tally.statuses == {"stored": 10, "refused": 10, "uncertain": 10}


async def test_a_stopped_run_waits_for_its_answers_only(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:

        async def answer_later(server: Link, request: Request) -> None:
            await trio.sleep(1.0)
            stored(server, request)

        async with answered_by(lambda *asked: nursery.start_soon(answer_later, *asked)) as client:
            load = Load([client], plan(seconds=1_000.0), posts(20_000), Random(12), None)

            async def stop() -> None:
                await trio.sleep(5.0)
                load.stop()

            nursery.start_soon(stop)
            seconds = await load.run()
    assert seconds == pytest.approx(6.0, abs=0.2)
    assert load.tally.clean
