"""The documents say what the code does: names are all there, links lead somewhere, tables are current."""

from __future__ import annotations

import re

import click
import pytest
from folkmoot.node.configuration.settings_table import settings
from folkmoot.protocol.errors import KINDS

from tests.house.reference import FOLDER, commands, pages, wire_methods
from tests.house.tree import ROOT, files, read

DOCUMENTS = (
    "README.md",
    "docs/architecture.md",
    "docs/protocol.md",
    "docs/guarantees.md",
    "docs/operations.md",
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HALF_MERGED = re.compile(r"^(?:<{7}|>{7}) ", re.M)
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)


def missing(names: set[str], text: str) -> set[str]:
    """The names that `text` never mentions in backticks, alone or with what belongs to them."""
    mentioned = " ".join(re.findall(r"`([^`]+)`", FENCED.sub("", text)))
    return {name for name in names if not re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", mentioned)}


def broken_links(path: str, text: str) -> list[str]:
    """Relative links that lead nowhere: to no file, or to no heading of one."""
    folder = (ROOT / path).parent
    broken = []
    for target in LINK.findall(text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = folder / name
        page = text if not name else file.read_text(encoding="utf-8") if file.is_file() else ""
        if (name and not file.exists()) or (anchor and anchor not in anchors(page)):
            broken.append(f"{path}: {target}")
    return broken


def anchors(text: str) -> set[str]:
    """The names under which a page's headings can be linked to."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.M)
    }


@pytest.mark.parametrize("name", pages())
def test_the_reference_is_current(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[name], "run `make docs`"


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_document_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_setting_is_documented() -> None:
    names = {each.name for each in settings()}
    assert len(names) > 20
    assert missing(names, read("docs/reference/settings.md")) == set()


def test_every_command_is_documented() -> None:
    page = read("docs/reference/commands.md")
    names = [" ".join(words) for words, command in commands() if not isinstance(command, click.Group)]
    assert len(names) > 10
    assert [name for name in names if not re.search(rf"^## {name}( |$)", page, re.M)] == []


def test_every_command_and_option_says_what_it_does() -> None:
    silent = [
        " ".join((*words, parameter.name or ""))
        for words, command in commands()
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help
    ]
    silent += [" ".join(words) for words, command in commands() if not command.help]
    assert silent == []


def test_every_method_and_error_is_in_the_protocol() -> None:
    methods = wire_methods()
    assert {"hello", "auth", "ping", "record.put", "feed.author", "account.records", "node.join"} <= methods
    assert {"feed.follow", "feed.credit", "feed.unfollow"} <= methods
    assert missing(methods | {kind.name for kind in KINDS}, read("docs/protocol.md")) == set()


def test_nothing_is_left_half_merged() -> None:
    texts = {path: read(path) for path in files({".md", ".py", ".toml", ".cfg"})}
    assert [path for path, text in texts.items() if HALF_MERGED.search(text)] == []


def test_no_link_leads_nowhere() -> None:
    assert [link for path in files({".md"}) for link in broken_links(path, read(path))] == []


def test_these_checks_can_fail() -> None:
    assert missing({"record.put", "ping", "busy"}, "`record.put {…}` and `pinging`, busy") == {"ping", "busy"}
    assert missing({"put"}, "`record.put`") == {"put"}
    assert missing({"ping", "busy"}, "```\nping\n```\nthen `busy`") == {"ping"}
    assert broken_links("docs/a.md", "[here](../README.md) [there](nowhere.md)") == ["docs/a.md: nowhere.md"]
    assert HALF_MERGED.search("one\n" + "<" * 7 + " HEAD\n")
    page = "# One, `two.three`\n[up](#one-twothree) [down](#four) [out](../README.md#nothing)"
    assert broken_links("docs/a.md", page) == ["docs/a.md: #four", "docs/a.md: ../README.md#nothing"]
