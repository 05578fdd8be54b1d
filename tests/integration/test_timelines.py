"""Feeds as people read them: the commands, against a process that is killed between two pages."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli import exit_codes
from folkmoot.cli.cluster.layout import ClusterDirectory

from tests.integration.processes import Process, lay_out, node
from tests.waiting import until_blocking

pytestmark = pytest.mark.cluster

SEEN_S = 20.0


class Town:
    """One node, and people with key files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.laid: ClusterDirectory = lay_out(path / "town", nodes=1)
        self.running: Process | None = None

    def key(self, name: str) -> str:
        file = self.path / f"{name}.key"
        if not file.exists():
            self.says("keys", "new", str(file))
        return str(file)

    def says(self, *words: str) -> dict[str, Any]:
        """What a command prints as JSON; it must succeed."""
        code, told = self.ends(*words)
        assert code == exit_codes.OK, told
        return told

    def ends(self, *words: str) -> tuple[int, dict[str, Any]]:
        where = () if self.running is None else ("--node", self.running.address, "--tls", "off")
        line = [sys.executable, "-m", "folkmoot.cli", *words, "--json"]
        if words[0] != "keys":
            line += where
        done = subprocess.run(line, capture_output=True, timeout=60, check=False)
        return done.returncode, json.loads(done.stdout or done.stderr)

    def sees(self, texts: list[str], *words: str) -> dict[str, Any]:
        """Wait until a feed has these texts and no others."""
        told: dict[str, Any] = {}

        def so() -> bool:
            told.update(self.says("timeline", *words))
            return [item["body"]["text"] for item in told["items"] if "gap" not in item] == texts

        until_blocking(so, what=f"{words} to be {texts}", within_s=SEEN_S)
        return told


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path)
    with node(town.laid.config_file("eu-1")) as process:
        town.running = process
        yield town


def test_people_read_what_others_write(town: Town) -> None:
    ann, ben = town.key("ann"), town.key("ben")
    town.says("follow", ben, "--key", ann)
    root = town.says("post", "Tea?", "--tag", "Tea", "--key", ben)["post"]
    answer = town.says("post", "Yes!", "--reply-to", root, "--key", ann)["post"]
    home = town.sees(["Tea?"], "home", ann)
    assert home["items"][0]["counts"] == {"likes": 0, "reposts": 0, "replies": 1} and home["cursor"] is None
    town.sees(["Tea?", "Yes!"], "thread", answer)
    town.sees(["Tea?"], "tag", "#tea")
    town.says("bookmark", root, "--key", ann)
    town.sees(["Tea?"], "bookmarks", ann)
    made = town.says("list", "create", "Tea people", "--key", ann)["list"]
    town.says("list", "add", "Tea people", ben, "--key", ann)
    for named in ("Tea people", made, made.rpartition("/")[2]):
        town.sees(["Tea?"], "list", ann, named)
    assert town.ends("timeline", "list", ben, made)[0] == exit_codes.USAGE
    town.says("mute", ben, "--key", ann)
    town.sees([], "home", ann, "--as", ann)
    town.sees(["Tea?"], "home", ann)
    town.says("delete", root, "--key", ben)
    [gap, _] = town.sees(["Yes!"], "thread", answer)["items"]
    assert gap == {"gap": {"post": root, "reason": "deleted"}}
    town.says("post", "More tea", "--tag", "tea", "--key", ben)
    live = town.says("follow-feed", ann, "--home", "--since", "1h", "--limit", "1")
    assert (live["kind"], live["body"]["text"]) == ("post", "More tea")
    cas = town.key("cas")
    town.says("follow", cas, "--key", ann)
    town.says("post", "Coffee, and no #tea", "--tag", "tea", "--key", cas)
    town.sees(["Coffee, and no #tea"], "home", ann, "--as", ann)
    for what in ((ann, "--home"), ("--tag", "tea")):
        live = town.says("follow-feed", *what, "--as", ann, "--since", "1h", "--limit", "1")
        assert live["body"]["text"] == "Coffee, and no #tea"
    loud = town.says("post", "Boo!", "--warning", "ghosts", "--key", ben)["post"]
    for viewer in ((), ("--as", ann)):
        first = town.says("feed", ben, *viewer)["items"][0]
        assert first["post"] == loud and [each["text"] for each in first["cautions"]] == ["ghosts"]
    town.says("block", ben, "--key", ann)
    assert town.says("feed", ben, "--as", ann)["items"] == [] != town.says("feed", ben)["items"]


