"""Labels as people see them on a terminal: definitions as lines and as files, without a node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from folkmoot.cli import exit_codes
from folkmoot.cli.main import run
from folkmoot.cli.social.labelling import as_toml, changed, definition_lines, example, read_file, to_wire
from folkmoot.protocol.moderation.builtin_labels import BUILT_IN
from folkmoot.protocol.moderation.definitions import Choice, parse_definitions


def test_what_is_shown_can_be_published_again(tmp_path: Path) -> None:
    file = tmp_path / "shown.toml"
    file.write_text("\n".join(as_toml(to_wire(BUILT_IN))), encoding="utf-8")
    assert parse_definitions(read_file(file)) == BUILT_IN
    file.write_text(example(), encoding="utf-8")
    assert list(parse_definitions(read_file(file))) == ["rumour"]


def test_a_label_is_a_line() -> None:
    spam = {**BUILT_IN["spam"].to_wire(), "fixed": True, "about": {"en": "Sells."}}
    assert definition_lines([spam], {"spam": Choice.HIDE}) == [
        "spam  Spam: Sells. (inform, blurs content, warn by default, and no less; you: hide)"
    ]


def test_choices_are_taken_back() -> None:
    assert changed({"a": Choice.HIDE}, "b", "warn") == {"a": Choice.HIDE, "b": Choice.WARN}
    assert changed({"a": Choice.HIDE}, "a", "default") == {}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff", "utf-8"),
        (b"labels = [", "end of document"),
        (b"labels = 1", "label definitions are"),
        (b"x" * 200_000, "larger than any"),
        (b'[[labels]]\nvalue = "x"\nblurs = "all"\n', "content, media, none"),
    ],
)
def test_what_is_no_such_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, words: str
) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(data)
    assert run(["labeller", "check", str(file), "--json"]) == exit_codes.FAILED
    assert words in json.loads(capsys.readouterr().out)["error"]["message"]
