"""Decisions for tests: about one post of ANN's, by a handful of people."""

from __future__ import annotations

from typing import Any

from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.decision import AUTOMATIC, Action, Decision, Role, Subject
from folkmoot.protocol.record import Record

ANN, MO, MAX, EVA, NODE = (KeyPair(bytes([number]) * 32) for number in range(60, 65))
NOW_US = 1_700_000_000_000_000
ITEM = make_uuid7(NOW_US // 1000, 5)
POST = Subject("post", ITEM)
VERSION, OTHER = b"\x01" * 32, b"\x02" * 32


def decided(action: Action, by: KeyPair = MO, at: int = 1, **more: Any) -> Decision:
    """A decision, as moderator unless `role` says otherwise."""
    role = more.pop("role", Role.MODERATOR)
    number = AUTOMATIC if role is Role.AUTOMATIC else NOW_US + at
    subject, version = more.pop("subject", POST), more.pop("version", VERSION)
    if action is Action.LABEL:
        more.setdefault("labels", ("rude",))
    reverses = tuple(each.mark for each in more.pop("reverses", ()))
    return Decision(subject, version, action, role, by.account, number, "because", reverses=reverses, **more)


def signed(decision: Decision, by: KeyPair = MO, place: bytes = ANN.account, stamp: int = NOW_US) -> Record:
    """The record that says it."""
    return Record.sign(
        by,
        kind="decision",
        item=decision.item,
        body=decision.body(),
        stamp=decision.number or stamp,
        place=place,
    )
