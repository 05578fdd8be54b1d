"""The enable-wins flag (likes, reposts, follows, mutes, blocks, bookmarks, list members).

Source: M. Shapiro et al., "A comprehensive study of Convergent and Commutative Replicated Data Types" (2011).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
from folkmoot.protocol import codec
from folkmoot.protocol.crdt.cell import Cell, only_frame
from folkmoot.protocol.limits import CELL_HISTORY

_DAY_US: Final = 24 * 3600 * 1_000_000
_PAYLOAD_AT: Final = 3  # in a frame whose payload has less than 256 bytes; else it is one more
_BODY_AT: Final = 49  # in a payload that begins with `author` and `body`
_BODIES: Final = {b"\x81\xa2on\xc3": True, b"\x81\xa2on\xc2": False}
_BODY_BYTES: Final = 5
_SIGNATURE_BYTES: Final = 66  # with its header
_BIN8: Final = 0xC4


class _Stamped(msgspec.Struct):
    stamp: int


_stamped: Final = msgspec.msgpack.Decoder(_Stamped)


def is_on(cell: Cell) -> bool:
    """On when any survivor says on: switching off wins only over what its device had seen."""
    return any(record.body.get("on") is True for record in cell.survivors)


def on_since(cell: Cell) -> int:
    """Since when a flag that is on has been on, as whoever is told of it sees that: what was switched off and
    on again is no news.

    So it is the oldest that says on of all that the cell remembers. What it remembers is cut where it was
    changed too often, or erased; then it is the beginning of that one's day (UTC), or each further change
    would be news. So whoever switches on and off is news once a day at most.

    Returns:
        Microseconds since 1970; 0 when the flag is off.
    """
    if not is_on(cell):
        return 0
    records = cell.records()
    oldest = min(record.stamp for record in records if record.body.get("on") is True)
    is_cut = len(cell.history) == CELL_HISTORY or any(record.erases for record in records)
    return oldest - oldest % _DAY_US if is_cut else oldest


class SwitchedOn(NamedTuple):
    """A flag that is on.

    Args:
        frame: the newest record that says so, `[payload, signature]` as it was signed.
        since_us: see `on_since`.
    """

    frame: bytes
    since_us: int


def says_on(data: bytes | None) -> bool:
    """Whether a flag is on, by its encoded cell; not where there is none."""
    if data is None:
        return False
    said = _said(only_frame(data))
    return is_on(Cell.decode(data)) if said is None else said


def switched_on(data: bytes | None) -> SwitchedOn | None:
    """What there is to tell of a flag, by its encoded cell; None when it is off, or there is none.

    Pages of notifications ask this of many cells, and most cells are of one record that says nothing else:
    of those nothing but the stamp is decoded.
    """
    if data is None:
        return None
    frame = only_frame(data)
    said = _said(frame)
    if frame is None or said is None:
        cell = Cell.decode(data)
        on = [record for record in cell.survivors if record.body.get("on") is True]
        return SwitchedOn(codec.pack(on[0].to_wire()), on_since(cell)) if on else None
    payload_at = _payload_at(frame)
    return SwitchedOn(frame, _stamped.decode(frame[payload_at:-_SIGNATURE_BYTES]).stamp) if said else None


def _said(frame: bytes | None) -> bool | None:
    """What the body of a flag's record says, where that stands as in all records without unknown keys; None
    when it has to be decoded."""
    if frame is None:
        return None
    body_at = _payload_at(frame) + _BODY_AT
    return _BODIES.get(frame[body_at : body_at + _BODY_BYTES])


def _payload_at(frame: bytes) -> int:
    return _PAYLOAD_AT if frame[1] == _BIN8 else _PAYLOAD_AT + 1
