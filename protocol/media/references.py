"""Which media a cell refers to: those of posts that stand, or wait for review, and of profile fields.

Only what survives refers. A version that was superseded by an edit is kept as text, and its pictures go when
nothing else shows them; what was deleted refers to nothing. A profile field refers when its value is a map
with a `hash`, as that of `avatar` is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.key import HELD, KIND_AT, KIND_BYTE
from folkmoot.protocol.media.manifest import HASH_BYTES
from folkmoot.protocol.record import Record

REFERRING_KINDS: Final = ("post", "profile", HELD)
REFERRING: Final = frozenset(KIND_BYTE[kind] for kind in REFERRING_KINDS)
"""The kinds, as bytes of keys, whose cells may refer to media."""

_KEY: Final = b"\xa4hash"  # as the key of a map is spelled; what has none of it refers to nothing


class Reference(NamedTuple):
    """What a record says of a medium: its hash, and its type and size where those are told."""

    hash: bytes
    mime: str | None
    size: int | None


def may_refer(key: bytes, cell: bytes) -> bool:
    """Whether a cell might refer to media; a look at its bytes, without decoding them."""
    return key[KIND_AT] in REFERRING and _KEY in cell


def references(record: Record) -> list[Reference]:
    """The media that a record refers to, as often as it does."""
    body: Mapping[str, Any] = record.body
    match record.kind:
        case "post":
            said: list[Any] = list(body.get("media") or ())
        case "profile":
            said = [body.get("value")]
        case _:
            return []
    return [found for entry in said if (found := _reference(entry)) is not None]


def hashes_in(cell: bytes) -> set[bytes]:
    """The hashes of the media that an encoded cell refers to.

    Raises:
        WireError: it is no cell.
    """
    return {found.hash for record in Cell.decode(cell).survivors for found in references(record)}


def _reference(entry: Any) -> Reference | None:
    if not isinstance(entry, dict):
        return None
    digest, mime, size = entry.get("hash"), entry.get("mime"), entry.get("size")
    if type(digest) is not bytes or len(digest) != HASH_BYTES:
        return None
    return Reference(digest, mime if type(mime) is str else None, size if type(size) is int else None)
