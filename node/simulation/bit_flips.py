"""Bits that flip in what a disk has kept, and the auditor who looks for them.

A bit of a stored cell is turned over behind the store's back; its checksum tells whoever meets it. Nobody
might: where nothing is read nothing is found before the self-check comes by, and that takes a day. So in the
end of it an auditor has each node tell what it holds, as `folkmoot check` does.

Only what another replica has whole is flipped: what one disk alone had can be mended by nobody.
"""

from __future__ import annotations

from typing import Final

import trio
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.layout import OPERATOR
from folkmoot.node.simulation.world import SimulatedNode, World
from folkmoot.protocol.errors import WireError
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.rows import row_cell

FLIPPED_MAX: Final = 4
SAID_OF_DAMAGE: Final = frozenset({"is damaged", StoreCorrupt.plainly})
"""By the node that has a damaged cell, and by others of what that one answered them."""


class BitFlips:
    """See the module.

    Args:
        world: whose disks suffer.
        nursery: where the auditor's links run.
    """

    def __init__(self, world: World, nursery: trio.Nursery) -> None:
        self._world = world
        self._random = world.random("flips")
        self._auditor = Caller(world, "auditor", world.random("auditor"), nursery, OPERATOR)

    def flip(self, node: SimulatedNode) -> list[bytes]:
        """Turn over one bit in each of a few cells of a node; their keys."""
        cells = whole_cells(node.disk.engine)
        some = self._random.sample(list(cells), min(FLIPPED_MAX, len(cells)))
        flipped = [key for key in some if self._is_elsewhere(node, key)]
        for key in flipped:
            self._turn(node.disk.engine, key)
            self._world.witness.forget_cell(node.name, key)
            self._world.trace.note(f"flip {node.name}", key)
        if flipped:
            self._world.disks_lost = True
            self._world.expected_errors |= SAID_OF_DAMAGE
            self._world.expected_errors |= {self._said_of_sums(key) for key in flipped}
        return flipped

    async def look_everywhere(self) -> None:
        """The same with every node."""
        for node in self._world.nodes:
            await self.look(node)

    async def look(self, node: SimulatedNode) -> None:
        """Have a node read every cell of its own that is damaged, if it serves."""
        damaged = damaged_cells(node.disk.engine)
        if not damaged:
            return
        try:
            link = await self._auditor.open(node)
        except (*UNANSWERED, WireError):
            return
        try:
            for key in damaged:
                try:
                    await link.call("debug.cells", {"start": key, "end": key + b"\0", "limit": 1})
                except WireError as error:
                    self._world.trace.note(f"audit {node.name} {error.kind.name}", key)
        except UNANSWERED:
            return
        finally:
            link.close()

    def _is_elsewhere(self, node: SimulatedNode, key: bytes) -> bool:
        """Whether another replica of a cell has it whole."""
        return any(
            _is_whole(other.disk.engine, key) for other in self._world.replicas_of(key) if other is not node
        )

    def _said_of_sums(self, key: bytes) -> str:
        """What a repairer says that works out the sums without a damaged cell, before that is mended."""
        return f"sums of range {self._world.ranges.lookup(key).id} were wrong"

    def _turn(self, engine: MemoryEngine, key: bytes) -> None:
        with engine.begin(write=True) as transaction:
            row = bytearray(transaction.get(Table.CELLS, key) or b"")
            row[self._random.randrange(len(row))] ^= 1 << self._random.randrange(8)
            transaction.put(Table.CELLS, key, bytes(row))
            transaction.commit()


def whole_cells(engine: MemoryEngine) -> dict[bytes, bytes]:
    """The cells a disk has, but for those that are damaged: key → encoded cell."""
    cells: dict[bytes, bytes] = {}
    with engine.begin() as transaction:
        for key, row in transaction.scan(Table.CELLS):
            try:
                cells[key] = row_cell(key, row)
            except StoreCorrupt:
                continue
    return cells


def damaged_cells(engine: MemoryEngine) -> list[bytes]:
    """The keys of the cells whose checksum does not fit."""
    whole = whole_cells(engine)
    with engine.begin() as transaction:
        return [key for key, _ in transaction.scan(Table.CELLS) if key not in whole]


def _is_whole(engine: MemoryEngine, key: bytes) -> bool:
    with engine.begin() as transaction:
        row = transaction.get(Table.CELLS, key)
    try:
        return row is not None and bool(row_cell(key, row))
    except StoreCorrupt:
        return False
