"""Cursors: opaque, exclusive positions in a feed.

A cursor names the last item its page showed; the next page begins after it, whatever was inserted since.
It carries no secret and grants nothing. Its check binds it to one feed, so that a cursor of another feed, a
shortened or an invented one is refused instead of quietly starting somewhere.

Layout: version (1 byte) ‖ kind (1) ‖ check (8) ‖ position, where check = SHA-256("folkmoot-cursor-v1" 0x00 ‖
kind ‖ subject length (2) ‖ subject ‖ position), cut to 8 bytes.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import Final

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.limits import CURSOR_BYTES

VERSION: Final = 1

_DOMAIN: Final = b"folkmoot-cursor-v1\0"
_CHECK_BYTES: Final = 8
_HEAD_BYTES: Final = 2 + _CHECK_BYTES

POSITION_BYTES: Final = CURSOR_BYTES - _HEAD_BYTES


class CursorKind(IntEnum):
    """Which feed a cursor belongs to; numbers are never reused."""

    AUTHOR = 1
    HOME = 10
    THREAD = 11
    TAG = 12
    BOOKMARKS = 13
    LIST = 14
    RANKED = 15
    FOLLOW_AUTHOR = 16  # live streams; see `places`
    FOLLOW_RANGE = 17
    FOLLOW_HOME = 18
    FOLLOW_TAG = 19
    SEARCH = 21
    SEARCH_BEST = 22
    NOTIFICATIONS = 24
    REQUESTS = 25
    FOLLOW_NOTIFICATIONS = 26
    QUEUE = 27
    STATEMENTS = 28
    AUDIT = 33


def encode(kind: CursorKind, subject: bytes, position: bytes) -> bytes:
    """The cursor after `position`.

    Args:
        kind: the feed's kind.
        subject: whose feed it is: the account id (34 bytes) of an author, a home feed, bookmarks or
            notifications; what a thread begins with, or a list, author and item (50); the form of a tag, in
            UTF-8; for `FOLLOW_RANGE` the range's number (8); for both sorts of searches the query, in UTF-8;
            for `STATEMENTS` since when (8), for `AUDIT` a hash of what is asked (32), for `QUEUE` nothing;
            for `RANKED` the account and the algorithm's name, with its owner before it where it has one.
        position: the last item shown: for `AUTHOR` a post's item (16 bytes), for live streams a place, for
            searches see `node.search.places`, for `QUEUE`, `STATEMENTS` and `AUDIT` the key to begin at, for
            `RANKED` see `ranking.position`, else the member of its entry (see `projections.entries`), for
            `THREAD` all members on the way there.
    """
    cursor = bytes((VERSION, kind)) + _check(kind, subject, position) + position
    assert len(cursor) <= CURSOR_BYTES, "positions are short"
    return cursor


def decode(kind: CursorKind, subject: bytes, cursor: object) -> bytes:
    """The position of a cursor a client brought back.

    Raises:
        WireError: `bad_request`, when it is not a cursor of this feed.
    """
    if type(cursor) is not bytes or not _HEAD_BYTES <= len(cursor) <= CURSOR_BYTES:
        raise WireError(
            BAD_REQUEST, f"a cursor is {_HEAD_BYTES} to {CURSOR_BYTES} bytes from an earlier page"
        )
    position = cursor[_HEAD_BYTES:]
    if cursor[:2] != bytes((VERSION, kind)) or cursor[2:_HEAD_BYTES] != _check(kind, subject, position):
        raise WireError(BAD_REQUEST, "the cursor is not one of this feed; ask for the first page without one")
    return position


def _check(kind: CursorKind, subject: bytes, position: bytes) -> bytes:
    bound = bytes((kind,)) + len(subject).to_bytes(2, "big") + subject + position
    return hashlib.sha256(_DOMAIN + bound).digest()[:_CHECK_BYTES]
