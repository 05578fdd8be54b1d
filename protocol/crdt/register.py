"""The register: one value shown out of the survivors of a cell (post bodies, profile fields, labels)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from folkmoot.protocol.crdt.cell import Cell


def shown(cell: Cell) -> Mapping[str, Any]:
    """The body of the display winner: the survivor with the greatest (stamp, id)."""
    return cell.winner.body


def siblings(cell: Cell) -> list[Mapping[str, Any]]:
    """The bodies that survive beside the shown one: an edit conflict the client may point out."""
    return [record.body for record in cell.survivors[1:]]
