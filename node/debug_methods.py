"""`debug.ranges` and `debug.cells`: what this very node holds, for operators who compare replicas.

Every other read is answered by as many replicas as its level needs, and mends what it finds different. These
two ask nobody else and change nothing: they are how `folkmoot check` looks at each replica alone. Damage they
meet is mended afterwards, like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.operators import operators_only
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.storage.errors import StorageError
from folkmoot.storage.store import Store
from msgspec import Meta, Struct

_Bound = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES + 1)]


class _Ranges(Struct):
    """`debug.ranges`: where in the map to begin."""

    first: Annotated[int, Meta(ge=0)] = 0


class _Cells(Struct):
    """`debug.cells`: bounds in the key space (an empty end is the end), and how many cells at most."""

    start: _Bound
    end: _Bound
    limit: Annotated[int, Meta(ge=1, le=limits.REPLICATION_BATCH_CELLS)] = limits.REPLICATION_BATCH_CELLS


class DebugMethods:
    """See the module.

    Args:
        store: this node's.
        ranges: the range map now.
    """

    def __init__(self, store: Store, ranges: Callable[[], RangeMap]) -> None:
        self._store = store
        self._ranges = ranges

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {"debug.ranges": self.ranges, "debug.cells": self.cells}

    async def ranges(self, asker: Asker, params: Params) -> dict[str, Any]:
        """A page of the range map as this node knows it; the page is empty after the last range."""
        operators_only(asker, "range descriptors")
        first = codec.shaped(params, _Ranges, "debug.ranges").first
        page = self._ranges().ranges[first : first + limits.TOPOLOGY_REPLY_RANGES]
        return {"ranges": [descriptor.to_wire() for descriptor in page]}

    async def cells(self, asker: Asker, params: Params) -> dict[str, Any]:
        """The first of this node's cells within bounds, as many as fit; an empty page is the end."""
        operators_only(asker, "a node's own cells")
        asked = codec.shaped(params, _Cells, "debug.cells")
        try:
            cells = self._store.cells_between(
                asked.start, asked.end, limit=asked.limit, bytes_max=limits.REPLICATION_BATCH_BYTES
            )
        except StorageError as error:
            self._store.damage.note(error)
            raise
        return {"cells": cells}
