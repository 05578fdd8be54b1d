"""What `moderate learn` gathers: of many decisions about one post those count that count for nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import trio
from folkmoot.cli.moderating.learning import Found, gather
from folkmoot.protocol.moderation.bounds import DECISIONS_READ
from folkmoot.protocol.moderation.decision import Action, Role
from folkmoot.protocol.record import Record

from tests.moderation.decisions import EVA, MAX, VERSION, decided, signed


class Node:
    """Tells of decisions, and has none of the texts that they are about."""

    def __init__(self, decisions: list[Record], passed_over: Sequence[bytes] = ()) -> None:
        self._decisions = decisions
        self._passed_over = passed_over

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        if method == "moderation.texts":
            return {"records": [None] * len(params["posts"])}
        told = [each.to_wire() for each in self._decisions] if method == "moderation.statements" else []
        passed_over = list(self._passed_over) if told else []
        return {"items": told, "cursor": None, "missing": [], "passed_over": passed_over}


def gathered(decisions: list[Record], passed_over: Sequence[bytes] = ()) -> Found:
    client = cast("Any", Node(decisions, passed_over))
    return trio.run(lambda: gather(client, "toxic", ()))


def test_no_number_of_decisions_hides_one_of_a_greater_role() -> None:
    above = signed(decided(Action.LABEL, EVA, 1, role=Role.EXPERT, labels=("toxic",)), EVA)
    crowd = [signed(decided(Action.RESTORE, MAX, 2 + number), MAX) for number in range(DECISIONS_READ + 3)]
    [lesson] = gathered([above, *crowd]).gone
    assert (lesson.version, lesson.by, lesson.so) == (VERSION, EVA.account, True)


def test_nothing_is_learnt_from_what_was_decided_without_the_role() -> None:
    void = signed(decided(Action.LABEL, EVA, 1, role=Role.EXPERT, labels=("toxic",)), EVA)
    other = signed(decided(Action.RESTORE, MAX, 2), MAX)
    [lesson] = gathered([void, other], [void.id]).gone
    assert (lesson.by, lesson.so) == (MAX.account, False)
    assert gathered([void], [void.id]).gone == []
