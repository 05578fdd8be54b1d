"""Mute records: which account, thread or word somebody does not want to see, and until when.

The item tells the three apart, so that each is a cell of its own and switching one on or off needs no list:

- an *account*: its 34 bytes, which begin with the prefix of its key;
- a *thread*: the first post's author and item, 50 bytes;
- a *word*: `word:` and the SHA-256 of the word in UTF-8, 37 bytes, however long the word is.

The digest is of the word exactly as the body has it. What a node compares with posts is the word's normal
form (see `words`), but that form follows the Unicode data a node has, and whether a record has the right
shape must not: nodes that disagreed about that could not exchange it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.limits import (
    ACCOUNT_BYTES,
    ITEM_BYTES,
    MUTED_WORD_CODE_POINTS,
    POST_ITEM_BYTES,
    STAMP_MAX,
)

WORD_PREFIX: Final = b"word:"
WORD_ITEM_BYTES: Final = len(WORD_PREFIX) + hashlib.sha256().digest_size
THREAD_BYTES: Final = ACCOUNT_BYTES + POST_ITEM_BYTES
FOREVER_US: Final = STAMP_MAX

assert len({ACCOUNT_BYTES, THREAD_BYTES, WORD_ITEM_BYTES}) == 3 and THREAD_BYTES <= ITEM_BYTES


@dataclass(frozen=True, slots=True)
class AccountMute:
    """An account is muted.

    Args:
        account: whose posts are not wanted (34 bytes).
        until_us: microseconds since 1970 from which on this says nothing any more.
        reposts_only: whether only what the account reposts is not wanted.
    """

    account: bytes
    until_us: int
    reposts_only: bool


@dataclass(frozen=True, slots=True)
class ThreadMute:
    """A thread is muted.

    Args:
        thread: author and item of its first post (50 bytes).
        until_us: as in `AccountMute`.
    """

    thread: bytes
    until_us: int


@dataclass(frozen=True, slots=True)
class WordMute:
    """A word or phrase is muted.

    Args:
        word: as its owner wrote it; empty in a record that switches one off and does not repeat it.
        until_us: as in `AccountMute`.
    """

    word: str
    until_us: int


Mute = AccountMute | ThreadMute | WordMute


def word_item(word: str) -> bytes:
    """The item of the record that mutes `word`, spelled as in its body."""
    return WORD_PREFIX + hashlib.sha256(word.encode()).digest()


def parse_mute(item: bytes, body: Mapping[str, Any]) -> Mute:
    """Read a mute from its record's item and body; whether it is on is the body's `on`.

    Raises:
        WireError: `bad_request`, saying which part is not as described above.
    """
    until_us = body.get("until", FOREVER_US)
    if type(until_us) is not int or not 0 <= until_us <= STAMP_MAX:
        raise WireError(BAD_REQUEST, "a mute's until is a number of microseconds since 1970")
    if is_account(item):
        if body.get("reposts", True) is not True:
            raise WireError(BAD_REQUEST, "a mute's reposts is true, or absent")
        return AccountMute(item, until_us, "reposts" in body)
    if len(item) == WORD_ITEM_BYTES and item.startswith(WORD_PREFIX):
        return WordMute(_word(item, body), until_us)
    if len(item) == THREAD_BYTES and is_account(item[:ACCOUNT_BYTES]):
        return ThreadMute(item, until_us)
    raise WireError(
        BAD_REQUEST,
        "the item of a mute is the other account's 34 bytes, or the author and item of a thread's first "
        "post, or word: and the SHA-256 of the word",
    )


def _word(item: bytes, body: Mapping[str, Any]) -> str:
    word = body.get("word")
    if word is None and body.get("on") is False:
        return ""
    if type(word) is not str or not 1 <= len(word) <= MUTED_WORD_CODE_POINTS:
        raise WireError(BAD_REQUEST, f"a mute's word is a text of 1 to {MUTED_WORD_CODE_POINTS} characters")
    if word_item(word) != item:
        raise WireError(BAD_REQUEST, "the item of a muted word has the SHA-256 of another word than its body")
    return word
