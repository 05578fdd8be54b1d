"""Searches as people do them: the commands, against a process that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli import exit_codes

from tests.integration.processes import node
from tests.integration.test_timelines import SEEN_S, Town
from tests.waiting import until_blocking

pytestmark = pytest.mark.cluster


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path)
    with node(town.laid.config_file("eu-1")) as process:
        town.running = process
        yield town


def found(town: Town, texts: list[str], *words: str) -> dict[str, Any]:
    """Wait until a search finds these texts and no others."""
    told: dict[str, Any] = {}

    def so() -> bool:
        code, answer = town.ends("search", *words)
        told.update(answer)
        return code == exit_codes.OK and [item["body"]["text"] for item in told["items"]] == texts

    until_blocking(so, what=f"search {words} to find {texts}", within_s=SEEN_S)
    return told


def test_people_find_what_others_write_after_a_kill_as_well(town: Town) -> None:
    ann, ben = town.key("ann"), town.key("ben")
    account = town.says("post", "Grüne Heringe", "--key", ann)["account"]
    town.says("post", "More herrings, and tea", "--tag", "Tea", "--key", ben)
    told = found(town, ["More herrings, and tea"], "herr* #tea")
    assert told["covered"]["ranges"] == told["covered"]["of"] > 0
    found(town, ["Grüne Heringe"], f"grune from:{account}")
    town.says("user", "searchable", "off", "--key", ann)
    found(town, [], "grune")
    again = town.says("user", "searchable", "off", "--key", ann)
    assert (again["changed"], again["searchable"]) == (False, False)
    assert town.running is not None
    town.running.kill()
    with node(town.laid.config_file("eu-1")) as restarted:
        town.running = restarted
        found(town, [], "grune")
        town.says("user", "searchable", "on", "--key", ann)
        told = found(town, ["Grüne Heringe"], "heringe", "--best", "--limit", "1")
        assert told["cursor"] is None
        operator = ("--operator", str(town.laid.operator_key_file))
        assert town.says("projection", "rebuild", "search", *operator)["done"]
        found(town, ["Grüne Heringe"], "heringe")
        told = town.says("projection", "ls", *operator)
        assert told["search"]["enabled"]
        assert "search" in {one["name"] for one in told["projections"]}


def test_wrong_words_are_said_so(town: Town) -> None:
    for words in (('"open',), ("",), ("tea", "--cursor", "xyz"), ("tea", "--limit", "0")):
        code, told = town.ends("search", *words)
        assert code == exit_codes.USAGE, told
    code, told = town.ends("search", "from:nobody_at_all")
    assert code == exit_codes.FAILED
    assert "nobody_at_all" in told["error"]["message"]


def test_people_see_what_trends(town: Town) -> None:
    assert town.says("trends")["trends"] == []
    for number in range(4):
        town.says("post", f"Tea, number {number}", "--tag", "Tea", "--key", town.key(f"person-{number}"))
        town.says("post", "Only me", "--tag", "alone", "--key", town.key("person-0"))
    told: dict[str, Any] = {}

    def trends() -> bool:
        told.update(town.says("trends", "--limit", "5"))
        return [(each["tag"], each["authors"]) for each in told["trends"]] == [("tea", 4)]

    until_blocking(trends, what="a tag to trend", within_s=2 * SEEN_S)
    assert told["covered"]["ranges"] == told["covered"]["of"]
