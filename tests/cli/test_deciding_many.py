"""Deciding the same about many things: what is counted, and what is said to have failed."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio
from folkmoot.cli.moderating import many
from folkmoot.cli.moderating.deciding import Wish
from folkmoot.cli.moderating.subjects import Named
from folkmoot.protocol.moderation.decision import Action

from tests.moderation.decisions import ANN, MO, POST

ERROR = {"message": "the disk is full"}


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        ({"status": "stored"}, (1, 0, 0)),
        ({"status": "duplicate"}, (0, 1, 0)),
        ({"status": "refused", "error": ERROR}, (0, 0, 1)),
        ({"status": "uncertain", "error": ERROR}, (0, 0, 1)),
        ({"status": "stored", "released": {"status": "uncertain", "error": ERROR}}, (1, 0, 1)),
    ],
)
def test_what_was_not_done_is_counted_as_failed_alone(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], counted: tuple[int, int, int]
) -> None:
    async def decide(*_: Any) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        return answer

    monkeypatch.setattr(many, "decide", decide)
    wish, named = Wish(Action.REMOVE, "Spam."), [Named(ANN.account, POST)]
    told = trio.run(lambda: many.decide_all(cast("Any", None), MO, named, None, wish, "quorum"))
    assert (told["decided"], told["before"], len(told["failed"])) == counted
    assert all(each["reason"] == ERROR["message"] for each in told["failed"])
