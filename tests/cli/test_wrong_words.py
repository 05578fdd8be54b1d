"""What makes no sense as a word is exit code 2, whether or not anything runs that it could be said of."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli import exit_codes
from folkmoot.cli.cluster.layout import ClusterDirectory, Shape
from folkmoot.cli.errors import describe
from folkmoot.cli.output import json_line
from folkmoot.protocol.errors import NO_QUORUM, WireError
from folkmoot.protocol.identity import account_to_text

from tests.cli.travel import ADA

NOBODY = ("--node", "127.0.0.1:1", "--tls", "off")


@pytest.fixture
def stopped(folkmoot: Any, tmp_path: Path) -> ClusterDirectory:
    """A local cluster of two nodes that does not run."""
    directory = ClusterDirectory(tmp_path / "home" / "folkmoot" / "clusters" / "local")
    directory.create("local", Shape(nodes=2, regions=("eu", "us"), tls=False))
    return directory


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("partition", "nosuch"), "no node or region 'nosuch'"),
        (("partition", "eu", "eu-1"), "on two sides"),
        (("partition", "all"), "nothing to cut"),
        (("slow", "us-1", "--loss", "0.1"), "'us-1' is not a link"),
        (("slow", "us-1:", "--loss", "0.1"), "'us-1:' is not a link"),
        (("slow", "us-1:nosuch", "--loss", "0.1"), "no node or region 'nosuch'"),
        (("slow", "us-1:us", "--loss", "0.1"), "both ends are the same node"),
        (("slow", "eu-1:all"), "give --delay-ms or --loss"),
        (("kill", "nosuch"), "no node or region 'nosuch'"),
        (("pause", "nosuch"), "no node or region 'nosuch'"),
        (("resume", "nosuch"), "no node or region 'nosuch'"),
        (("restart", "nosuch"), "no node or region 'nosuch'"),
        (("logs", "nosuch"), "no node or region 'nosuch'"),
        (("status", "local", "--cluster", "local"), "name the cluster once"),
    ],
)
def test_of_a_cluster(
    folkmoot: Any, stopped: ClusterDirectory, words: tuple[str, ...], complaint: str
) -> None:
    ran = folkmoot("cluster", *words, "--json")
    assert ran.code == ran.json["error"]["exit_code"] == exit_codes.USAGE
    assert ran.json["error"]["name"] == "usage"
    assert complaint in ran.json["error"]["message"]
    assert not stopped.faults_file.exists()


@pytest.mark.parametrize("words", [("slow", "us-1", "--loss", "0.1"), ("slow", "eu:us")])
def test_of_a_link_of_no_cluster_at_all(folkmoot: Any, words: tuple[str, ...]) -> None:
    assert folkmoot("cluster", *words).code == exit_codes.USAGE


@pytest.mark.parametrize(
    "words",
    [
        *(("ring", "where", account) for account in ("notadid", "did:key:z6Mk0", "")),
        *(
            (*command, who)
            for command in (("feed",), ("user", "show"))
            for who in ("no handle", "did:key:z6Mk0", "")
        ),
    ],
)
def test_of_an_account(folkmoot: Any, words: tuple[str, ...]) -> None:
    ran = folkmoot(*words)
    assert (ran.code, ran.out) == (exit_codes.USAGE, "")


@pytest.mark.parametrize("text", ["", " \n", "-"])
def test_of_a_post_with_nothing_in_it(
    folkmoot: Any, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    ran = folkmoot("post", text, *NOBODY)
    assert (ran.code, ran.out) == (exit_codes.USAGE, "") and "a post has words" in ran.err
    assert not (tmp_path / "home" / "folkmoot" / "me.key").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("post", "caf\udce9"),
        *(("post", "tea", option, "caf\udce9") for option in ("--tag", "--lang", "--warning", "--label")),
        ("post", "tea", "--alt", "caf\udce9"),
        ("edit", f"{account_to_text(ADA.account)}/{16 * '01'}", "caf\udce9"),
        ("list", "create", "caf\udce9"),
        ("list", "create", "Tea", "--about", "caf\udce9"),
        ("timeline", "tag", "caf\udce9"),
        ("mute", "--word", "caf\udce9"),
    ],
)
def test_of_what_is_not_text(folkmoot: Any, words: tuple[str, ...]) -> None:
    ran = folkmoot(*words, *NOBODY)
    assert (ran.code, ran.out) == (exit_codes.USAGE, "") and "is not text in UTF-8" in ran.err


def test_of_a_pipe_that_is_not_text(folkmoot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for how in ("strict", "surrogateescape"):
        pipe = io.TextIOWrapper(io.BytesIO(b"caf\xe9"), encoding="utf-8", errors=how)
        monkeypatch.setattr("sys.stdin", pipe)
        ran = folkmoot("post", "-", *NOBODY)
        assert (ran.code, ran.out) == (exit_codes.USAGE, "") and "is not text in UTF-8" in ran.err


def test_of_a_projection(folkmoot: Any) -> None:
    ran = folkmoot("projection", "rebuild", "nope")
    assert (ran.code, ran.out) == (exit_codes.USAGE, "")
    assert "Invalid value for 'NAME': 'nope' is not one of" in ran.err


def test_json_may_stand_before_the_command(folkmoot: Any) -> None:
    assert folkmoot("--json", "cluster", "ls").json == {"clusters": []}
    assert folkmoot("--json", "status").json["error"]["name"] == "unreachable"
    assert folkmoot("cluster", "ls").out == "no local clusters\n"


@pytest.mark.parametrize("group", [(), ("ring",), ("cert",), ("cluster",)])
def test_a_group_without_a_command(folkmoot: Any, group: tuple[str, ...]) -> None:
    ran = folkmoot(*group)
    assert (ran.code, ran.out) == (exit_codes.USAGE, "")
    lines = ran.err.splitlines()
    assert lines[0].startswith(f"Usage: {' '.join(('folkmoot', *group))} ")
    assert lines[-1] == "folkmoot: Missing command."
    said = folkmoot("--json", *group).json["error"]
    assert (said["name"], said["message"], said["exit_code"]) == (
        "usage",
        "Missing command.",
        exit_codes.USAGE,
    )
    assert said["hint"] == f"{' '.join(('folkmoot', *group))} --help"


@pytest.mark.parametrize("words", [("--version", "--json"), ("--json", "--version")])
def test_the_version_is_json_too(folkmoot: Any, words: tuple[str, ...]) -> None:
    ran = folkmoot(*words)
    assert ran.code == exit_codes.OK and list(ran.json) == ["version"]
    assert folkmoot("--version").out == f"folkmoot, version {ran.json['version']}\n"


def test_a_word_that_is_not_utf8(folkmoot: Any) -> None:
    word = "b\udcff"  # as Python reads it from the command line
    for words in (("keys", "show", word), ("backup", "show", word)):
        ran = folkmoot(*words, "--json")
        assert word in ran.json["error"]["message"] and ran.out.isascii()


def test_what_a_node_refuses_with_bytes_is_json_all_the_same() -> None:
    error = WireError(NO_QUORUM, "too few seats answer", details={"seats": [b"\x01\x02"], "request": b"\x03"})
    described = describe(error)
    assert described is not None and described.exit_code == exit_codes.DEGRADED
    told = json.loads(json_line(described.to_json()))["error"]["details"]
    assert told == {"seats": ["0102"], "request": "03"}


def test_what_cannot_be_sent_as_text_is_named() -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        "b\udcff".encode()
    described = describe(caught.value)
    assert described is not None and described.exit_code == exit_codes.USAGE
    assert "not text in UTF-8" in described.message
