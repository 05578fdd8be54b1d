"""`folkmoot media hash`, and what `config check` says of lists: neither needs a node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK, USAGE
from folkmoot.cli.main import run
from folkmoot.cli.preflight import check_surroundings
from folkmoot.node.configuration.reading import ConfigError, load
from folkmoot.node.moderation.media import outcome

from tests.moderation.drawings import bright, drawing, ours, saved, variants

MINIMAL = '[node]\nname = "one"\n[cluster]\nid = "alpha"\n[screening]\nenabled = true\n'


def test_lines_are_printed_that_a_node_reads_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from folkmoot.node.moderation.media.lists import read_list

    (tmp_path / "a heron\n#.jpg").write_bytes(saved(drawing(1), "PNG"))
    (tmp_path / "flat.png").write_bytes(saved(drawing(1).resize((1, 1)).resize((90, 90)), "PNG"))
    (tmp_path / "text.png").write_text("no picture")
    names = [str(file) for file in sorted(tmp_path.iterdir())]
    assert run(["media", "hash", *names, "--category", "birds"]) == DEGRADED
    printed = capsys.readouterr().out
    assert "flat.png" in printed and "too little in it" in printed and "it is no whole picture" in printed
    (tmp_path / "list").write_text(printed)
    known = read_list(tmp_path / "list", "mine")
    listed = variants.listed(bright(drawing(1)))
    assert len(known.index) == len(listed) and known.hashes == b"".join(listed)
    assert known.find([ours.pdq(bright(drawing(1)))[0]]) == ("mine", "birds", 0, listed[0], False)
    assert run(["media", "hash", names[0], "--json"]) == OK
    [told] = json.loads(capsys.readouterr().out)["files"]
    assert told["hashes"] == [each.hex() for each in listed] and told["problem"] is None


def test_what_cannot_be_hashed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["media", "hash", str(tmp_path / "nowhere.jpg")]) == FAILED
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "one.png").write_bytes(saved(drawing(1), "PNG"))
    assert run(["media", "hash", str(tmp_path / "one.png"), "--category", "Big Ones"]) == USAGE
    assert run(["media", "hash", str(tmp_path / "one.png"), "--max-megapixels", "0.1"]) == DEGRADED
    assert "too many pixels" in capsys.readouterr().out


def told(tmp_path: Path, text: str) -> str:
    """All that stands in the way of starting with a configuration."""
    file = tmp_path / "folkmoot.toml"
    file.write_text(MINIMAL + text)
    with pytest.raises(ConfigError) as caught:
        check_surroundings(load(file))
    return "\n".join(caught.value.problems)


def test_a_list_is_read_and_checked_before_a_node_starts(tmp_path: Path) -> None:
    listed = '[[screening.lists]]\nname = "known"\nfile = "lists/known.txt"\n'
    assert f"{tmp_path}/lists/known.txt: cannot be read" in told(tmp_path, listed)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "known.txt").write_text("12\n")
    assert "known.txt:1: no PDQ hash" in told(tmp_path, listed)
    (tmp_path / "lists" / "known.txt").write_text("12" * 32)
    assert "known.txt" not in told(tmp_path, listed), "what is left is nobody's list"
    with pytest.raises(ConfigError) as caught:
        (tmp_path / "folkmoot.toml").write_text(MINIMAL + listed + "distance = 32\n")
        load(tmp_path / "folkmoot.toml")
    assert "screening.lists" in str(caught.value) and "31" in str(caught.value)


def test_what_has_to_be_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome, "_installed", lambda module: False)
    said = told(tmp_path, "nsfw = 0.8\n")
    assert "folkmoot[media]" in said and "folkmoot[nsfw]" in said
