"""What is checked when many rows are read at once: whatever is damaged is found, and named."""

from __future__ import annotations

from functools import cache
from zlib import crc32

import pytest
from folkmoot.protocol.crdt.cell import Cell, join, shown_frame
from folkmoot.storage import rows
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.making import deletion, person, post

ANN = person(1)
KINDS = ("plain", "long", "edited", "deleted", "sixteen survivors")

Row = tuple[bytes, bytes]


@cache
def row_of(kind: str, number: int = 1) -> Row:
    """A key, and a row of one kind."""
    cell = Cell.of(post(ANN, number, "x" * 3_000 if kind == "long" else "hello"))
    if kind == "edited":
        cell = join(cell, Cell.of(post(ANN, number, "better", stamp=2)))
    elif kind == "deleted":
        cell = join(cell, Cell.of(deletion(ANN, number)))
    elif kind == "sixteen survivors":
        for other in range(15):
            device = person(50 + other)
            cell = join(cell, Cell.of(post(device, number, author=ANN.account, stamp=other + 2)))
    return cell.key, rows.cell_row(cell.key, number, cell.encode())


some_rows = st.lists(st.builds(row_of, st.sampled_from(KINDS), st.integers(1, 3)), max_size=8)


@given(some_rows)
def test_frames_are_those_of_the_cells(several: list[Row]) -> None:
    cut = rows.row_frames(several)
    assert cut.keys == [key for key, _ in several]
    assert cut.frames == [shown_frame(rows.row_cell(key, row)) for key, row in several]
    assert cut.bytes_max >= sum(len(frame or b"") for frame in cut.frames)


def test_rows_too_long_to_be_summed_together_are_summed_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    several = [row_of(kind) for kind in KINDS]
    cut = rows.row_frames(several)
    monkeypatch.setattr(rows, "_SUMMED_AT_ONCE_BYTES", 1)
    assert rows.row_frames(several)[:2] == cut[:2]
    key, row = row_of("edited", 2)
    with pytest.raises(StoreCorrupt, match=key.hex()):
        rows.row_frames([*several, (key, row[:-1])])


@given(st.binary(), st.binary(), st.binary())
def test_what_is_sealed_sums_up_to_nought_alone_and_together(key: bytes, value: bytes, other: bytes) -> None:
    first, second = key + rows.seal(key, value), key + rows.seal(key, other)
    assert crc32(first) == crc32(second) == crc32(first + second) == 0
    assert rows.unseal(Table.LOG, key, rows.seal(key, value)) == value


@given(st.data())
def test_one_damaged_row_among_many_is_found_and_named(data: st.DataObject) -> None:
    several = data.draw(some_rows.filter(bool))
    which = data.draw(st.integers(0, len(several) - 1))
    key, row = several[which]
    at = data.draw(st.integers(0, len(row) - 1))
    damaged = bytearray(row)
    damaged[at] ^= data.draw(st.integers(1, 255))
    whole = data.draw(st.booleans())
    several[which] = key, bytes(damaged) if whole else row[:at]
    with pytest.raises(StoreCorrupt, match=key.hex()):
        rows.row_frames(several)


def test_rows_that_changed_places_are_damage() -> None:
    (one, first), (other, second) = row_of("plain", 1), row_of("plain", 2)
    with pytest.raises(StoreCorrupt, match=one.hex()):
        rows.row_frames([(one, second), (other, first)])
