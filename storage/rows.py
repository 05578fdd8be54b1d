"""How rows are laid out in bytes: one page that says everything that is on disk.

A cell's row is `sequence (8) ‖ shown (2) ‖ cell ‖ crc (4, little-endian)`, the checksum taken over key and
row. `shown` is the length of the display winner's frame within the cell, 0 when the cell is a deletion, so
that pages are cut out of rows without looking into them. A CRC-32 that follows its own message, least byte
first, leaves the same residue whatever the message was, so that one call over the whole row checks it
without cutting anything off. The key is part of what is summed: a row that stands at the wrong key is damage
too.

Source of the residue property: R. N. Williams, "A Painless Guide to CRC Error Detection Algorithms" (1993).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple
from zlib import crc32

from folkmoot.protocol.crdt.cell import shown_frame
from folkmoot.protocol.key import ITEM_AT, KIND_AT, KIND_BYTE, PLACE_PREFIX_BYTES, lane_of
from folkmoot.protocol.limits import POST_ITEM_BYTES
from folkmoot.storage.errors import StoreCorrupt

SEQUENCE_BYTES: Final = 8
ROW_HEAD_BYTES: Final = SEQUENCE_BYTES + 2
_FRAME_AT: Final = ROW_HEAD_BYTES + 2
CRC_BYTES: Final = 4
CRC_RESIDUE: Final = 0x2144DF1C
NODE_BYTES: Final = 16
SUM_MASK: Final = 2**256 - 1

LIKE: Final = KIND_BYTE["like"]
REPOST: Final = KIND_BYTE["repost"]
COUNTED_KINDS: Final = frozenset({LIKE, REPOST})

_row_head = struct.Struct(">QH")
_block_row = struct.Struct(">Q32s")
_counts_row = struct.Struct(">II")
_hint_row = struct.Struct(">QQ")
_hint_node_row = struct.Struct(">QQ?")


def cell_row(key: bytes, sequence: int, cell: bytes) -> bytes:
    """The row of a cell whose latest change has this sequence."""
    shown = len(shown_frame(cell) or b"")
    body = _row_head.pack(sequence, shown) + cell
    return body + crc32(key + body).to_bytes(CRC_BYTES, "little")


def row_cell(key: bytes, row: bytes) -> bytes:
    """The cell in a row, checked.

    Raises:
        StoreCorrupt: naming the key.
    """
    if crc32(key + row) != CRC_RESIDUE:
        raise damaged(key)
    return row[ROW_HEAD_BYTES:-CRC_BYTES]


def row_frames(rows: Sequence[tuple[bytes, bytes]]) -> list[bytes | None]:
    """The display winners' frames in some rows, checked; None for deletions.

    One loop for all rows of a page, which is little else than this.

    Args:
        rows: (key, row) of cells.

    Raises:
        StoreCorrupt: naming the key.
    """
    frames: list[bytes | None] = []
    for key, row in rows:
        if crc32(key + row) != CRC_RESIDUE:
            raise damaged(key)
        shown = row[8] << 8 | row[9]
        # Frames begin after the headers of the cell and of its survivors, which are longer for 16 or more.
        start = _FRAME_AT if row[11] & 0xF0 == 0x90 else _FRAME_AT + 2
        frames.append(row[start : start + shown] if shown else None)
    return frames


def meta_row(name: bytes, value: bytes) -> bytes:
    """A small value with its checksum, which covers its name."""
    return value + crc32(name + value).to_bytes(CRC_BYTES, "little")


def row_meta(name: bytes, row: bytes) -> bytes:
    """The inverse of `meta_row`.

    Raises:
        StoreCorrupt: naming the value.
    """
    if crc32(name + row) != CRC_RESIDUE:
        raise StoreCorrupt(f"the value {name.decode(errors='replace')!r}", "its checksum does not fit")
    return row[:-CRC_BYTES]


def row_sequence(row: bytes) -> int:
    """The change sequence of a row that was checked."""
    return int.from_bytes(row[:SEQUENCE_BYTES], "big")


def damaged(key: bytes, reason: str = "its checksum does not fit") -> StoreCorrupt:
    """The error for a cell that is not what was written."""
    return StoreCorrupt(f"the cell at {key.hex()}", reason)


def log_key(lane: int, sequence: int) -> bytes:
    """Where the log of a lane (0–63) keeps position `sequence`."""
    return bytes((lane,)) + sequence.to_bytes(SEQUENCE_BYTES, "big")


def log_key_of(key: bytes, sequence: int) -> bytes:
    """The log position of a change to the cell at `key`."""
    return bytes((lane_of(key),)) + sequence.to_bytes(SEQUENCE_BYTES, "big")


def block_key(block: int) -> bytes:
    """Where the aggregate of a block (0–4095) is kept."""
    return block.to_bytes(2, "big")


def pack_block(count: int, total: int) -> bytes:
    """The aggregate of a block: how many cells, and the sum of their hashes mod 2^256."""
    return _block_row.pack(count, total.to_bytes(32, "big"))


def unpack_block(row: bytes) -> tuple[int, int]:
    """The inverse of `pack_block`."""
    count, total = _block_row.unpack(row)
    return count, int.from_bytes(total, "big")


def counts_key(key: bytes) -> bytes:
    """Where the counts are kept that a like or repost at `key` adds to: its place prefix and post item."""
    return key[:PLACE_PREFIX_BYTES] + key[ITEM_AT : ITEM_AT + POST_ITEM_BYTES]


def is_counted(key: bytes) -> bool:
    """Whether the cell at `key` is one that counts count."""
    return key[KIND_AT] in COUNTED_KINDS


class Counts(NamedTuple):
    """How many accounts have a like and a repost switched on at a post."""

    likes: int
    reposts: int


NO_COUNTS: Final = Counts(0, 0)


def pack_counts(counts: Counts) -> bytes:
    return _counts_row.pack(*counts)


def unpack_counts(row: bytes) -> Counts:
    return Counts(*_counts_row.unpack(row))


class HintState(NamedTuple):
    """What is kept for one absent node.

    Attributes:
        waiting: how many hints there are.
        since_us: wall time of the first of them, microseconds since 1970.
        overflow: some were not kept, so that only a full repair can tell what the node lacks.
    """

    waiting: int
    since_us: int
    overflow: bool


NO_HINTS: Final = HintState(0, 0, False)


def pack_hint(since_us: int, mark: int) -> bytes:
    return _hint_row.pack(since_us, mark)


def unpack_hint(row: bytes) -> tuple[int, int]:
    since_us, mark = _hint_row.unpack(row)
    return since_us, mark


def pack_hint_node(state: HintState) -> bytes:
    return _hint_node_row.pack(*state)


def unpack_hint_node(row: bytes) -> HintState:
    return HintState(*_hint_node_row.unpack(row))
