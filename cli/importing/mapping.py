"""From an entry of a source to a signed record: a pure function of the master seed and the entries before it.

Importing the same file again, whole or in part, therefore makes the same bytes, which nodes answer with
`duplicate`. References are resolved backwards only, so a longer file begins with the records of a shorter.

- A device's stamps are its entries' times, pushed up to be strictly increasing.
- A post's item is the UUIDv7 of its stamp: milliseconds, then the microseconds as added clock precision
  (RFC 9562, section 6.2, method 3), so that posts of one minute keep their order, then 62 bits of a digest
  of the entry's id.
- A repost without words of its own is a `repost` of its subject; with own words, a post that quotes it.
- What is missing is said: an entry that cannot be a record is skipped for a reason, and a post whose parent
  is not in the source, or was skipped, is kept without the reference.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from folkmoot.cli.importing.authors import Authors
from folkmoot.cli.importing.known import KnownPosts, Post
from folkmoot.cli.importing.source import Entry, parse_time_us
from folkmoot.protocol import limits
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

REPOST_MARK: Final = "RT @"
MISSING_TARGET: Final = "what it refers to is not in the source before it"

_PURPOSE: Final = b"folkmoot-import-item-v1\x00"
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_UNNAMED: Final = "\x00unnamed\x00"


class Unusable(Exception):  # named for what the entry is
    """An entry that cannot be a record; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A record to be, not signed yet: entries that are only passed over on resuming cost no signature.

    Args:
        entry_id: of the entry it was made from.
        sign: makes the record. Raises WireError when the entry does not fit a record's form.
        unreferenced: whether it lost a reference to something the source does not have.
    """

    entry_id: str
    sign: Callable[[], Record]
    unreferenced: bool = False


class Mapper:
    """Maps entries in their order.

    Args:
        authors: the keys.
    """

    def __init__(self, authors: Authors) -> None:
        self._authors = authors
        self._known = KnownPosts()
        self._stamps: dict[bytes, int] = {}

    def plan(self, entry: Entry) -> Planned:
        """The record for the next entry.

        Raises:
            Unusable: there is none.
        """
        author = self._author(entry)
        try:
            time_us = parse_time_us(entry.created_at)
        except ValueError as error:
            raise Unusable(f"created_at {entry.created_at[:40]!r} is not a usable time: {error}") from error
        if entry.id in self._known:
            raise Unusable("another entry has the same id")
        if entry.like_of is not None:
            return self._reaction("like", entry, entry.like_of, author, time_us)
        if entry.deletion_of is not None:
            return self._deletion(entry, entry.deletion_of, author, time_us)
        subject_id = entry.repost_of
        if subject_id is not None and _wordless(entry) and (subject_id in self._known or not entry.text):
            planned = self._reaction("repost", entry, subject_id, author, time_us)
            self._known.alias(entry.id, subject_id)
            return planned
        return self._post(entry, author, time_us)

    def _author(self, entry: Entry) -> KeyPair:
        if entry.author:
            return self._authors.key_of(entry.author)
        if entry.author_name:
            return self._authors.key_of(_UNNAMED + entry.author_name)
        raise Unusable("it has no author")

    def _post(self, entry: Entry, author: KeyPair, time_us: int) -> Planned:
        text = entry.text
        if not text:
            raise Unusable("it has no text")
        if len(text) > limits.POST_TEXT_CODE_POINTS:
            raise Unusable(f"its text is longer than {limits.POST_TEXT_CODE_POINTS} characters")
        parent = self._find(entry.reply_to)
        quoted = self._find(entry.repost_of)
        stamp = self._next_stamp(author, time_us)
        item = make_uuid7(stamp // 1000, _item_bits(entry.id, stamp))
        self._known.add(entry.id, author.account, item, entry.reply_to if parent else None)

        def sign() -> Record:
            body = _post_body(entry, text, parent, quoted)
            return Record.sign(author, kind="post", item=item, body=body, stamp=stamp)

        missing = (entry.reply_to is not None and parent is None) or (
            entry.repost_of is not None and quoted is None
        )
        return Planned(entry.id, sign, unreferenced=missing)

    def _reaction(self, kind: str, entry: Entry, subject_id: str, author: KeyPair, time_us: int) -> Planned:
        subject = self._find(subject_id)
        if subject is None:
            raise Unusable(f"a {kind}: {MISSING_TARGET}")
        stamp = self._next_stamp(author, time_us)
        item = subject.item + author.account

        def sign() -> Record:
            return Record.sign(
                author, kind=kind, item=item, body={"on": True}, stamp=stamp, place=subject.author
            )

        return Planned(entry.id, sign)

    def _deletion(self, entry: Entry, subject_id: str, author: KeyPair, time_us: int) -> Planned:
        subject = self._find(subject_id)
        if subject is None:
            raise Unusable(f"a deletion: {MISSING_TARGET}")
        if subject.author != author.account:
            raise Unusable("it deletes another author's post")
        stamp = self._next_stamp(author, time_us)

        def sign() -> Record:
            return Record.sign(author, kind="post", item=subject.item, body={"deleted": True}, stamp=stamp)

        return Planned(entry.id, sign)

    def _find(self, entry_id: str | None) -> Post | None:
        return None if entry_id is None else self._known.get(entry_id)

    def _next_stamp(self, author: KeyPair, time_us: int) -> int:
        stamp = max(time_us, self._stamps.get(author.account, -1) + 1)
        self._stamps[author.account] = stamp
        return stamp


def _wordless(entry: Entry) -> bool:
    """Whether a repost adds nothing of its own."""
    return not entry.text or entry.text.startswith(REPOST_MARK)


def _post_body(entry: Entry, text: str, parent: Post | None, quoted: Post | None) -> dict[str, Any]:
    body: dict[str, Any] = {"text": text}
    if parent is not None:
        body["reply_to"] = parent.ref()
        body["root"] = (parent.root or parent).ref()
    if quoted is not None:
        body["quote"] = quoted.ref()
    if entry.lang is not None and _LANGUAGE.fullmatch(entry.lang):
        body["lang"] = entry.lang
    tags = [tag for tag in entry.hashtags or () if 1 <= len(tag) <= limits.POST_TAG_CODE_POINTS]
    if tags:
        body["tags"] = list(dict.fromkeys(tags))[: limits.POST_TAGS]
    return body


def _item_bits(entry_id: str, stamp: int) -> int:
    """The 74 bits behind a UUIDv7's milliseconds: 12 of finer time, 62 of the entry's id."""
    finer = (stamp % 1000) * 4096 // 1000
    digest = hashlib.sha256(_PURPOSE + entry_id.encode()).digest()
    return (finer << 62) | (int.from_bytes(digest[:8], "big") >> 2)


def sign_planned(planned: Planned) -> Record:
    """Sign a planned record.

    Raises:
        Unusable: the entry does not fit a record's form, for example because its text cannot be encoded.
    """
    try:
        return planned.sign()
    except (WireError, UnicodeEncodeError) as error:
        raise Unusable(f"it cannot be a record: {error}") from error