def test_feeds_in_the_order_of_an_algorithm(town: Town) -> None:
    ann, ben = town.key("ann"), town.key("ben")
    town.says("follow", ben, "--key", ann)
    first, _ = (town.says("post", text, "--key", ben)["post"] for text in ("one", "two"))
    town.says("post", "indeed", "--reply-to", first, "--key", ann)
    town.sees(["two", "one"], "home", ann)
    told = town.sees(["one", "two"], "home", ann, "--by", "best", "--why")
    assert told["algorithm"]["name"] == "best" and told["items"][0]["post"] == first
    why = told["items"][0]["why"]
    assert why["score"] == sum(term["points"] for term in why["terms"]) and why["sources"] == ["following"]

    file = town.path / "two.toml"
    text = """title = "Two"
        [[sources]]
        from = "following"
        [[terms]]
        name = "says two"
        value = "text == 'two'"
        weight = 0.5
    """
    file.write_text(text, encoding="utf-8")
    mine = town.says("algorithm", "put", str(file), "--key", ann)["algorithm"]
    told = town.sees(["two", "one"], "home", ann, "--by", mine)
    version = told["algorithm"]["version"]
    assert [each["algorithm"] for each in town.says("algorithm", "ls", "--of", ann)["algorithms"]][3:] == [
        mine
    ]
    file.write_text(text.replace("0.5", "-0.5"), encoding="utf-8")
    assert town.says("algorithm", "put", str(file), "--key", ann)["changed"]
    assert not town.says("algorithm", "put", str(file), "--key", ann)["changed"]
    town.sees(["one", "two"], "home", ann, "--by", mine)
    assert town.says("algorithm", "show", mine)["document"]["terms"][0]["weight"] == -500
    assert town.says("algorithm", "rm", "two", "--key", ann)["changed"]
    versions = town.says("algorithm", "history", mine)["versions"]
    assert [each["title"] for each in versions] == [None, "Two", "Two"] and versions[2]["version"] == version
    for words in (("timeline", "home", ann, "--by", mine), ("algorithm", "rm", "two", "--key", ann)):
        code, refused = town.ends(*words)
        assert code == exit_codes.FAILED and "has no algorithm" in refused["error"]["message"]


def test_feeds_survive_a_kill_and_are_rebuilt(town: Town) -> None:
    ann, ben = town.key("ann"), town.key("ben")
    town.says("follow", ben, "--key", ann)
    for number in range(3):
        town.says("post", str(number), "--key", ben)
    town.sees(["2", "1", "0"], "home", ann)
    assert town.running is not None
    town.running.kill()
    with node(town.laid.config_file("eu-1")) as again:
        town.running = again
        town.sees(["2", "1", "0"], "home", ann)
        operator = ("--operator", str(town.laid.operator_key_file))
        rebuilt = town.says("projection", "rebuild", "home", *operator)
        assert rebuilt["done"] and rebuilt["generation"] == 1
        told = town.says("projection", "ls", *operator)
        assert {one["name"]: one["generation"] for one in told["projections"]}["home"] == 1
        town.sees(["2", "1", "0"], "home", ann)
        code, refused = town.ends("projection", "rebuild", "home", "--operator", ann)
        assert code == exit_codes.FAILED and refused["error"]["name"] == "forbidden"


def test_wrong_words_are_said_so(town: Town) -> None:
    ann = town.key("ann")
    for words in (
        ("timeline", "home", "not an account"),
        ("timeline", "home", ann, "--cursor", "zz"),
        ("timeline", "tag", "#"),
        ("timeline", "tag", ""),
        ("timeline", "tag", "x" * 65),
        ("follow-feed", "--tag", "#"),
        ("timeline", "thread", "nowhere"),
        ("projection", "rebuild", "moods"),
    ):
        code, told = town.ends(*words)
        assert code == exit_codes.USAGE and told["error"]["message"], words
    code, told = town.ends("timeline", "list", ann, "00")
    assert code == exit_codes.FAILED and "has no list '00'" in told["error"]["message"]
