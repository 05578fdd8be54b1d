"""Which posts have to be read to know who may see them: told from their bytes, and never too few."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.feed.telling import any_telling, is_telling
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

from tests.feed.people import ANN, BOB, post, ref

PHONE = KeyPair(b"p" * 32)
SHORT, LONG = "hello", "hello " * 90  # a payload whose length takes one byte, and two
PLAIN: list[dict[str, Any]] = [
    {},
    {"lang": "en"},
    {"tags": ["tea", "text"]},
    {"lang": "en", "tags": ["a"]},
]
TELLING: list[dict[str, Any]] = [
    {"warning": "spiders"},
    {"labels": ["scary"]},
    {"reply_to": ref(post(BOB))},
    {"quote": ref(post(BOB)), "lang": "en"},
]


def frame(text: str, body: dict[str, Any], **more: Any) -> bytes:
    record = Record.sign(
        more.pop("key", ANN), kind="post", item=post(ANN).item, body={"text": text, **body}, stamp=1, **more
    )
    return codec.pack(record.to_wire())


MORE: list[dict[str, Any]] = [{}, {"key": PHONE, "author": ANN.account, "seen": {BOB.account: 1}}]


@pytest.mark.parametrize("text", [SHORT, LONG, "warning, labels: \x81\xa4text"])
@pytest.mark.parametrize("body", TELLING)
@pytest.mark.parametrize("more", MORE)
def test_a_telling_post_is_found_among_others(text: str, body: dict[str, Any], more: dict[str, Any]) -> None:
    telling = frame(text, body, **more)
    assert is_telling(telling)
    for others in ([], [frame(SHORT, {})] * 3, [frame(LONG, {}), frame(SHORT, {"lang": "en"})]):
        assert any_telling([*others, telling, *others])


@pytest.mark.parametrize("text", [SHORT, LONG])
@pytest.mark.parametrize("body", PLAIN)
def test_posts_that_are_only_a_text_are_not(text: str, body: dict[str, Any]) -> None:
    assert not any_telling([frame(text, body), frame(SHORT, {}), frame(LONG, {})])
    assert not any_telling([])


def test_a_text_about_warnings_is_none() -> None:
    """Nor is it looked through: what matters stands beside the text."""
    assert not any_telling([frame("a warning of quotes, labels and reply_to", {})])
