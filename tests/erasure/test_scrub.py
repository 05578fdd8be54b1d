"""The scrub finds what is left of deleted posts in files, and says what it cannot tell."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK, USAGE
from folkmoot.cli.main import run as run_command
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.key import lane_of, place_prefix, prefix_end
from folkmoot.protocol.limits import MIB
from folkmoot.storage.compaction import compact
from folkmoot.storage.erasing import erase
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.lmdb_reader import LmdbReader
from folkmoot.storage.scrub import ScrubReport, scrub
from folkmoot.storage.store import Store

from tests.storage.making import deletion, open_store, person, post, post_item, put, run

ANN, BEN = person(1), person(2)
CAP = 64 * MIB

assert lane_of(place_prefix(ANN.account)) != lane_of(place_prefix(BEN.account))


def reopened(directory: Path) -> Store:
    return open_store(LmdbEngine(directory, cap_bytes=CAP))


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """Ann said thirty things and deleted ten of them; Ben quotes one of those."""
    store = reopened(tmp_path / "node")
    for number in range(30):
        put(store, post(ANN, number, f"Ann's sentence {number} " * (1 + 5 * number)))
    put(store, post(BEN, 100, "She said: Ann's sentence 4 Ann's sentence 4"))
    for number in range(10):
        put(store, deletion(ANN, number))
    store.close()
    return tmp_path / "node"


def look(node: Path, *also: Path, item: bytes | None = None, texts: tuple[bytes, ...] = ()) -> ScrubReport:
    reader = LmdbReader(node)
    try:
        files = [*sorted((node / "store").iterdir()), *also]
        return scrub(reader, files, ANN.account, item, texts)
    finally:
        reader.close()


def test_what_is_left_is_found_and_a_compaction_proves_it_gone(node: Path) -> None:
    before = look(node)
    assert (before.verdict, before.deleted, before.proven) == ("remains", 10, 0)
    assert before.remains and {remain.item for remain in before.remains} <= {
        post_item(number).hex() for number in range(10)
    }
    data = (node / "store" / "data.mdb").read_bytes()
    for remain in before.remains:
        assert Path(remain.file).name == "data.mdb" and bytes.fromhex(remain.item) in data[remain.offset :]
    compact(node)
    after = look(node)
    assert (after.verdict, after.deleted, after.proven, after.remains) == ("proven", 10, 10, ())


def test_one_post(node: Path) -> None:
    assert look(node, item=post_item(20)).verdict == "alive"
    unheard = look(node, item=post_item(999))
    assert (unheard.verdict, unheard.alive) == ("unknown", False), "what nobody heard of is neither"
    compact(node)
    report = look(node, item=post_item(3))
    assert (report.verdict, report.deleted, report.alive) == ("proven", 1, False)


def test_a_deletion_after_the_compaction_is_not_proven_by_it(node: Path) -> None:
    compact(node)
    store = reopened(node)
    put(store, deletion(ANN, 29))
    store.close()
    report = look(node)
    assert (report.deleted, report.proven) == (11, 10)
    assert report.verdict in ("remains", "searched")


def test_who_knows_of_no_deletion_proves_nothing(tmp_path: Path) -> None:
    """A replica that was away while a post was deleted, one that never had it, and an account by mistake."""
    store = reopened(tmp_path)
    put(store, post(BEN, 1, "another's"))
    store.close()
    report = look(tmp_path)
    assert (report.verdict, report.deleted, report.live) == ("unknown", 0, 0)
    store = reopened(tmp_path)
    put(store, post(ANN, 1, "still here"))
    store.close()
    compact(tmp_path)
    report = look(tmp_path)
    assert (report.verdict, report.deleted, report.live, report.pieces) == ("unknown", 0, 1, 0)


def test_live_posts_are_told_beside_what_is_proven(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compact(node)
    report = look(node)
    assert (report.verdict, report.deleted, report.live) == ("proven", 10, 20)
    account = account_to_text(ANN.account)
    assert run_command(["store", "scrub", "--data", str(node), "--account", account]) == OK
    assert "20 posts of the account are not deleted on this replica" in capsys.readouterr().out


def erased(node: Path, *people: KeyPair) -> None:
    """Have a store erase what it has of people, whose ranges are another node's."""
    store = reopened(node)
    for who in people:
        start = place_prefix(who.account)
        run(store, partial(erase, start=start, end=prefix_end(start), most=1000))
    store.close()


def test_after_a_range_moved_away_only_a_compaction_proves(node: Path) -> None:
    """Deleted elsewhere after the range had moved: the bodies are in free pages, and nobody here knows."""
    compact(node)
    assert look(node).verdict == "proven"
    erased(node, ANN)
    assert b"Ann's sentence 20" in (node / "store" / "data.mdb").read_bytes()
    report = look(node)
    assert (report.verdict, report.deleted, report.live, report.moved) == ("unknown", 0, 0, True)
    assert report.leftovers > 0 and report.remains == ()
    remains = look(node, texts=(b"Ann's sentence 20",)).remains
    assert {remain.item for remain in remains} == {post_item(20).hex()}, "what is asked for by its text"
    one = look(node, item=post_item(20))
    assert (one.verdict, one.alive) == ("unknown", False)
    # The range comes back, with a deletion that was made meanwhile.
    store = reopened(node)
    put(store, deletion(ANN, 3))
    store.close()
    assert look(node).verdict == "searched"
    compact(node)
    report = look(node)
    assert (report.verdict, report.deleted, report.moved, report.leftovers) == ("proven", 1, False, 0)
    assert b"Ann's sentence 20" not in (node / "store" / "data.mdb").read_bytes()


