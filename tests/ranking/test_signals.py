"""Signals: what an expression hears of a post is what the post says."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from folkmoot.node.projections.listings import Place
from folkmoot.node.projections.posts import Ref
from folkmoot.node.ranking.friends import Followed
from folkmoot.node.ranking.gathering import Gathered
from folkmoot.node.ranking.signals import Reader, signals_of
from folkmoot.protocol import codec
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.feed.words import normal_form
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.limits import POST_TEXT_CODE_POINTS
from folkmoot.protocol.projections.entries import public_of
from folkmoot.protocol.ranking.expressions import SIGNALS
from folkmoot.protocol.record import Record
from folkmoot.storage.rows import Counts
from folkmoot.storage.shown_post import Post

from tests.ranking.posts import program

ANN, BEN = KeyPair(b"\x01" * 32), KeyPair(b"\x02" * 32)
LONG = "\ufdfa" * POST_TEXT_CODE_POINTS  # of a character whose normal form has eighteen
NOW_MS = 1_700_000_000_000
REF = {"author": BEN.account, "item": make_uuid7(NOW_MS, 1)}


def heard(*names: str, by: KeyPair = BEN, reposter: bytes | None = None, **body: Any) -> Any:
    """What is heard of a post of a minute ago that Ann reads, with two likes, a repost and three replies."""
    item = make_uuid7(NOW_MS - 60_000, 1)
    said = {"text": "hello", **body}
    record = Record.sign(by, kind="post", item=item, body=said, stamp=NOW_MS * 1000)
    post = Post(codec.pack(record.to_wire()), [], Counts(2, 1), 3)
    place = Place(item + public_of(by.account), Ref(by.account, item), reposter)
    gathered = Gathered(tags={"tea", "milk"})
    gathered.friends_followed = Followed(Counter({BEN.account: 4}), True)
    gathered.nearness[place.ref] = 0.5
    gathered.add("tags", [place])
    gathered.add("friends", [place])
    told = signals_of(names, place, post, gathered, Reader(ANN.account, {BEN.account}, NOW_MS, ()))
    assert told.keys() == set(names)
    return told[names[0]] if len(names) == 1 else told


@pytest.mark.parametrize(
    ("name", "body", "value"),
    [
        ("age_s", {}, 60.0),
        ("likes", {}, 2.0),
        ("reposts", {}, 1.0),
        ("replies", {}, 3.0),
        ("friends", {}, 4.0),
        ("similarity", {}, 0.5),
        ("tag_hits", {"tags": ["#Tea", "tea", "coffee"]}, 1.0),
        ("tag_hits", {}, 0.0),
        ("length", {"text": "漢字"}, 2.0),
        ("media", {"media": [{"hash": bytes(32), "mime": "image/png", "size": 1}]}, 1.0),
        ("own", {}, False),
        ("followed", {}, True),
        ("is_reply", {"reply_to": REF}, True),
        ("is_reply", {}, False),
        ("is_repost", {}, False),
        ("is_quote", {"quote": REF}, True),
        ("has_warning", {"warning": "spiders"}, True),
        ("has_warning", {"warning": ""}, False),
        ("author", {}, account_to_text(BEN.account)),
        ("lang", {"lang": "pt-BR"}, "pt-br"),
        ("lang", {}, ""),
        ("text", {"text": "Tea\u200b, \uff34\uff25\uff21"}, "tea, tea"),
        ("text", {"text": LONG}, normal_form(LONG)[:POST_TEXT_CODE_POINTS]),
        ("tags", {"tags": ["#Tea", "TEA", "#"]}, ["tea"]),
        ("labels", {"labels": ["food", "food"]}, ["food"]),
        ("sources", {}, ["tags", "friends"]),
    ],
)
def test_what_is_heard_of_a_post(name: str, body: dict[str, Any], value: object) -> None:
    assert heard(name, **body) == value
    assert heard(*SIGNALS, **body)[name] == value


def test_ones_own_posts_and_reposts() -> None:
    assert heard("own", by=ANN) is True and heard("followed", by=ANN) is False
    assert heard("is_repost", reposter=ANN.account) is True


def test_only_what_is_spoken_of_is_worked_out() -> None:
    assert program("likes + 1.0").signals == {"likes", "age_s"}
    assert program("1.0", filters=["'tea' in tags", "!(is_reply)"]).signals == {"tags", "is_reply", "age_s"}
    assert program("{'x': text.contains('likes')}.x").signals >= {"text", "age_s"}
