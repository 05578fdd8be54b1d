"""`folkmoot media sealed`, as an expert runs it, against real nodes that speak TLS."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK, UNREACHABLE, USAGE
from folkmoot.cli.sealed_state import sealed_in, sealed_warnings

from tests.checking.local import Home
from tests.media import pictures
from tests.media.test_blobs import DATA, NAME, bring, opened
from tests.media.test_custody import HANDED, SEALED
from tests.media.test_screening import FINE, WORST
from tests.media.test_sealed import sealed
from tests.moderation.drawings import bright, drawing, ours
from tests.waiting import until_blocking

FETCH = ("media", "sealed", "fetch")
WHY = ("--reason", "asked for by the police")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("sealed"))
    (home.path / "worst.png").write_bytes(WORST)
    (home.path / "fine.png").write_bytes(FINE)
    (home.path / "list").write_text(f"{ours.pdq(bright(drawing(3)))[0].hex()} worst-kind\n")
    lists = [{"name": "worst", "file": str(home.path / "list"), "sealed": True}]
    with home.cluster(nodes=2, tls=True, screening__enabled=True, screening__lists=lists):
        until_blocking(
            lambda: home.run("media", "put", "fine.png").code == OK,
            what="the nodes to take media",
            within_s=60,
        )
        yield home


@pytest.fixture(scope="module")
def medium(home: Home) -> str:
    """One that was refused and sealed, and how it is named."""
    assert home.run("media", "put", "worst.png").code == FAILED
    account = home.run("media", "put", "fine.png", "--json").json["medium"].partition("/")[0]
    return f"{account}/{pictures.of(WORST).hash.hex()}"


@pytest.mark.cluster
@pytest.mark.timeout(240)
def test_an_expert_deals_with_what_is_sealed(home: Home, medium: str) -> None:
    key, copy = ("--key", "expert.key"), home.path / "evidence"
    stuck = home.run("media", "sealed", "ls", "--json")
    assert stuck.code == DEGRADED and (stuck.json["waiting"], stuck.json["experts"]) == (1, 0)
    assert "folkmoot role grant" in home.run("media", "sealed", "ls").out
    warned = home.run("status", "--json").json["warnings"]
    assert any("nobody has the role expert" in each for each in warned), warned
    account = home.run("keys", "new", "expert.key", "--json").json["account"]
    early = home.run(*FETCH, medium, *key, "-o", copy, *WHY, "--yes")
    assert early.code == FAILED and "this is for experts" in early.err and not copy.exists()
    assert home.run("role", "grant", account, "expert").code == OK

    def is_known() -> bool:
        told = home.run("media", "sealed", "ls", *key, "--json")
        return told.code == OK and bool(told.json["experts"])

    until_blocking(is_known, what="both nodes to know the expert", within_s=60)
    [row] = home.run("media", "sealed", "ls", *key, "--waiting", "--json").json["sealed"]
    assert (row["medium"], row["state"], row["list"], row["size"]) == (medium, "sealed", "worst", len(WORST))
    told = home.run(*FETCH, medium, *key, "-o", copy, *WHY, "--yes", "--json")
    assert told.code == OK and told.json["node"] == row["node"] and copy.read_bytes() == WORST
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    again = home.run(*FETCH, medium, *key, "-o", copy, *WHY, "--yes")
    assert again.code == FAILED and "is there already" in again.err and copy.read_bytes() == WORST
    unasked = home.run(*FETCH, medium, *key, "-o", "other", *WHY)
    assert unasked.code == FAILED and "nobody is here to be asked" in unasked.err
    assert not (home.path / "other").exists()

    early = home.run("media", "sealed", "erase", medium, *key, *WHY, "--yes")
    assert early.code == FAILED and "was not handed over" in early.err
    handed = home.run("media", "sealed", "hand-over", medium, *key, "--case", "NCMEC 7", *WHY, "--json")
    assert handed.code == OK and handed.json["sealed"][0]["case"] == "NCMEC 7"
    assert home.run("media", "sealed", "ls", "--waiting").out.strip() == "nothing waits"
    erased = home.run("media", "sealed", "erase", medium, *key, *WHY, "--yes")
    assert erased.code == OK and "is erased" in erased.out
    [shown] = home.run("media", "sealed", "show", medium, "--json").json["sealed"]  # as the operator
    assert [each["what"] for each in shown["record"]] == ["sealed", "opened", "handed_over", "erased"]
    assert {each["by"] for each in shown["record"][1:]} == {account}
    words = home.run("media", "sealed", "show", medium).out
    assert f"handed over by {account} as NCMEC 7 (asked for by the police)" in words
    gone = home.run(*FETCH, medium, *key, "-o", "other", *WHY, "--yes")
    assert gone.code == FAILED and "no node that was asked" in gone.err
    assert not (home.path / "other").exists()


@pytest.mark.cluster
@pytest.mark.timeout(240)
def test_what_cannot_be_is_said(home: Home, medium: str) -> None:
    nobody = f"{medium.partition('/')[0]}/{'0' * 64}"
    for words, code, complaint in (
        (("show", nobody), FAILED, "no node that was asked has sealed"),
        (("show", "nonsense"), USAGE, "names no medium"),
        (("fetch", nobody, "-o", "x"), USAGE, "--reason"),
        (("fetch", nobody, "-o", "/dev/stdout", *WHY, "--yes"), FAILED, "is there already"),
        (("fetch", nobody, "-o", "none/such", *WHY, "--yes"), FAILED, "cannot be written"),
        (("hand-over", nobody, *WHY), USAGE, "--case"),
        (("hand-over", nobody, "--case", " ", *WHY), FAILED, "this is for experts"),
        (("erase", nobody, *WHY), FAILED, "nobody is here to be asked"),
    ):
        ran = home.run("media", "sealed", *words)
        assert ran.code == code and complaint in ran.err, ran
    for options in (("--node", "127.0.0.1:1", "--tls", "off"),):
        assert home.run("media", "sealed", "ls", *options, "--key", "expert.key").code == UNREACHABLE


def figures(**told: int) -> dict[str, Any]:
    nothing = dict.fromkeys(("sealed", "handed_over", "erased", "lost", "refused", "experts", "lists"), 0)
    return {"media": {"sealed": {**nothing, **told}}}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, []),
        ({"lists": 1, "experts": 1}, []),
        ({"lists": 1}, ["nobody has the role expert"]),
        ({"sealed": 2, "experts": 1}, ["2 sealed media wait"]),
        ({"sealed": 2}, ["2 sealed media wait", "nobody has the role expert"]),
        ({"lost": 1, "experts": 1}, ["the bytes of 1 sealed media"]),
        ({"refused": 3, "experts": 1}, ["3 uploads were erased"]),
    ],
)
def test_what_operators_are_warned_of(told: dict[str, int], words: list[str]) -> None:
    warnings = sealed_warnings(figures(**told))
    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings, strict=True))


def test_nobody_else_is_warned() -> None:
    assert sealed_warnings({"media": {}}) == sealed_warnings({"media": None}) == sealed_warnings({}) == []


def test_what_lies_sealed_in_a_directory_is_counted_without_a_node(tmp_path: Path) -> None:
    assert sealed_in(tmp_path)[0] == "well" and not list(tmp_path.iterdir())
    bring(blobs := opened(tmp_path), DATA)
    media = sealed(blobs)
    media.seal(NAME, SEALED)
    state, sentence, step = sealed_in(tmp_path)
    assert state == "watch" and sentence.startswith("1 sealed media wait") and "media sealed ls" in step
    media.note(NAME, HANDED)
    assert sealed_in(tmp_path)[:2] == ("well", "no sealed media wait; 1 were handed over and are kept")
    [file] = (each for each in (tmp_path / "media" / "sealed").rglob("*") if each.name == NAME.hash.hex())
    file.unlink()
    assert sealed_in(tmp_path)[0] == "watch"
