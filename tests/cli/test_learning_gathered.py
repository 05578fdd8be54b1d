"""What `moderate learn` gathers: of many decisions about one post those count that count for nodes."""

from __future__ import annotations

from typing import Any, cast

import trio
from folkmoot.cli.moderating.learning import Found, gather
from folkmoot.protocol.moderation.bounds import DECISIONS_READ
from folkmoot.protocol.moderation.decision import Action, Role
from folkmoot.protocol.record import Record

from tests.moderation.decisions import EVA, MAX, VERSION, decided, signed


class Node:
    """Tells of decisions, and has none of the texts that they are about."""

    def __init__(self, decisions: list[Record]) -> None:
        self._decisions = decisions

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        if method == "moderation.texts":
            return {"records": [None] * len(params["posts"])}
        told = [each.to_wire() for each in self._decisions] if method == "moderation.statements" else []
        return {"items": told, "cursor": None, "missing": []}


def gathered(decisions: list[Record]) -> Found:
    client = cast("Any", Node(decisions))
    return trio.run(lambda: gather(client, "toxic", ()))


def test_no_number_of_decisions_hides_one_of_a_greater_role() -> None:
    above = signed(decided(Action.LABEL, EVA, 1, role=Role.EXPERT, labels=("toxic",)), EVA)
    crowd = [signed(decided(Action.RESTORE, MAX, 2 + number), MAX) for number in range(DECISIONS_READ + 3)]
    [lesson] = gathered([above, *crowd]).gone
    assert (lesson.version, lesson.by, lesson.so) == (VERSION, EVA.account, True)
