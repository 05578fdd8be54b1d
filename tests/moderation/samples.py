"""Samples for tests: draws of ANN's post by a node, and what people answer to them."""

from __future__ import annotations

from typing import Any

from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.decision import Role
from folkmoot.protocol.moderation.sampling import KIND, Answer, Draw
from folkmoot.protocol.moderation.verdict import Action
from folkmoot.protocol.record import Record

from tests.moderation.decisions import ANN, ITEM, MO, NODE, NOW_US, VERSION


def drawn(at: int = 1, **more: Any) -> Draw:
    """A draw of what was let in, one of fifty."""
    said: dict[str, Any] = {
        "post_item": ITEM,
        "version": VERSION,
        "node": NODE.account,
        "drawn_us": NOW_US + at,
        "millionths": 20_000,
        "action": Action.ACCEPT,
        "policy": "ab" * 32,
    }
    return Draw(**{**said, **more})


def answered(draw: Record, by: KeyPair = MO, *labels: str, **more: Any) -> Answer:
    """An answer to a draw."""
    said: dict[str, Any] = {
        "post_item": draw.item[1:17],
        "version": draw.body["subject_id"],
        "drawn_us": draw.stamp,
        "draw": draw.id,
        "reviewer": by.account,
        "role": Role.MODERATOR,
        "labels": labels,
    }
    return Answer(**{**said, **more})


def signed_draw(draw: Draw, by: KeyPair = NODE, place: bytes = ANN.account) -> Record:
    """The record that says it."""
    return Record.sign(by, kind=KIND, item=draw.item, body=draw.body(), stamp=draw.drawn_us, place=place)


def signed_answer(
    answer: Answer, by: KeyPair = MO, at: int = 100, place: bytes | None = ANN.account
) -> Record:
    """The record that says it."""
    return Record.sign(by, kind=KIND, item=answer.item, body=answer.body(), stamp=NOW_US + at, place=place)
