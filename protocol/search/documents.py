"""Documents: what the index holds of a post, and whether an author wants to be found.

A document is a text of tokens for each column: `body` (text, warning and the descriptions of media),
`tags`, `author` and `lang`. Tags and accounts are digests and hexadecimal digits there, so that every token
is made of letters and digits alone, whatever people write.

An account whose profile says `searchable: false` is not found by what it says: the profile's field is signed
like all else, and what it says now decides about everything the account ever wrote.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.key import ITEM_AT, KIND_AT, KIND_BYTE, kind_prefix
from folkmoot.protocol.projections.entries import tag_form
from folkmoot.protocol.search.tokens import tokens

SEARCHABLE: Final = b"searchable"
"""The field of a profile."""

COLUMNS: Final = ("body", "tags", "author", "lang")
TIME_MS_MAX: Final = 2**42 - 1
"""In the year 2109: what is dated later is not indexed, for no clock is right that says so."""

_TAG_BYTES: Final = 10
_POST: Final = KIND_BYTE["post"]


class Document(NamedTuple):
    """See the module; of each column the tokens, with spaces between them.

    Args:
        tags: digests of tags, see `tag_token`.
        author: hexadecimal digits, see `author_token`.
        trending: the tags, in their forms and in order, as far as they may trend: those of a post that warns
            of itself, or labels itself, may not.
    """

    body: str
    tags: str
    author: str
    lang: str
    trending: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, str, str, str]:
        """What is searched, in the order of `COLUMNS`."""
        return self[:4]


def is_indexed(key: bytes) -> bool:
    """Whether what is at a key may be in the index: a post, of a time that a clock may show."""
    return key[KIND_AT] == _POST and post_time_ms(key[ITEM_AT:]) <= TIME_MS_MAX


def document_of(cell: Cell) -> Document | None:
    """What the index holds of a post; None of one that was deleted."""
    if cell.deleted:
        return None
    shown = cell.winner
    body = shown.body
    lang = body.get("lang")
    forms = list(dict.fromkeys(filter(None, map(tag_form, body.get("tags", ())))))
    may_trend = not body.get("warning") and not body.get("labels")
    return Document(
        " ".join(tokens(_texts(body))),
        " ".join(map(tag_token, forms)),
        author_token(shown.author),
        "" if lang is None else " ".join(_language_tokens(lang)),
        tuple(sorted(forms)) if may_trend else (),
    )


def _texts(body: dict[str, Any]) -> str:
    """All that a post says in words."""
    texts = [body.get("text", ""), body.get("warning", "")]
    texts += [medium.get("alt", "") for medium in body.get("media", ())]
    return "\n".join(filter(None, texts))


def tag_token(form: str) -> str:
    """The token of a tag, in its form."""
    return hashlib.blake2b(form.encode(), digest_size=_TAG_BYTES).hexdigest()


def author_token(account: bytes) -> str:
    """The token of an account (34 bytes)."""
    return account[2:].hex()


def language_token(lang: str) -> str:
    """The token of a language tag: of `pt-BR`, `ptbr`."""
    return lang.replace("-", "").lower()


def _language_tokens(lang: str) -> list[str]:
    """What a post in a language is found by: `pt-BR` by itself and by `pt`."""
    parts = lang.split("-")
    return [language_token("-".join(parts[:count])) for count in range(1, len(parts) + 1)]


def searchable_key(account: bytes) -> bytes:
    """Where it stands whether an account (34 bytes) wants to be found."""
    return kind_prefix(account, "profile") + SEARCHABLE


def is_searchable(cell: Cell | None) -> bool:
    """What the field of the profile says: who says nothing else is found.

    Args:
        cell: at `searchable_key`; None when there is none.
    """
    return cell is None or cell.winner.body.get("value") is not False
