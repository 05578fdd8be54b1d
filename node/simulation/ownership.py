"""Who owns what in a simulated world, by what the nodes have on their disks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from folkmoot.protocol.consensus.ballot import ZERO, Ballot
from folkmoot.protocol.consensus.configuration import Configuration
from folkmoot.protocol.consensus.wire import SeatRecord, decode_record, decode_state
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.protocol.ring.topology import Topology
from folkmoot.storage import rows
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import Change, MemoryEngine

_TOPOLOGY = b"topology"  # its name in the table, see `node.remembered`
_SEAT = b"seat"  # see `node.actors.acceptor`


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


def seats_are_whole(engines: Mapping[bytes, MemoryEngine]) -> bool:
    """Whether the newest configuration of seats has settled, and each seat has the store it began with.

    Args:
        engines: by node id (16 bytes).
    """
    records = _seats_in(engines)
    newest = _newest(records)
    return (
        newest is not None
        and not newest.joint
        and newest.may_fail >= min(1, (len(engines) - 1) // 2)
        and all(seat.node in records and records[seat.node].id == seat.id for seat in newest.seats)
    )


def registers_held(engines: Mapping[bytes, MemoryEngine], prefix: str) -> dict[str, bytes]:
    """The bodies of the registers whose names begin so, as the seats of the newest configuration hold them.

    Args:
        engines: by node id (16 bytes).
        prefix: of the names.
    """
    records = _seats_in(engines)
    newest = _newest(records)
    held: dict[str, bytes] = {}
    ballots: dict[str, Ballot] = {}
    for seat in [] if newest is None else newest.all_seats:
        if seat.node not in records or records[seat.node].id != seat.id:
            continue
        with engines[seat.node].begin() as transaction:
            kept = list(transaction.scan(Table.REGISTERS, prefix.encode(), prefix.encode() + b"\xff"))
        for name, row in kept:
            state = decode_state(rows.unseal(Table.REGISTERS, name, row))
            if state.value is not None and state.accepted > ballots.get(name.decode(), ZERO):
                held[name.decode()], ballots[name.decode()] = state.value.body, state.accepted
    return held


def _seats_in(engines: Mapping[bytes, MemoryEngine]) -> dict[bytes, SeatRecord]:
    return {node: record for node, engine in engines.items() if (record := _seat_in(engine)) is not None}


def _newest(records: Mapping[bytes, SeatRecord]) -> Configuration | None:
    known = [record.configuration for record in records.values() if record.configuration is not None]
    return max(known, key=lambda configuration: configuration.number, default=None)


def _seat_in(engine: MemoryEngine) -> SeatRecord | None:
    with engine.begin() as transaction:
        row = transaction.get(Table.META, _SEAT)
    return None if row is None else decode_record(rows.unseal(Table.META, _SEAT, row))


@lru_cache(maxsize=64)
def _decoded(data: bytes) -> Topology:
    return Topology.decode(data)
