"""Who owns what in a simulated world, by what the nodes have on their disks."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.protocol.ring.topology import Topology
from folkmoot.storage import rows
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import Change, MemoryEngine

_TOPOLOGY = b"topology"  # its name in the table, see `node.remembered`


def topology_in(engine: MemoryEngine) -> Topology | None:
    """What a node has adopted; None when it has not kept any yet."""
    with engine.begin() as transaction:
        row = transaction.get(Table.META, _TOPOLOGY)
    return None if row is None else _decoded(rows.unseal(Table.META, _TOPOLOGY, row))


def topology_of(change: Change) -> Topology | None:
    """The topology that a commit wrote in this row; None when it is another row."""
    if change.table is not Table.META or change.key != _TOPOLOGY or change.value is None:
        return None
    return _decoded(rows.unseal(Table.META, _TOPOLOGY, change.value))


def owns(engine: MemoryEngine, node_id: bytes, key: bytes) -> bool:
    """Whether a node has a slot of the range of `key`; as long as it knows of no ranges, of all."""
    topology = topology_in(engine)
    return topology is None or node_id in topology.ranges.lookup(key).nodes()


def newest_ranges(founded: RangeMap, engines: Iterable[MemoryEngine]) -> RangeMap:
    """Of each range the newest descriptor that any node has."""
    newest = founded
    for engine in engines:
        topology = topology_in(engine)
        if topology is not None and topology.ranges is not newest:
            newest = newest.join(topology.ranges.ranges)
    return newest


@lru_cache(maxsize=64)
def _decoded(data: bytes) -> Topology:
    return Topology.decode(data)
