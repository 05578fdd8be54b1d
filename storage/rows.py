"""How rows are laid out in bytes: one page that says everything that is on disk.

A cell's row is `sequence (8) ‖ shown (2) ‖ cell ‖ crc (4, little-endian)`, the checksum taken over key and
row. `shown` says where the display winner's frame is in the cell, so that pages are cut out of rows without
looking into them. It is 0 when the cell is *plain*, one record and nothing besides, as most are: the frame
then lies between fixed ends. Otherwise it is 0x8000 and the frame's length, which is nought when the cell is
a deletion. The key is part of what is summed: a row that stands at the wrong key is damage too. The rows of
all other tables are *sealed*: their value, and the same checksum over key and value.

Four bytes at the end of a message bring a CRC-32 to any value one likes, and ours bring it to nought, which
is where it began. So key and row together have the sum 0, which one call checks without cutting anything off,
and so has any number of them one after another: a page is checked at once. Damage to one of its rows cannot
hide there, for what follows maps different sums to different ones; damage to several could cancel out, as
rarely as a checksum fits by chance. Which row it is, is then asked of each.

Source of the property: R. N. Williams, "A Painless Guide to CRC Error Detection Algorithms" (1993).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Final, NamedTuple
from zlib import crc32

from folkmoot.protocol.crdt.cell import Cell, shown_frame
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import ITEM_AT, KIND_AT, KIND_BYTE, PLACE_PREFIX_BYTES, lane_of
from folkmoot.protocol.limits import MIB, POST_ITEM_BYTES
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table

SEQUENCE_BYTES: Final = 8
ROW_HEAD_BYTES: Final = SEQUENCE_BYTES + 2
_FRAME_AT: Final = ROW_HEAD_BYTES + 2
CRC_BYTES: Final = 4
_TO_NOUGHT: Final = 0x6DD90A9D  # a CRC-32 xor this, appended to what it is of, makes that one's CRC-32 nought
_SUMMED_AT_ONCE_BYTES: Final = 1 * MIB
NODE_BYTES: Final = 16
SUM_MASK: Final = 2**256 - 1
_NO_FIT: Final = "its checksum does not fit"

POST: Final = KIND_BYTE["post"]
LIKE: Final = KIND_BYTE["like"]
REPOST: Final = KIND_BYTE["repost"]
COUNTED_KINDS: Final = frozenset({LIKE, REPOST})

_row_head = struct.Struct(">QH")
_block_row = struct.Struct(">Q32s")
_counts_row = struct.Struct(">II")
_hint_row = struct.Struct(">QQ")
_hint_node_row = struct.Struct(">QQ")

# A plain cell has two bytes before its frame, and after it two that say there is neither clock nor history.
_PLAIN_CELL_BYTES: Final = 2 + 2
_plain_frame: Callable[[bytes], bytes] = itemgetter(slice(_FRAME_AT, -2 - CRC_BYTES))
_shown_head: Callable[[bytes], int] = itemgetter(SEQUENCE_BYTES)
_NOT_PLAIN: Final = 0x8000

HINT_ROW_BYTES: Final = _hint_row.size + CRC_BYTES


def cell_row(key: bytes, sequence: int, cell: bytes) -> bytes:
    """The row of a cell whose latest change has this sequence."""
    frame_bytes = len(shown_frame(cell) or b"")
    shown = 0 if frame_bytes == len(cell) - _PLAIN_CELL_BYTES else _NOT_PLAIN | frame_bytes
    return seal(key, _row_head.pack(sequence, shown) + cell)


def row_cell(key: bytes, row: bytes) -> bytes:
    """The cell in a row, checked.

    Raises:
        StoreCorrupt: naming the key.
    """
    if crc32(key + row):
        raise damaged(key)
    return row[ROW_HEAD_BYTES:-CRC_BYTES]


class Frames(NamedTuple):
    """What a page needs of some rows.

    Attributes:
        keys: the cells' keys.
        frames: their display winners' frames; None for deletions.
        bytes_max: how many bytes the frames are together at most.
    """

    keys: list[bytes]
    frames: list[bytes | None]
    bytes_max: int


def row_frames(rows: Sequence[tuple[bytes, bytes]]) -> Frames:
    """Cut the display winners' frames out of some rows, checked.

    A page is little else than this, so nothing is done row by row here that can be done for all at once.

    Args:
        rows: (key, row) of cells.

    Raises:
        StoreCorrupt: naming the key.
    """
    parts = list(chain.from_iterable(rows))
    keys, bare = parts[::2], parts[1::2]
    try:
        plain = not any(map(_shown_head, bare))
    except IndexError:  # a row is cut short, as its sum will tell
        plain = False
    if not plain and (size := sum(map(len, bare))) > _SUMMED_AT_ONCE_BYTES:
        _check_each(rows)
        return Frames(keys, list(map(_frame, bare)), size)
    joined = b"".join(parts)
    if crc32(joined):
        _check_each(rows)
    frames: list[bytes | None] = list(map(_plain_frame if plain else _frame, bare))
    return Frames(keys, frames, len(joined))


def _check_each(rows: Iterable[tuple[bytes, bytes]]) -> None:
    for key, row in rows:
        if crc32(key + row):
            raise damaged(key)


def _frame(row: bytes) -> bytes | None:
    """The display winner's frame in a row that was checked."""
    shown = row[8] << 8 | row[9]
    if not shown:
        return _plain_frame(row)
    # Frames begin after the headers of the cell and of its survivors, which are longer for 16 or more.
    start = _FRAME_AT if row[11] & 0xF0 == 0x90 else _FRAME_AT + 2
    return row[start : start + (shown ^ _NOT_PLAIN)] if shown != _NOT_PLAIN else None


