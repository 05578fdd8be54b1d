"""People who write, for tests of what is seen."""

from __future__ import annotations

from typing import Any

from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.feed.mute import word_item
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

NOW_US = 1_700_000_000_000_000
ME, ANN, BOB, CAT, DAN = (KeyPair(bytes([number]) * 32) for number in range(1, 6))
MINUTE_US = 60_000_000


def post(by: KeyPair, text: str = "words", *, number: int = 1, ahead_us: int = 0, **body: Any) -> Record:
    """A post; `number` tells those of one author apart."""
    item = make_uuid7((NOW_US + ahead_us) // 1000, number)
    return Record.sign(by, kind="post", item=item, body={"text": text, **body}, stamp=NOW_US)


def ref(record: Record) -> dict[str, Any]:
    """What names a post in another's body."""
    return {"author": record.author, "item": record.item}


def said(kind: str, item: bytes, *, by: KeyPair = ME, at_us: int = NOW_US, **body: Any) -> Record:
    """A flag: on unless told otherwise."""
    return Record.sign(by, author=ME.account, kind=kind, item=item, body={"on": True, **body}, stamp=at_us)


def word(text: str, **more: Any) -> Record:
    """A muted word."""
    return said("mute", word_item(text), word=text, **more)
