"""A schedule is kept, and every delay counts from when its request was due: on virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing
from folkmoot.cli.bench.graph import made_up_graph
from folkmoot.cli.bench.mixes import Action, Deed
from folkmoot.cli.bench.people import People
from folkmoot.cli.bench.replay import Due, Replay
from folkmoot.cli.journal import Journal, read_journal
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.connection import Request
from folkmoot.protocol.errors import BUSY, WireError

from tests.bench.standing_in import answered_by, stored

PEOPLE = People(1, made_up_graph(Random(1), 20))
BEGAN_US = 1_700_000_000_000_000


def reads(times_s: Sequence[float]) -> list[Due]:
    return [Due(due_s, Action.HOME, "feed.home", {"account": bytes(34)}) for due_s in times_s]


def writes(times_s: Sequence[float]) -> list[Due]:
    random = Random(2)
    made = []
    for due_s in times_s:
        record = PEOPLE.written(Deed(due_s, Action.POST, 3), BEGAN_US, random, None)
        params = {"records": [record.to_wire()], "level": "quorum"}
        made.append(Due(due_s, Action.POST, "record.put", params, record))
    return made


def every(step_s: float, count: int) -> list[float]:
    return [step_s * number for number in range(count)]


async def test_requests_are_sent_when_they_are_due(autojump_clock: trio.testing.MockClock) -> None:
    began = trio.current_time()
    at_s: list[float] = []

    def answer(server: Link, request: Request) -> None:
        at_s.append(trio.current_time() - began)
        stored(server, request)

    async with answered_by(answer) as one, answered_by(answer) as other:
        replay = Replay([one, other], reads([0.5, 1.0, 1.0, 7.0]), "quorum", None)
        seconds = await replay.run()
    assert at_s == pytest.approx([0.5, 1.0, 1.0, 7.0]) and seconds == pytest.approx(7.0)
    assert replay.tally.clean and list(replay.tally.lag_ms) == [7] * 4
    assert replay.tally.behind_s == pytest.approx(0.0)


async def test_a_stall_counts_for_everything_it_held_up(autojump_clock: trio.testing.MockClock) -> None:
    """One second of silence: what was due in it waits half a second on average, and asking goes on."""
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
        replay = Replay([client], reads(every(0.01, 1_000)), "quorum", None)
        await replay.run()
    late = [late_s for late_s in replay.tally.late_s[Action.HOME] if late_s > 0.005]
    assert len(replay.tally.late_s[Action.HOME]) == 1_000
    assert len(late) == pytest.approx(100, abs=2) and sum(late) / len(late) == pytest.approx(0.5, abs=0.02)


async def test_what_could_not_be_sent_in_time_is_late(autojump_clock: trio.testing.MockClock) -> None:
    """Only so many may be unanswered on a link: the rest wait, and how far sending fell behind is told."""
    async with trio.open_nursery() as nursery:
        turn = trio.Lock()

        async def answer_in_turn(server: Link, request: Request) -> None:
            async with turn:
                await trio.sleep(0.02)
                stored(server, request)

        async with answered_by(lambda *asked: nursery.start_soon(answer_in_turn, *asked)) as client:
            replay = Replay([client], reads(every(0.01, 1_000)), "quorum", None)
            seconds = await replay.run()
    assert seconds == pytest.approx(20.0, abs=0.5) and replay.tally.clean
    assert max(replay.tally.late_s[Action.HOME]) == pytest.approx(10.0, abs=0.5)
    assert replay.tally.behind_s > 1.0


async def test_outcomes_are_counted_and_promises_journalled(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    numbers = iter(range(10**6))

    def answer(server: Link, request: Request) -> None:
        number = next(numbers)
        if number % 4 == 3:
            server.refuse(request.msgid, WireError(BUSY, "not now"))
            return
        status = ("stored", "refused", "uncertain")[number % 4]
        server.respond(request.msgid, {"results": [{"id": bytes(32), "status": status}], "token": b""})

    requests = writes(every(0.1, 8))
    file = tmp_path / "run.journal"
    with Journal(file, "town") as journal:
        async with answered_by(answer) as client:
            replay = Replay([client], requests, "quorum", journal)
            await replay.run()
    assert replay.tally.statuses == {"stored": 2, "refused": 2, "uncertain": 2}
    assert replay.tally.failed == {"post: busy": 2} and not replay.tally.clean
    promised = [entry.id for entry in read_journal(file, "town")]
    assert promised == [request.record.id for request in requests[::4] if request.record]
    summary = replay.tally.summary(1.0)
    assert summary["actions"]["post"]["count"] == 6 and summary["failed"] == {"post: busy": 2}


async def test_what_is_never_answered_is_said(autojump_clock: trio.testing.MockClock) -> None:
    async with answered_by(lambda server, request: None) as client:
        replay = Replay([client], reads(every(0.01, 1_000)), "quorum", None)
        await replay.run()
    assert replay.tally.unanswered == 1_000 and not replay.tally.clean


async def test_a_stopped_run_waits_for_its_answers_only(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:

        async def answer_later(server: Link, request: Request) -> None:
            await trio.sleep(1.0)
            stored(server, request)

        async with answered_by(lambda *asked: nursery.start_soon(answer_later, *asked)) as client:
            replay = Replay([client], reads(every(0.1, 10_000)), "quorum", None)

            async def stop() -> None:
                await trio.sleep(5.05)
                replay.stop()

            nursery.start_soon(stop)
            seconds = await replay.run()
    assert seconds == pytest.approx(6.0, abs=0.2) and replay.tally.clean
    assert len(replay.tally.late_s[Action.HOME]) == 51


async def test_nothing_to_do_is_done_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with answered_by(stored) as client:
        assert await Replay([client], [], "quorum", None).run() == 0.0
