"""Cursors: what they are bound to, and the places in change logs that those of live streams name.

To clients they are opaque; nodes of different versions, in whatever language, must read each other's.
"""

from __future__ import annotations

from typing import Any

from folkmoot.protocol.feed.cursor import CursorKind, encode
from folkmoot.protocol.feed.places import LogPlace
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.ranking.position import Position

ANN, BEN = (KeyPair(bytes([number]) * 32).account for number in (1, 2))
ITEM = bytes.fromhex("0192f0c1a2b37c4d8e5f60718293a4b5")
RANKED = Position(bytes(range(32)), 1_790_000_000_000, -1_500, ITEM + ANN[2:])
PLACE = LogPlace(bytes(range(16)), bytes(range(16, 32)), 1_790_000_000_000, 12_345, 1_790_000_000_123_456)


def cursor_vectors() -> dict[str, Any]:
    """Cursors that name something, and ones that are refused where they are brought."""
    ours = encode(CursorKind.FOLLOW_AUTHOR, ANN, PLACE.encode())
    page = encode(CursorKind.AUTHOR, ANN, ITEM)
    fields = PLACE._asdict()
    return {
        "about": "Cursors as nodes make and check them: version (1 byte), kind (1), check (8), position. "
        "Invalid ones are refused as `bad_request` where they are brought for this kind and subject.",
        "valid": [
            _case("a page", CursorKind.AUTHOR, ANN, ITEM),
            _case("a live stream of an author", CursorKind.FOLLOW_AUTHOR, ANN, PLACE.encode(), fields),
            _case("a ranked feed", CursorKind.RANKED, ANN + b"best", RANKED.encode()),
            _case(
                "a live stream of a range",
                CursorKind.FOLLOW_RANGE,
                (17).to_bytes(8, "big"),
                PLACE._replace(shape=0xDEADBEEF).encode(),
                PLACE._replace(shape=0xDEADBEEF)._asdict(),
            ),
        ],
        "invalid": [
            {"name": name, "kind": int(kind), "subject": subject.hex(), "cursor": cursor.hex()}
            for name, kind, subject, cursor in [
                ("empty", CursorKind.FOLLOW_AUTHOR, ANN, b""),
                ("another author's", CursorKind.FOLLOW_AUTHOR, BEN, ours),
                ("a page's", CursorKind.FOLLOW_AUTHOR, ANN, page),
                ("for a page", CursorKind.AUTHOR, ANN, ours),
                ("another version", CursorKind.FOLLOW_AUTHOR, ANN, b"\x02" + ours[1:]),
                ("a changed check", CursorKind.FOLLOW_AUTHOR, ANN, ours[:2] + b"\0" + ours[3:]),
                ("a changed place", CursorKind.FOLLOW_AUTHOR, ANN, ours[:-1] + b"\x01"),
                ("cut short", CursorKind.FOLLOW_AUTHOR, ANN, ours[:-1]),
                ("a byte too many", CursorKind.FOLLOW_AUTHOR, ANN, ours + b"\0"),
                ("no place", CursorKind.FOLLOW_AUTHOR, ANN, encode(CursorKind.FOLLOW_AUTHOR, ANN, ITEM)),
            ]
        ],
    }


def _case(
    name: str, kind: CursorKind, subject: bytes, position: bytes, place: dict[str, Any] | None = None
) -> dict[str, Any]:
    told = {
        "name": name,
        "kind": int(kind),
        "subject": subject.hex(),
        "position": position.hex(),
        "cursor": encode(kind, subject, position).hex(),
    }
    if place is not None:
        told["place"] = {
            key: value.hex() if isinstance(value, bytes) else value for key, value in place.items()
        }
    return told
