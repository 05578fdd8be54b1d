"""The ordered key space: (hash(place), place, kind, item) as bytes whose order is the order of the space.

A key is `sha256(place)[:8] ‖ public key of place (32) ‖ kind (1) ‖ item (1–129)`. The hash spreads accounts
evenly over the space; everything that lives under one account stays together, and its posts, whose items
are UUIDv7, stand in the order of their making. The kind byte is part of the wire between nodes and of what
is on disk: numbers are never reused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.identity import MULTICODEC_ED25519, is_account
from folkmoot.protocol.limits import BLOCKS_PER_LANE, ITEM_BYTES, LANES

HASH_BYTES: Final = 8
PUBLIC_BYTES: Final = 32
PLACE_PREFIX_BYTES: Final = HASH_BYTES + PUBLIC_BYTES
KIND_AT: Final = PLACE_PREFIX_BYTES
ITEM_AT: Final = KIND_AT + 1

HELD: Final = "held"

# `held` is where a record waits for review; its item is the kind byte and item of the cell it waits for.
KIND_BYTE: Final[dict[str, int]] = {
    "post": 1,
    "profile": 2,
    "follow": 3,
    "mute": 4,
    "block": 5,
    "bookmark": 6,
    "like": 7,
    "repost": 8,
    "report": 9,
    "label": 10,
    "vote": 11,
    "decision": 12,
    "appeal": 13,
    "list": 14,
    "listed": 15,
    "preference": 16,
    "algorithm": 17,
    HELD: 64,
}
KIND_NAME: Final[dict[int, str]] = {number: name for name, number in KIND_BYTE.items()}

# Who may write under another account's place, and what only its author may read (wire contract, section 3).
KINDS_UNDER_SUBJECT: Final = frozenset({"like", "repost", "report", "label", "vote", "decision", "appeal"})
KINDS_PRIVATE: Final = frozenset({"mute", "bookmark", "report", "vote", "preference", HELD})
KINDS_FLAG: Final = frozenset({"like", "repost", "follow", "mute", "block", "bookmark", "listed"})
KINDS_OF_TWO: Final = frozenset({"follow", "mute", "block"})  # said by one account about another
# Statements in others' cases, which are never superseded.
KINDS_STATEMENT: Final = frozenset({"report", "label", "vote", "decision", "appeal"})
# What an account can take back: all else, so that a kind that is added to the table is not forgotten.
KINDS_TAKEN_BACK: Final = frozenset(KIND_BYTE) - KINDS_STATEMENT - {HELD}
# Of these a record can say that nothing older is to be kept; of a post the deletion says so.
KINDS_ERASING: Final = KINDS_TAKEN_BACK - {"post"}

_LANE_SHIFT: Final = 16 - (LANES.bit_length() - 1)
_BLOCK_SHIFT: Final = _LANE_SHIFT - (BLOCKS_PER_LANE.bit_length() - 1)


class KeyParts(NamedTuple):
    """A key, taken apart."""

    place: bytes
    kind: str
    item: bytes


@lru_cache(maxsize=4096)
def place_prefix(place: bytes) -> bytes:
    """The 40 bytes that begin every key under `place` (an account id of 34 bytes)."""
    return hashlib.sha256(place).digest()[:HASH_BYTES] + place[2:]


def cell_key(place: bytes, kind: str, item: bytes) -> bytes:
    """The key of the cell (place, kind, item).

    Raises:
        WireError: `bad_request`, when one of the three cannot be part of a key.
    """
    number = KIND_BYTE.get(kind)
    if number is None:
        raise WireError(BAD_REQUEST, f"kind {kind[:40]!r} is not one this version knows")
    if not is_account(place):
        raise WireError(BAD_REQUEST, "place is not an account id of 34 bytes")
    longest = ITEM_BYTES + 1 if kind == HELD else ITEM_BYTES
    if type(item) is not bytes or not 1 <= len(item) <= longest:
        raise WireError(BAD_REQUEST, f"item is not 1 to {longest} bytes")
    return place_prefix(place) + bytes((number,)) + item


@lru_cache(maxsize=4096)
def kind_prefix(place: bytes, kind: str) -> bytes:
    """What every key of one kind under `place` begins with."""
    return place_prefix(place) + bytes((KIND_BYTE[kind],))


def held_key(key: bytes) -> bytes:
    """Where a record waits for review before it may be joined at `key`."""
    return key[:KIND_AT] + bytes((KIND_BYTE[HELD],)) + key[KIND_AT:]


def parse_key(key: bytes) -> KeyParts:
    """Take a key apart.

    Raises:
        WireError: `bad_request`, when the bytes are not a key (wrong length, hash or kind).
    """
    if not ITEM_AT < len(key) <= ITEM_AT + ITEM_BYTES + 1:
        raise WireError(BAD_REQUEST, f"a key of {len(key)} bytes")
    place = MULTICODEC_ED25519 + key[HASH_BYTES:PLACE_PREFIX_BYTES]
    kind = KIND_NAME.get(key[KIND_AT])
    if kind is None or key[:HASH_BYTES] != place_prefix(place)[:HASH_BYTES]:
        raise WireError(BAD_REQUEST, "the bytes are not a key of this version")
    return KeyParts(place, kind, key[ITEM_AT:])


def lane_of(key: bytes) -> int:
    """The lane (0–63) of a key: the top 6 bits of its hash. A change log is kept per lane."""
    return key[0] >> (8 - (LANES.bit_length() - 1))


def block_of(key: bytes) -> int:
    """The block (0–4095) of a key: the top 12 bits of its hash. Repair keeps an aggregate per block."""
    return ((key[0] << 8) | key[1]) >> _BLOCK_SHIFT


def block_start(block: int) -> bytes:
    """The least key prefix of a block; of block 4096, the empty string, which stands for the end."""
    value = block << _BLOCK_SHIFT
    return b"" if value > 0xFFFF else value.to_bytes(2, "big")


def block_slices(start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The slices (first bound, end) into which blocks cut the keys from `start` to before `end`, in order.

    An empty `end` is the end of the key space, of a slice as of the whole.
    """
    block = block_of(start.ljust(2, b"\0"))
    while True:
        stop = block_start(block + 1)
        if stop == b"" or (end != b"" and end <= stop):
            yield start, end
            return
        yield start, stop
        start, block = stop, block + 1


def prefix_end(prefix: bytes) -> bytes:
    """The least key greater than every key that begins with `prefix`; empty when there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else b""
