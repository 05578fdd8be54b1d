"""Statements of reasons as they are gathered: each tells of the version that was decided about, or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import trio
from folkmoot.cli.moderating.exporting import gather
from folkmoot.protocol.moderation.decision import Action, Decision
from folkmoot.protocol.record import Record

from tests.moderation.decisions import ANN, ITEM, NOW_US, OTHER, decided, signed

SHOWN = Record.sign(ANN, kind="post", item=ITEM, body={"text": "hallo", "lang": "de"}, stamp=NOW_US)


class Node:
    """Tells of decisions, and shows one version of the post that they are about.

    Attributes:
        asked: the keys that were asked for.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.asked: list[Sequence[Any]] = []
        self._decisions = decisions

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        of = params["of"]
        items = [signed(each).to_wire() for each in self._decisions] if of == "decisions" else []
        return {"refusals" if of == "refusals" else "items": items, "cursor": None, "missing": []}

    async def get(self, keys: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        await trio.lowlevel.checkpoint()
        self.asked += keys
        return [{"records": [SHOWN.to_wire()]} for _ in keys]


def languages(*decisions: Decision) -> list[str | None]:
    """The language that each statement tells of."""
    node = Node(decisions)
    told = trio.run(lambda: gather(cast("Any", node), 0, ()))
    assert len(node.asked) == 1, "once, however many decisions there are about it"
    return [each.get("content_language") for each in told["statements"]]


def test_all_decisions_about_what_is_shown_tell_of_it() -> None:
    shown = decided(Action.WARN, at=1, version=SHOWN.id)
    before = decided(Action.REMOVE, at=2, version=OTHER)
    assert languages(shown, before) == ["DE", None]


def test_of_a_version_that_is_not_shown_nothing_is_told() -> None:
    assert languages(decided(Action.REMOVE, version=OTHER)) == [None]
