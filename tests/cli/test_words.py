"""The small languages of command lines: nodes to talk to, posts' names, log lines, tables."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from folkmoot.cli.cluster.layout import Shape
from folkmoot.cli.cluster.life import parse_shape
from folkmoot.cli.connection import Target, target_of
from folkmoot.cli.errors import Unreachable
from folkmoot.cli.logs import JsonFormatter, to_standard_error
from folkmoot.cli.main import run
from folkmoot.cli.output import table
from folkmoot.cli.post_names import parse_post_name, post_name
from folkmoot.node.configuration.settings import LogSection
from folkmoot.protocol.identity import KeyPair, account_to_text

AUTHOR = KeyPair(bytes(32)).account
ITEM = bytes(range(16))


def test_a_posts_name_can_be_read_back() -> None:
    assert parse_post_name(post_name(AUTHOR, ITEM)) == {"author": AUTHOR, "item": ITEM}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x/y",
        account_to_text(AUTHOR),
        f"{account_to_text(AUTHOR)}/00",
        f"{account_to_text(AUTHOR)}/zz",
        f"/{'00' * 16}",
    ],
)
def test_what_is_no_posts_name_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match="is not a post"):
        parse_post_name(text)


def test_shapes_are_read_as_written() -> None:
    shape = parse_shape(2, "eu,us,ap", "eu=1,us=2", False, ["store.disk_cap=1GiB", "gate.account_burst=9"])
    settings = (("store.disk_cap", "1GiB"), ("gate.account_burst", 9))
    assert shape == Shape(2, ("eu", "us"), {"eu": 1, "us": 2}, False, settings)


def test_only_running_nodes_are_talked_to() -> None:
    nodes = [
        {"state": "stopped", "address": "a:1"},
        {"state": "running", "address": "b:2"},
        {"state": "paused", "address": "c:3"},
    ]
    described = {"name": "x", "ca": "/ca", "directory": "/c", "nodes": nodes}
    assert target_of(described) == Target(("b:2",), Path("/ca"), Path("/c"))
    with pytest.raises(Unreachable, match="no node of cluster x runs"):
        target_of({**described, "nodes": nodes[:1]})


def test_a_node_without_a_ca_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--node", "h:1"]) == 2
    assert "needs --ca FILE" in capsys.readouterr().err


def test_without_any_node_it_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert run(["status"]) == 4
    assert "folkmoot cluster up" in capsys.readouterr().err


def test_a_log_line_is_one_object_with_its_traceback() -> None:
    try:
        raise ValueError("no\nnewline escapes")
    except ValueError:
        record = logging.LogRecord("folkmoot.node.x", logging.ERROR, "f", 1, "lost %d", (3,), sys.exc_info())
    line = JsonFormatter().format(record)
    entry = json.loads(line)
    assert "\n" not in line
    assert (entry["level"], entry["logger"], entry["message"]) == ("error", "node.x", "lost 3")
    assert "ValueError" in entry["traceback"]


def test_the_log_goes_to_standard_error_for_as_long_as_it_is_wanted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, log = logging.getLogger(), logging.getLogger("folkmoot.node.x")
    before = list(root.handlers), root.level
    with to_standard_error(LogSection(level="info", json=True)) as choose:
        log.info("one")
        log.debug("two")
        choose(LogSection(level="debug", json=False))
        log.debug("three")
    log.critical("four")
    assert (list(root.handlers), root.level) == before
    first, second = capsys.readouterr().err.splitlines()
    assert json.loads(first)["message"] == "one"
    assert second.endswith("DEBUG   folkmoot.node.x: three")


def test_a_table_is_aligned_and_says_absence() -> None:
    rows: list[dict[str, Any]] = [{"a": 1, "b": None}, {"a": "long", "b": True}]
    assert table(rows, ("a", "b")) == ["a     b", "1     -", "long  yes"]
