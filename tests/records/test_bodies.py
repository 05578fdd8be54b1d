"""Bodies: what a post, its media and a label may say."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.cli.users.erasing import PLURALS
from folkmoot.protocol import limits
from folkmoot.protocol.bodies import check_body, emptied, make_uuid7
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import HELD, KIND_BYTE, KINDS_TAKEN_BACK
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.record import Record

ITEM = make_uuid7(1_700_000_000_000, 7)
BOB = KeyPair(b"\x02" * 32).account
LABEL = Label(ITEM, "spam", BOB, b"\x05" * 32, "So.")


def refusal(kind: str, item: bytes, body: dict[str, Any]) -> str | None:
    """The name of the error a body is refused with, or None."""
    try:
        check_body(kind, item, body)
    except WireError as error:
        return error.kind.name
    return None


@pytest.mark.parametrize("lang", ["en", "pt-BR", "zh-Hant-TW", "x-pirate", "de-CH-1996", "a" * 8 + "-b" * 13])
def test_a_language_tag(lang: str) -> None:
    assert refusal("post", ITEM, {"text": "", "lang": lang}) is None


@pytest.mark.parametrize(
    "lang",
    ["", "e n", "en_GB", "-en", "en-", "dé", "en\n", "deutschland", "en-123456789", "en" + "-x" * 17, 3],
)
def test_what_is_no_language_tag(lang: object) -> None:
    assert refusal("post", ITEM, {"text": "", "lang": lang}) == "bad_request"


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, None),
        ({"alt": ""}, None),
        ({"alt": "é" * limits.POST_ALT_CODE_POINTS, "later": [1]}, None),
        ({"alt": "é" * (limits.POST_ALT_CODE_POINTS + 1)}, "too_large"),
        ({"mime": "m" * limits.POST_MIME_CODE_POINTS}, None),
        ({"mime": "m" * (limits.POST_MIME_CODE_POINTS + 1)}, "too_large"),
        ({"alt": 3}, "bad_request"),
        ({"mime": b"image/png"}, "bad_request"),
        ({"hash": bytes(31)}, "bad_request"),
        ({"size": -1}, "bad_request"),
    ],
)
def test_a_medium(change: dict[str, Any], outcome: str | None) -> None:
    medium = {"hash": bytes(32), "mime": "image/png", "size": 1, **change}
    assert refusal("post", ITEM, {"text": "", "media": [medium]}) == outcome


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, None),
        ({"later": "unknown keys are kept"}, None),
        ({"reason": "é" * limits.LABEL_REASON_CODE_POINTS, "negated": True}, None),
        ({"reason": "é" * (limits.LABEL_REASON_CODE_POINTS + 1)}, "bad_request"),
        ({"value": "ham"}, "bad_request"),
        ({"subject_id": b""}, "bad_request"),
        ({"span": "all"}, "bad_request"),
    ],
)
def test_the_body_of_a_label(change: dict[str, Any], outcome: str | None) -> None:
    assert refusal("label", LABEL.item, LABEL.body() | change) == outcome


@pytest.mark.parametrize(
    "item",
    [
        bytes(16) + LABEL.item[16:],
        ITEM + BOB,
        ITEM + b"spam" + BOB,
        ITEM + bytes(12) + b"spam" + BOB,
        ITEM + BOB[2:14] + b"\xff" + BOB,
    ],
)
def test_the_item_of_a_label(item: bytes) -> None:
    assert refusal("label", item, LABEL.body()) == "bad_request"


@pytest.mark.parametrize("kind", sorted(KINDS_TAKEN_BACK))
def test_what_empties_a_cell_of_any_kind(kind: str) -> None:
    """All kinds but statements in others' cases can be taken back, those included that are added one day."""
    carol = KeyPair(b"\x03" * 32)
    account = carol.account
    items = {
        "post": ITEM,
        "list": ITEM,
        "listed": ITEM + BOB,
        "bookmark": BOB + ITEM,
        "like": ITEM + account,
        "repost": ITEM + account,
        **dict.fromkeys(("follow", "mute", "block"), BOB),
    }
    record = Record.sign(carol, kind=kind, item=items.get(kind, b"name"), body=emptied(kind), stamp=7)
    assert record.takes_back and Cell.of(record).taken_back
    assert PLURALS[kind] != kind, "people are told what was taken back"


def test_what_cannot_be_taken_back_is_named() -> None:
    assert KIND_BYTE.keys() - KINDS_TAKEN_BACK == {HELD, "report", "label", "vote", "decision", "appeal"}
