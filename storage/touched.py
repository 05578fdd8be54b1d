"""What a commit changes of what pages show: cells, and what is derived from them and shown with them."""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.key import KIND_AT, KIND_BYTE, place_prefix
from folkmoot.protocol.projections.entries import Index, account_of

_SHOWN_WITH: Final = {Index.REPLIES: KIND_BYTE["post"], Index.FOLLOWERS: KIND_BYTE["profile"]}


class Touched:
    """See the module; gathered in one write transaction.

    Attributes:
        cells: the keys of cells that are written or taken out, or shown otherwise.
        homes: the groups of home feeds at whose top may stand something else.
        merging: whether accounts are merged into home feeds that were not, or are not any more that were.
    """

    __slots__ = ("cells", "homes", "merging")

    def __init__(self) -> None:
        self.cells: list[bytes] = []
        self.homes: set[bytes] = set()
        self.merging = False

    def entry(self, index: Index, group: bytes, member: bytes) -> None:
        """An entry of an index is put, or taken out."""
        if index is Index.INBOX or index is Index.FLOOR:
            self.homes.add(group)
        elif index is Index.MERGED:
            self.merging = True
        elif (kind := _SHOWN_WITH.get(index)) is not None:
            self.cells.append(group[:KIND_AT] + bytes((kind,)) + group[KIND_AT:])
            if index is Index.FOLLOWERS:  # whoever is followed may be merged
                self.homes.add(place_prefix(account_of(member)))
