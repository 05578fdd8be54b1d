"""The manifest of a model that people taught: what it says is read back, and what is none is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.moderating import manifest
from folkmoot.protocol.moderation.text.lessons import Lesson
from folkmoot.protocol.moderation.text.weighing import Shares

LESSONS = [
    Lesson(5, b"v" * 32, True, b"r" * 34, b"a" * 34, b"i" * 16),
    Lesson(6, b"w" * 32, False, b"r" * 34, b"b" * 34, b"j" * 16, 20_000),
]


def made(**more: Any) -> dict[str, Any]:
    said = manifest.manifest_of(
        "rude", LESSONS, base="ab" * 32, seed=3, shares=Shares(), rules=["b", "a", "b"], model="cd" * 32
    )
    return {**said, **more}


def test_a_manifest_is_read_back(tmp_path: Path) -> None:
    file, again = tmp_path / "m.json", tmp_path / "n.json"
    manifest.write(file, made())
    read = manifest.read(file)
    assert read.read_lessons() == LESSONS and read.is_read_alike
    assert (read.question, read.base, read.seed, read.rules) == ("rude", "ab" * 32, 3, ["a", "b"])
    assert Shares(*read.shares) == Shares()
    manifest.write(again, made())
    assert file.read_bytes() == again.read_bytes()
    manifest.write(file, made(unicode="1.0.0"))
    assert not manifest.read(file).is_read_alike


def test_that_what_was_decided_about_was_drawn_is_not_in_it(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    also = [lesson._replace(also_drawn=20_000) for lesson in LESSONS]
    shares = Shares()
    said = manifest.manifest_of("rude", also, base=None, seed=3, shares=shares, rules=[], model="cd" * 32)
    manifest.write(file, said)
    assert manifest.read(file).read_lessons() == LESSONS


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"model": "short"},
        {"shares": [0.0, 0.5, 0.5]},
        {"lessons": [[1, "ab" * 32, True, "xx", "ab", "ab", 0]]},
        {"lessons": [[1, "ab" * 32, True, "ab", "ab", "ab", 1_000_001]]},
        {"more": 1},
    ],
)
def test_what_is_no_manifest_is_said(tmp_path: Path, change: dict[str, Any]) -> None:
    file = tmp_path / "m.json"
    file.write_text(json.dumps(made(**change)))
    with pytest.raises(OperatorError, match="no manifest of a model"):
        manifest.read(file)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="No such file"):
        manifest.read(tmp_path / "m.json")
