"""The enable-wins flag (likes, reposts, follows, mutes, blocks, bookmarks, list members).

Source: M. Shapiro et al., "A comprehensive study of Convergent and Commutative Replicated Data Types" (2011).
"""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.limits import CELL_HISTORY

_DAY_US: Final = 24 * 3600 * 1_000_000


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
