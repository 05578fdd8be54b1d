"""`restore.join`: old cells, such as a backup has, joined into the cluster that lives.

A join may be repeated and come late, so old cells do no harm; but a deletion that only some replicas have
heard of must not be hidden for a while by others that are given the old body. So the cells are read at the
level first, which joins what the replicas know, and what was deleted meanwhile stays deleted everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import trio
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import (
    CellBatch,
    LocalReplica,
    Peers,
    PeerUnreachable,
    Reading,
    Topology,
    nodes_of,
)
from folkmoot.node.environment import Executor
from folkmoot.node.fitting import in_messages
from folkmoot.node.operators import operators_only
from folkmoot.node.replica_results import read_joined
from folkmoot.node.routing import Router
from folkmoot.node.signatures import check_signatures
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.errors import BAD_REQUEST, BAD_SIGNATURE, WireError
from folkmoot.protocol.key import held_key
from folkmoot.protocol.ring.levels import Level, parse_level, satisfied
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from folkmoot.protocol.token import Token
from msgspec import Meta, Struct


class _Join(Struct):
    """`restore.join`: keys and encoded cells, and how many replicas are to know them."""

    cells: Annotated[list[tuple[bytes, bytes]], Meta(max_length=limits.KEYS_PER_GET)]
    level: str = "quorum"


class RestoreMethods:
    """See the module.

    Args:
        router: says where this node is, and who is missing.
        reading: reads what is known.
        topology, peers, local: see `contracts`.
        executor: where signatures are verified.
    """

    def __init__(
        self,
        router: Router,
        reading: Reading,
        topology: Topology,
        peers: Peers,
        local: LocalReplica,
        executor: Executor,
    ) -> None:
        self._router = router
        self._reading = reading
        self._topology = topology
        self._peers = peers
        self._local = local
        self._executor = executor

    def table(self) -> Mapping[str, Method]:
        """The method by its name on the wire."""
        return {"restore.join": self.join}

    async def join(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Join cells at a level: how many taught the cluster something, and how many stay deleted."""
        operators_only(asker, "restores")
        asked = codec.shaped(params, _Join, "restore.join")
        level = parse_level(asked.level)
        old = await self._verified(asked.cells)
        read = await self._reading.get(list(old), level, Token())
        news: list[tuple[bytes, bytes]] = []
        deleted: set[bytes] = set()  # posts: one that was held may be deleted at two keys
        for (key, cell), data in zip(old.items(), read.cells, strict=True):
            known = None if data is None else Cell.decode(data)
            if known is not None and known.deleted and not cell.deleted:
                deleted.add(cell.key)
            joined = (cell if known is None else join(known, cell)).encode()
            if joined != data:
                news.append((key, joined))
        await self._spread(news, level)
        return {"joined": len(news), "deleted": len(deleted)}

    async def _verified(self, cells: Sequence[tuple[bytes, bytes]]) -> dict[bytes, Cell]:
        """The cells by key, those of one key joined.

        Raises:
            WireError: one is not what it should be.
        """
        found: dict[bytes, Cell] = {}
        for key, data in cells:
            cell = Cell.decode(data)
            if key not in (cell.key, held_key(cell.key)):
                raise WireError(BAD_REQUEST, "a cell was sent under another cell's key")
            found[key] = cell if key not in found else join(found[key], cell)
        records = [record for cell in found.values() for record in cell.records()]
        if not all(await check_signatures(records, self._executor)):
            raise WireError(BAD_SIGNATURE, "a cell holds a record whose signature does not hold")
        return found

    async def _spread(self, pairs: Sequence[tuple[bytes, bytes]], level: Level) -> None:
        """Give cells to every replica of theirs, and see that enough have taken them.

        Raises:
            WireError: `level_unreachable`; some may have taken them, and the rest may be sent again.
        """
        for part in in_messages(pairs, lambda pair: len(pair[1])):
            batches: dict[tuple[Slot, ...], CellBatch] = {}
            for key, cell in part:
                owner = self._topology.where(key)
                batch = batches.setdefault(owner.slots, CellBatch({}))
                _add(batch, owner, key, cell)
            for slots, batch in batches.items():
                acked = await self._give(nodes_of(slots), batch)
                if not satisfied(level, slots, acked, self._router.region):
                    raise self._router.unreachable(slots, level, set(nodes_of(slots)) - acked)

    async def _give(self, nodes: Sequence[bytes], batch: CellBatch) -> set[bytes]:
        """Have nodes join a batch; those that did."""
        acked: set[bytes] = set()

        async def give(node_id: bytes) -> None:
            try:
                if node_id == self._router.node_id:
                    joined = await self._local.join(batch)
                else:
                    joined = read_joined(
                        await self._peers.call(
                            node_id, "replica.join", batch.to_wire(), limits.REQUEST_TIMEOUT_S
                        )
                    )
            except (WireError, PeerUnreachable):
                return
            if not joined.damaged:
                acked.add(node_id)

        async with trio.open_nursery() as nursery:
            for node_id in nodes:
                nursery.start_soon(give, node_id)
        return acked


def _add(batch: CellBatch, owner: RangeDescriptor, key: bytes, cell: bytes) -> None:
    batch.ranges[owner.id] = owner.epoch
    batch.keys.append(key)
    batch.cells.append(cell)