def seal(key: bytes, value: bytes) -> bytes:
    """A value with its checksum, which covers its key."""
    return value + (crc32(key + value) ^ _TO_NOUGHT).to_bytes(CRC_BYTES, "little")


def unseal(table: Table, key: bytes, row: bytes) -> bytes:
    """The inverse of `seal`.

    Raises:
        StoreCorrupt: naming the table and the key.
    """
    if crc32(key + row):
        where = (
            repr(key.decode(errors="replace"))
            if table in (Table.META, Table.REGISTERS)
            else f"at {key.hex()}"
        )
        raise StoreCorrupt(f"the row {where} of table {table.name.lower()}", _NO_FIT)
    return row[:-CRC_BYTES]


def decoded_cell(key: bytes, data: bytes) -> Cell:
    """An encoded cell, read.

    Raises:
        StoreCorrupt: naming the key.
    """
    try:
        return Cell.decode(data)
    except WireError as error:
        raise damaged(key, error.message) from error


def lost_row(key: bytes) -> bytes:
    """What stands for a cell whose row was lost: a row that never fits its key."""
    fitting = seal(key, b"")
    return fitting[:-1] + bytes((fitting[-1] ^ 0xFF,))


def row_sequence(row: bytes) -> int:
    """The change sequence of a row that was checked."""
    return int.from_bytes(row[:SEQUENCE_BYTES], "big")


def damaged(key: bytes, reason: str = _NO_FIT) -> StoreCorrupt:
    """The error for a cell that is not what was written."""
    return StoreCorrupt(f"the cell at {key.hex()}", reason, cell_key=key)


def log_key(lane: int, sequence: int) -> bytes:
    """Where the log of a lane (0–63) keeps position `sequence`."""
    return bytes((lane,)) + sequence.to_bytes(SEQUENCE_BYTES, "big")


def log_key_of(key: bytes, sequence: int) -> bytes:
    """The log position of a change to the cell at `key`."""
    return bytes((lane_of(key),)) + sequence.to_bytes(SEQUENCE_BYTES, "big")


def block_key(block: int) -> bytes:
    """Where the aggregate of a block (0–4095) is kept."""
    return block.to_bytes(2, "big")


def block_row(key: bytes, count: int, total: int) -> bytes:
    """The aggregate of a block at its key: how many cells, and the sum of their hashes mod 2^256."""
    return seal(key, _block_row.pack(count, total.to_bytes(32, "big")))


def row_block(key: bytes, row: bytes) -> tuple[int, int]:
    """The inverse of `block_row`.

    Raises:
        StoreCorrupt: naming the row.
    """
    count, total = _block_row.unpack(unseal(Table.BLOCKS, key, row))
    return count, int.from_bytes(total, "big")


def counts_key(key: bytes) -> bytes:
    """Where the counts are kept that a like or repost at `key` adds to: its place prefix and post item."""
    return key[:PLACE_PREFIX_BYTES] + key[ITEM_AT : ITEM_AT + POST_ITEM_BYTES]


def post_of_counts(key: bytes) -> bytes:
    """The key of the post whose counts are kept at `key`."""
    return key[:PLACE_PREFIX_BYTES] + bytes((POST,)) + key[PLACE_PREFIX_BYTES:]


def is_counted(key: bytes) -> bool:
    """Whether the cell at `key` is one that counts count."""
    return key[KIND_AT] in COUNTED_KINDS


class Counts(NamedTuple):
    """How many accounts have a like and a repost switched on at a post."""

    likes: int
    reposts: int


NO_COUNTS: Final = Counts(0, 0)


def counts_row(key: bytes, counts: Counts) -> bytes:
    """The counts that are kept at `key` (see `counts_key`)."""
    return seal(key, _counts_row.pack(*counts))


def row_counts(key: bytes, row: bytes) -> Counts:
    """The inverse of `counts_row`.

    Raises:
        StoreCorrupt: naming the row.
    """
    return Counts(*_counts_row.unpack(unseal(Table.COUNTS, key, row)))


class HintState(NamedTuple):
    """What is kept for one absent node.

    Attributes:
        waiting: how many hints there are.
        since_us: wall time of the first of them, microseconds since 1970.
    """

    waiting: int
    since_us: int


NO_HINTS: Final = HintState(0, 0)


def hint_row(key: bytes, since_us: int, mark: int) -> bytes:
    """A hint at `key`, the node's id and the cell's key: since when, and its mark (see `hints`)."""
    return seal(key, _hint_row.pack(since_us, mark))


def row_hint(key: bytes, row: bytes) -> tuple[int, int]:
    """The inverse of `hint_row`.

    Raises:
        StoreCorrupt: naming the row.
    """
    since_us, mark = _hint_row.unpack(unseal(Table.HINTS, key, row))
    return since_us, mark


def hint_node_row(node: bytes, state: HintState) -> bytes:
    """What is kept for `node` (16 bytes)."""
    return seal(node, _hint_node_row.pack(*state))


def row_hint_node(node: bytes, row: bytes) -> HintState:
    """The inverse of `hint_node_row`.

    Raises:
        StoreCorrupt: naming the row.
    """
    return HintState(*_hint_node_row.unpack(unseal(Table.HINT_NODES, node, row)))
