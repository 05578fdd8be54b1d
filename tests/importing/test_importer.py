"""The importer over a scripted client, on virtual time: what it sends again, writes down and resumes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.cli.errors import Unreachable
from folkmoot.cli.importing.authors import Authors, open_authors
from folkmoot.cli.importing.checkpoint import read_checkpoint
from folkmoot.cli.importing.importer import Importer, ImportPlan, ImportResult
from folkmoot.cli.importing.sending import PATIENCE_S, Batch, Frontier
from folkmoot.cli.journal import read_journal
from folkmoot.node.data_directory import DataDirectoryError
from folkmoot.protocol.client import LinkBroken, PutResult
from folkmoot.protocol.client.link_terms import Ended
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, WireError
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins

from tests.importing.making import SEED, Answer, ScriptedClient, all_stored, entry, stored, write_source

Frames = Sequence[tuple[bytes, bytes]]


def plan(directory: Path, lines: int = 20, **changes: Any) -> ImportPlan:
    file = directory / "posts.jsonl"
    if not file.exists():
        write_source(file, [to_builtins(entry(number)) for number in range(lines)])
    fields: dict[str, Any] = {
        "source": file,
        "authors": Authors(SEED),
        "state": directory / "state",
        "cluster": "c",
        "batch_records": 5,
    }
    return ImportPlan(**(fields | changes))


async def run(client: ScriptedClient, wanted: ImportPlan) -> ImportResult:
    return await Importer(client.as_client(), wanted).run()


def checkpoint(wanted: ImportPlan) -> int | None:
    found = read_checkpoint(wanted.state / f"{wanted.name}.checkpoint")
    return None if found is None else found.line


def raising(error: Exception) -> Answer:
    def answer(frames: Frames) -> list[PutResult]:
        raise error

    return answer


def with_first(status: str, **error: Any) -> Answer:
    return lambda frames: [stored(frames[0], status, **error), *all_stored(frames[1:])]


def uncertain_for(*texts: str) -> Answer:
    """Whatever is sent how often, the posts with these texts reach one replica of three."""
    error = {"name": "level_unreachable", "message": "one of three", "retryable": True}

    def answer(frames: Frames) -> list[PutResult]:
        return [
            stored(frame, "uncertain", **error) if Record(*frame).body["text"] in texts else stored(frame)
            for frame in frames
        ]

    return answer


async def test_everything_is_sent_once_and_written_down(tmp_path: Path) -> None:
    client, wanted = ScriptedClient(all_stored), plan(tmp_path)
    result = await run(client, wanted)
    assert (result.tally.read, result.tally.stored, result.stopped) == (20, 20, False)
    sent = [record_id for put in client.puts for record_id in put]
    assert len(client.puts) == 4 and len(set(sent)) == 20
    assert {each.id for each in read_journal(result.journal, "c")} == set(sent)
    assert checkpoint(wanted) == 20 and result.report is None


async def test_an_uncertain_record_is_sent_again_and_only_that(tmp_path: Path, autojump_clock: Any) -> None:
    client = ScriptedClient(uncertain_for("words 3"), all_stored)
    result = await run(client, plan(tmp_path, lines=5))
    assert [len(put) for put in client.puts] == [5, 1]
    assert result.tally.stored == 5 and not result.tally.uncertain


async def test_what_stays_uncertain_is_listed_not_journalled_and_resumed_from(
    tmp_path: Path, autojump_clock: Any
) -> None:
    client, wanted = ScriptedClient(uncertain_for("words 6", "words 11")), plan(tmp_path, lines=12)
    began = trio.current_time()
    result = await run(client, wanted)
    assert trio.current_time() - began >= PATIENCE_S
    assert (result.tally.stored, result.tally.uncertain) == (10, 2)
    assert len(list(read_journal(result.journal, "c"))) == 10
    assert result.report is not None
    listed = [json.loads(line) for line in result.report.read_text().splitlines()]
    assert {each["status"] for each in listed} == {"uncertain"} and len(listed) == 2
    assert checkpoint(wanted) == 5
    again = await run(ScriptedClient(all_stored), wanted)
    assert (again.tally.resumed, again.tally.stored) == (5, 7)
    assert checkpoint(wanted) == 12


async def test_what_is_done_is_not_sent_again_unless_asked_for(tmp_path: Path) -> None:
    wanted = plan(tmp_path)
    await run(ScriptedClient(all_stored), wanted)
    client = ScriptedClient(all_stored)
    done = await run(client, wanted)
    assert (done.tally.read, done.tally.resumed, client.puts) == (20, 20, [])
    assert len(list(read_journal(done.journal, "c"))) == 20
    assert (await run(client, plan(tmp_path, level="all"))).tally.stored == 20, "another promise"
    assert (await run(client, plan(tmp_path, again=True))).tally.stored == 20


async def test_after_a_limit_the_rest_follows_and_a_file_that_has_grown_is_another(tmp_path: Path) -> None:
    client, wanted = ScriptedClient(all_stored), plan(tmp_path)
    assert (await run(client, plan(tmp_path, limit=7))).tally.stored == 7
    assert (await run(client, wanted)).tally.stored == 13
    write_source(wanted.source, [to_builtins(entry(number)) for number in range(25)])
    assert (await run(client, plan(tmp_path))).tally.stored == 25


async def test_what_was_refused_is_asked_for_another_time(tmp_path: Path) -> None:
    refusing = with_first("refused", name="refused_by_policy", message="no", retryable=False)
    wanted = plan(tmp_path, lines=5)
    assert (await run(ScriptedClient(refusing), wanted)).tally.refused == 1
    assert checkpoint(wanted) is None
    assert (await run(ScriptedClient(all_stored), wanted)).tally.stored == 5


async def test_a_level_that_cannot_be_reached_ends_it(tmp_path: Path, autojump_clock: Any) -> None:
    wanted = plan(tmp_path, lines=100)
    result = await run(ScriptedClient(uncertain_for("words 3")), wanted)
    assert result.stopped and result.tally.uncertain == 1 and checkpoint(wanted) == 0
    assert trio.current_time() < 2 * PATIENCE_S


async def test_a_slow_quota_is_waited_for_however_long(tmp_path: Path, autojump_clock: Any) -> None:
    limited = with_first("refused", name="rate_limited", message="slower", retryable=True)
    client = ScriptedClient(*[limited] * 400, all_stored)
    result = await run(client, plan(tmp_path, lines=1))
    assert result.tally.stored == 1 and not result.tally.refused
    assert len(client.puts) == 401


@pytest.mark.parametrize("error", [LinkBroken(Ended("gone")), WireError(BUSY, "later")])
async def test_a_broken_link_or_a_busy_node_is_tried_again(
    tmp_path: Path, autojump_clock: Any, error: Exception
) -> None:
    client = ScriptedClient(raising(error), raising(error), all_stored)
    assert (await run(client, plan(tmp_path, lines=5))).tally.stored == 5


async def test_when_nobody_answers_any_more_it_ends_and_can_be_resumed(
    tmp_path: Path, autojump_clock: Any
) -> None:
    def gone_after_five(frames: Frames) -> list[PutResult]:
        if Record(*frames[0]).body["text"] != "words 0":
            raise LinkBroken(Ended("gone"))
        return all_stored(frames)

    client, wanted = ScriptedClient(gone_after_five), plan(tmp_path)
    with pytest.RaisesGroup(pytest.RaisesExc(Unreachable, match="gone")):
        await run(client, wanted)
    assert checkpoint(wanted) == 5


async def test_a_refusal_of_the_whole_request_ends_it(tmp_path: Path) -> None:
    client = ScriptedClient(raising(WireError(BAD_REQUEST, "no")))
    with pytest.RaisesGroup(WireError):
        await run(client, plan(tmp_path, lines=5))


async def test_refused_held_and_skipped_lines_are_listed_with_their_reasons(tmp_path: Path) -> None:
    def answer(frames: Frames) -> list[PutResult]:
        refused = stored(
            frames[0], "refused", name="refused_by_policy", message="rule x: no", retryable=False
        )
        held = stored(frames[1], "held")._replace(verdict={"action": "hold", "reason": "look at it"})
        return [refused, held, *all_stored(frames[2:])]

    file = write_source(
        tmp_path / "posts.jsonl",
        [b"{", *(to_builtins(entry(number)) for number in range(3)), to_builtins(entry(9, text=""))],
    )
    result = await run(ScriptedClient(answer), plan(tmp_path, source=file))
    tally = result.tally
    assert (tally.read, tally.stored, tally.held, tally.refused, tally.skipped) == (5, 1, 1, 1, 2)
    assert result.report is not None
    listed = {json.loads(line)["line"]: json.loads(line) for line in result.report.read_text().splitlines()}
    assert {line: each["status"] for line, each in listed.items()} == {
        1: "skipped",
        2: "refused",
        3: "held",
        5: "skipped",
    }
    assert listed[2]["reason"] == "rule x: no" and listed[3]["reason"] == "look at it"
    assert listed[1]["id"] is None and listed[5]["id"] == "e9"
    assert [each.held for each in read_journal(result.journal, "c")] == [True, False]
    assert sum(tally.reasons.values()) == 4


async def test_asked_to_stop_it_settles_what_is_on_its_way_and_goes_on_there(tmp_path: Path) -> None:
    wanted = plan(tmp_path)
    importers: list[Importer] = []

    def stopping(frames: Frames) -> list[PutResult]:
        importers[0].stop()
        return all_stored(frames)

    importers.append(Importer(ScriptedClient(all_stored, stopping, all_stored).as_client(), wanted))
    result = await importers[0].run()
    assert result.stopped and 10 <= result.tally.stored < 20
    assert checkpoint(wanted) == result.tally.stored
    again = ScriptedClient(all_stored)
    rest = await run(again, wanted)
    assert rest.tally.resumed == result.tally.stored and rest.tally.stored == 20 - result.tally.stored
    once = {each.id for each in read_journal(rest.journal, "c")}
    everything = await run(again, plan(tmp_path, again=True))
    assert once == {each.id for each in read_journal(everything.journal, "c")}


async def test_a_checkpoint_of_a_cluster_that_lost_its_records_is_not_believed(
    tmp_path: Path, autojump_clock: Any
) -> None:
    wanted = plan(tmp_path, lines=12)
    await run(ScriptedClient(uncertain_for("words 6")), wanted)
    assert checkpoint(wanted) == 5
    fresh = ScriptedClient(all_stored)
    fresh.has_everything = False
    assert (await run(fresh, wanted)).tally.resumed == 0


async def test_a_limit_reads_so_many_lines(tmp_path: Path) -> None:
    assert (await run(ScriptedClient(all_stored), plan(tmp_path, limit=7))).tally.stored == 7


@given(st.permutations(range(6)), st.sets(st.integers(0, 5), max_size=2))
def test_the_frontier_never_passes_what_is_not_settled(order: list[int], incomplete: set[int]) -> None:
    frontier = Frontier(0)
    settled: set[int] = set()
    for number in order:
        frontier.settle(Batch(number, last_line=10 * number + 10), complete=number not in incomplete)
        settled |= {number} - incomplete
        reached = next(number for number in range(7) if number not in settled)
        assert frontier.line == 10 * reached


def test_the_master_key_is_made_once_and_kept_to_oneself(tmp_path: Path) -> None:
    made = open_authors(tmp_path / "keys")
    file = tmp_path / "keys" / "import-master.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert open_authors(tmp_path / "keys").key_of("ada").account == made.key_of("ada").account
    assert made.key_of("ada") is made.key_of("ada")
    assert Authors(SEED).fingerprint != made.fingerprint
    file.chmod(0o644)
    with pytest.raises(DataDirectoryError, match="can be read by others"):
        open_authors(tmp_path / "keys")
