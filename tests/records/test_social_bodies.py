"""Bodies about other people: mutes, lists, who may answer, and what an author says of their own post."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol import limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.feed.controls import Control
from folkmoot.protocol.feed.mute import AccountMute, ThreadMute, WordMute, parse_mute, word_item
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

from tests.records.test_bodies import BOB, ITEM, refusal

ALICE = KeyPair(b"\x01" * 32)
LONGEST_WORD = "é" * limits.MUTED_WORD_CODE_POINTS
FOREVER_US = limits.STAMP_MAX


@pytest.mark.parametrize("name", ["reply_from", "quote_from"])
def test_controls(name: str) -> None:
    for control in Control:
        assert refusal("post", ITEM, {"text": "", name: str(control)}) is None
    wrongs: list[object] = ["", "friends", "Everyone", b"nobody", True, ["nobody"], {}]
    for wrong in wrongs:
        assert refusal("post", ITEM, {"text": "", name: wrong}) == "bad_request"


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"mentions": []}, None),
        ({"mentions": [BOB] * limits.POST_MENTIONS}, None),
        ({"mentions": [BOB] * (limits.POST_MENTIONS + 1)}, "bad_request"),
        ({"mentions": [BOB[:-1]]}, "bad_request"),
        ({"mentions": ["bob"]}, "bad_request"),
        ({"mentions": BOB}, "bad_request"),
        ({"mentions": {}}, "bad_request"),
        ({"labels": []}, None),
        ({"labels": ["é" * 32] * limits.POST_LABELS}, None),
        ({"labels": ["nudity"] * (limits.POST_LABELS + 1)}, "bad_request"),
        ({"labels": ["é" * 33]}, "bad_request"),
        ({"labels": [""]}, "bad_request"),
        ({"labels": [b"nudity"]}, "bad_request"),
        ({"labels": "nudity"}, "bad_request"),
    ],
)
def test_mentions_and_self_labels(body: dict[str, Any], outcome: str | None) -> None:
    assert refusal("post", ITEM, {"text": "", **body}) == outcome


@pytest.mark.parametrize(
    ("item", "body", "mute"),
    [
        (BOB, {"on": True}, AccountMute(BOB, FOREVER_US, False)),
        (BOB, {"on": False}, AccountMute(BOB, FOREVER_US, False)),
        (BOB, {"on": True, "until": 5, "reposts": True, "later": 1}, AccountMute(BOB, 5, True)),
        (BOB + ITEM, {"on": True}, ThreadMute(BOB + ITEM, FOREVER_US)),
        (BOB + ITEM, {"on": True, "until": 0}, ThreadMute(BOB + ITEM, 0)),
        (word_item("a b"), {"on": True, "word": "a b"}, WordMute("a b", FOREVER_US)),
        (word_item("A"), {"on": True, "word": "A", "until": FOREVER_US}, WordMute("A", FOREVER_US)),
        (word_item(LONGEST_WORD), {"on": True, "word": LONGEST_WORD}, WordMute(LONGEST_WORD, FOREVER_US)),
        (word_item("a"), {"on": False, "word": "a"}, WordMute("a", FOREVER_US)),
        (word_item("a"), {"on": False}, WordMute("", FOREVER_US)),
    ],
)
def test_a_mute(item: bytes, body: dict[str, Any], mute: object) -> None:
    assert refusal("mute", item, body) is None
    assert parse_mute(item, body) == mute


@pytest.mark.parametrize(
    ("item", "body"),
    [
        (BOB, {}),
        (BOB, {"on": 1}),
        (BOB, {"on": True, "until": -1}),
        (BOB, {"on": True, "until": FOREVER_US + 1}),
        (BOB, {"on": True, "until": "tomorrow"}),
        (BOB, {"on": True, "until": True}),
        (BOB, {"on": True, "reposts": False}),
        (BOB[:-1], {"on": True}),
        (BOB + ITEM[:-1], {"on": True}),
        (b"x" + BOB[1:] + ITEM, {"on": True}),
        (word_item("a"), {"on": True}),
        (word_item("a"), {"on": True, "word": "b"}),
        (word_item("a"), {"on": False, "word": "b"}),
        (word_item("a"), {"word": "a"}),
        (word_item(""), {"on": True, "word": ""}),
        (word_item("a"), {"on": True, "word": b"a"}),
        (word_item("a")[:-1], {"on": True, "word": "a"}),
        (b"words" + word_item("a")[5:], {"on": True, "word": "a"}),
        (word_item(LONGEST_WORD + "x"), {"on": True, "word": LONGEST_WORD + "x"}),
    ],
)
def test_what_is_no_mute(item: bytes, body: dict[str, Any]) -> None:
    assert refusal("mute", item, body) == "bad_request"


@pytest.mark.parametrize(
    ("item", "body", "outcome"),
    [
        (bytes(16), {"name": "Neighbours"}, None),
        (bytes(16), {"name": "é" * limits.LIST_NAME_CODE_POINTS, "about": "Our street.", "later": 1}, None),
        (bytes(16), {"deleted": True}, None),
        (bytes(16), {"deleted": False}, "bad_request"),
        (bytes(16), {"deleted": True, "name": "x"}, "bad_request"),
        (bytes(16), {"name": ""}, "bad_request"),
        (bytes(16), {"about": "x"}, "bad_request"),
        (bytes(16), {"name": "x" * (limits.LIST_NAME_CODE_POINTS + 1)}, "too_large"),
        (bytes(16), {"name": "x", "about": "x" * (limits.LIST_ABOUT_CODE_POINTS + 1)}, "too_large"),
        (bytes(15), {"name": "x"}, "bad_request"),
        (bytes(17), {"name": "x"}, "bad_request"),
    ],
)
def test_a_list(item: bytes, body: dict[str, Any], outcome: str | None) -> None:
    assert refusal("list", item, body) == outcome


@pytest.mark.parametrize(
    ("item", "body", "outcome"),
    [
        (bytes(16) + BOB, {"on": True}, None),
        (bytes(16) + BOB, {"on": False}, None),
        (bytes(16) + BOB, {}, "bad_request"),
        (bytes(17) + BOB[1:], {"on": True}, "bad_request"),
        (bytes(15) + BOB, {"on": True}, "bad_request"),
        (BOB, {"on": True}, "bad_request"),
    ],
)
def test_a_list_member(item: bytes, body: dict[str, Any], outcome: str | None) -> None:
    assert refusal("listed", item, body) == outcome


@pytest.mark.parametrize("kind", ["follow", "mute", "block"])
def test_nobody_follows_mutes_or_blocks_themselves(kind: str) -> None:
    Record.sign(ALICE, kind=kind, item=BOB, body={"on": True}, stamp=1)
    for device in (ALICE, KeyPair(b"\x03" * 32, owner=ALICE.account)):
        with pytest.raises(WireError, match="oneself") as refused:
            Record.sign(device, kind=kind, item=ALICE.account, body={"on": True}, stamp=1)
        assert refused.value.kind.name == "bad_request"


def test_of_ones_own_things_the_rest_is_allowed() -> None:
    own = ALICE.account
    for kind, item in (("listed", bytes(16) + own), ("mute", own + ITEM), ("bookmark", own + ITEM)):
        Record.sign(ALICE, kind=kind, item=item, body={"on": True}, stamp=1)
