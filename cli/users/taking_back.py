"""What takes back what an account wrote: a deletion of each post, an erasing record for all else that can be.

A post's deletion absorbs whatever it had not seen. All else is emptied or switched off by records that erase
what is older (`erase`), so these have to have seen, and be newer than, all that is there. What can be taken
back is told by the kind alone (`key.KINDS_TAKEN_BACK`); statements in others' cases are never superseded, and
stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from folkmoot.protocol.bodies import emptied
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import KINDS_TAKEN_BACK
from folkmoot.protocol.record import Record


def cells_of(records: Iterable[Record]) -> Iterator[list[Record]]:
    """What is listed, cell by cell; a version that waits for review may be listed by itself."""
    for _, cell in groupby(records, key=lambda record: record.key):
        yield list(cell)


def is_left(cell: Sequence[Record]) -> bool:
    """Whether there is something in a cell that can be taken back, and was not."""
    return cell[0].kind in KINDS_TAKEN_BACK and not all(record.takes_back for record in cell)


class Taker:
    """Signs what takes back an account's cells.

    Args:
        device: one of the account's keys.
    """

    def __init__(self, device: KeyPair) -> None:
        self._device = device
        self._last = 0

    def sign(self, cell: Sequence[Record], now_us: int) -> Record:
        """The record that takes back all of a cell.

        Args:
            cell: every record known of it.
            now_us: the wall clock, microseconds since 1970.

        Raises:
            WireError: more devices have written there than a record can name.
        """
        first = cell[0]
        seen = _seen(cell)
        self._last = stamp = max(now_us, self._last + 1, max(seen.values()) + 1)
        return Record.sign(
            self._device,
            author=first.author,
            place=first.place,
            kind=first.kind,
            item=first.item,
            body=emptied(first.kind),
            stamp=stamp,
            seen={} if first.kind == "post" else seen,
        )


def _seen(cell: Sequence[Record]) -> dict[bytes, int]:
    """Of every device that wrote in a cell, or is named there, the greatest stamp."""
    seen: dict[bytes, int] = {}
    for record in cell:
        for device, stamp in ((record.device, record.stamp), *record.seen.items()):
            seen[device] = max(stamp, seen.get(device, stamp))
    return seen
