"""The enable-wins flag (likes, reposts, follows, mutes, blocks, bookmarks, list members).

Source: M. Shapiro et al., "A comprehensive study of Convergent and Commutative Replicated Data Types" (2011).
"""

from __future__ import annotations

from folkmoot.protocol.crdt.cell import Cell


def is_on(cell: Cell) -> bool:
    """On when any survivor says on: switching off wins only over what its device had seen."""
    return any(record.body.get("on") is True for record in cell.survivors)