def test_a_part_of_an_account_that_moved_away(node: Path) -> None:
    """Old deletions stay proven by themselves; of what left nobody here can speak."""
    compact(node)
    store = reopened(node)
    run(store, lambda tx: erase(tx, post(ANN, 20).key, post(ANN, 29).key, 1000))
    store.close()
    report = look(node)
    assert (report.verdict, report.deleted, report.proven, report.moved) == ("searched", 10, 10, True)


def test_others_that_moved_away_say_nothing_of_an_account(node: Path) -> None:
    compact(node)
    erased(node, BEN)
    assert (look(node).verdict, look(node).moved) == ("proven", False)


def planted(place: Path, data: bytes) -> Path:
    place.write_bytes(bytes(7) + data + bytes(9))
    return place


def frame(number: int, text: str = "a planted sentence") -> bytes:
    """A record as it stands in a cell: the header of its payload before it."""
    payload = post(ANN, number, text).payload
    return (
        b"\xc4" + bytes((len(payload),)) if len(payload) < 256 else b"\xc5" + len(payload).to_bytes(2)
    ) + payload


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (frame(3), ["a whole record"]),
        (frame(3, "long " * 200), ["a whole record"]),
        (frame(3)[60:], ["the end of a record"]),
        (frame(20), []),
        (frame(20)[60:], []),
        (deletion(ANN, 3).payload[30:], []),
        (post(ANN, 20, "reply", **{}).payload, []),
    ],
    ids=["whole", "whole and long", "end", "alive", "an end alive", "a deletion", "without a header"],
)
def test_each_sort_of_remain_in_another_file(
    node: Path, tmp_path: Path, data: bytes, what: list[str]
) -> None:
    compact(node)
    report = look(node, planted(tmp_path / "file", data))
    assert [remain.what for remain in report.remains] == what


def test_a_piece_is_told_apart_from_a_whole_record(node: Path, tmp_path: Path) -> None:
    compact(node)
    without = look(node).pieces
    cut = frame(3, "a sentence that was cut off here and there" * 5)[:150]
    report = look(node, planted(tmp_path / "file", cut))
    assert (report.pieces, report.remains) == (without + 1, ())


@pytest.mark.parametrize("shift", range(-40, 41, 8))
def test_what_lies_across_two_steps_is_found(
    node: Path, tmp_path: Path, shift: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    compact(node)
    data = frame(3)
    monkeypatch.setattr("folkmoot.storage.scrub._STEP_BYTES", 4096)
    file = tmp_path / "file"
    file.write_bytes(bytes(4096 - len(data) // 2 + shift) + data + bytes(4096) + frame(4)[60:])
    assert [remain.what for remain in look(node, file).remains] == ["a whole record", "the end of a record"]


def test_a_text_is_looked_for_where_no_other_post_says_it(node: Path, tmp_path: Path) -> None:
    compact(node)
    text = b"Ann's sentence 4 Ann's sentence 4"
    assert look(node, texts=(text,)).remains == (), "Ben's post may quote what was deleted"
    report = look(node, planted(tmp_path / "file", b"lost both ends: " + text), texts=(text, b""))
    assert [(remain.what, remain.item) for remain in report.remains] == [("a text looked for", "")]


def test_another_account_with_the_same_item_is_let_be(node: Path, tmp_path: Path) -> None:
    compact(node)
    payload = post(BEN, 3, "mine").payload
    report = look(node, planted(tmp_path / "file", b"\xc4" + bytes((len(payload),)) + payload))
    assert report.remains == ()


def command(node: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    account = account_to_text(ANN.account)
    code = run_command(["store", "scrub", "--data", str(node), "--account", account, *arguments, "--json"])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, answer


def test_the_command_beside_a_running_node(
    node: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer = command(node, capsys)
    assert code == FAILED and answer["verdict"] == "remains"
    compact(node)
    assert command(node, capsys)[0] == OK
    code, answer = command(node, capsys, "--post", post_item(20).hex())
    assert code == FAILED and answer["verdict"] == "alive"
    folder = tmp_path / "copies"
    folder.mkdir()
    planted(folder / "a", frame(3))
    code, answer = command(node, capsys, "--also", str(folder))
    assert code == FAILED and len(answer["remains"]) == 1
    store = reopened(tmp_path / "other")
    put(store, deletion(ANN, 1))
    store.close()
    code, answer = command(tmp_path / "other", capsys)
    assert (code, answer["verdict"], answer["remains"]) == (DEGRADED, "searched", [])


def test_the_command_in_words(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    account = account_to_text(ANN.account)
    assert run_command(["store", "scrub", "--data", str(node), "--account", account]) == FAILED
    told = capsys.readouterr().out
    assert "REMAINS" in told and "store compact" in told and "could not tell" in told
    erased(node, ANN)
    assert run_command(["store", "scrub", "--data", str(node), "--account", account]) == DEGRADED
    told = capsys.readouterr().out
    assert "nothing proven" in told and "moved away" in told and "nothing of (any more)" in told
    assert run_command(["store", "scrub", "--data", str(node), "--account", "nobody"]) == USAGE
    arguments = ["--account", account, "--post", "12"]
    assert run_command(["store", "scrub", "--data", str(node), *arguments]) == USAGE
