"""The reader answers what a client asks, from as many replicas as the level needs.

It asks the nearest replicas whose answers together reach the level: the first for its cells, the others for
digests of theirs. Where they differ it fetches, joins, and writes the join back to whoever lacks it *before*
answering, so that quorum reads are monotonic. A session token is honoured for each cell by waiting a bounded
time for a state that covers it, asking ever more replicas; what is still missing then is a typed `not_yet`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import trio
from folkmoot.node.contracts import (
    CellBatch,
    LocalReplica,
    Peers,
    PeerUnreachable,
    Read,
    Topology,
)
from folkmoot.node.fitting import in_messages
from folkmoot.node.replica_results import read_joined
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits
from folkmoot.protocol.crdt.cell import Cell, digest_of, join
from folkmoot.protocol.crdt.clock import Clock, dominates
from folkmoot.protocol.errors import (
    LEVEL_UNREACHABLE,
    NOT_YET,
    STALE_TOPOLOGY,
    FolkmootError,
    WireError,
)
from folkmoot.protocol.key import held_key
from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import Slot
from folkmoot.protocol.token import Token

TOKEN_RETRY_S = 0.05
NO_CLOCK: Clock = {}


class Reader:
    """See the module.

    Args:
        router: orders replicas by distance.
        topology: who owns what.
        peers: how to reach the others.
        local: this node's own replica.
    """

    def __init__(self, router: Router, topology: Topology, peers: Peers, local: LocalReplica) -> None:
        self._router = router
        self._topology = topology
        self._peers = peers
        self._local = local

    async def get(self, keys: Sequence[bytes], level: Level, token: Token) -> Read:
        """Read cells.

        Args:
            keys: at most 256 cell keys.
            level: what must have answered.
            token: what the client has seen; ranges it flags are read at `quorum` or better.

        Raises:
            WireError: `level_unreachable`, or `not_yet` when the token could not be honoured in time.
        """
        deadline = trio.current_time() + limits.TOKEN_WAIT_S
        read = await self._get_once(keys, level, token)
        wider: Level = level
        while behind := _behind(keys, read.cells, token):
            if trio.current_time() >= deadline:
                raise WireError(
                    NOT_YET,
                    f"{len(behind)} of the cells have not reached the state your token names",
                    retry_after_ms=200,
                    details={"cells": len(behind)},
                )
            wider = _widened(wider)
            again = await self._get_best(behind, wider)
            found = dict(zip(behind, again, strict=True))
            for index, key in enumerate(keys):
                if key in found:
                    read.cells[index] = found[key]
            if _behind(behind, again, token):
                await trio.sleep(TOKEN_RETRY_S)
        return read

    async def covers(self, node_id: bytes, clocks: Mapping[bytes, Clock]) -> bool:
        """See `contracts.Reading`."""
        keys = list(clocks)
        try:
            cells = await self.read_at(node_id, keys)
        except (WireError, PeerUnreachable):
            return False
        return all(
            dominates(NO_CLOCK if cell is None else Cell.decode(cell).clock, clocks[key])
            for key, cell in zip(keys, cells, strict=True)
        )

    async def labels(self, keys: Sequence[bytes]) -> dict[bytes, list[Any]]:
        """The label records on the posts at `keys`, from the nearest replica of each.

        Labels are told with what they label and do not count towards a level: when no replica answers, the
        posts are shown without.
        """
        found: dict[bytes, list[Any]] = {}
        failed: set[bytes] = set()
        waiting = list(dict.fromkeys(keys))
        while waiting:
            groups: dict[bytes, list[bytes]] = {}
            for key in waiting:
                for nearest in self._router.candidates(self._topology.where(key).slots, failed)[:1]:
                    groups.setdefault(nearest, []).append(key)
            for node_id, asked in groups.items():
                try:
                    frames = await self._labels_at(node_id, asked)
                except (WireError, PeerUnreachable):
                    failed.add(node_id)
                else:
                    found |= dict(zip(asked, frames, strict=True))
            waiting = [key for asked in groups.values() for key in asked if key not in found]
        return found

    async def _labels_at(self, node_id: bytes, keys: list[bytes]) -> list[list[Any]]:
        if node_id == self._router.node_id:
            frames = [self._local.labels(key) for key in keys]
        else:
            told = await self._all_of(node_id, "replica.labels", "labels", keys)
            frames = codec.shaped(told, list[list[bytes]], "labels")
        return [[codec.unpack(frame) for frame in some] for some in frames]

    def _claims(self, keys: Sequence[bytes]) -> dict[str, Any]:
        """`keys`, with the epochs under which they are asked about."""
        owners = {owner.id: owner.epoch for owner in map(self._topology.where, keys)}
        return {"ranges": sorted(owners.items()), "keys": list(keys)}

    async def _get_best(self, keys: Sequence[bytes], level: Level) -> list[bytes | None]:
        """Read at `level`, or at the most that can be reached below it."""
        for attempt in reversed(levels.LEVELS[: levels.LEVELS.index(level) + 1]):
            try:
                return (await self._get_once(keys, attempt, Token())).cells
            except WireError as error:
                if error.kind is not LEVEL_UNREACHABLE:
                    raise
        return [None] * len(keys)

    async def _get_once(self, keys: Sequence[bytes], level: Level, token: Token) -> Read:
        groups: dict[tuple[tuple[Slot, ...], Level], list[int]] = {}
        for index, key in enumerate(keys):
            needed: Level = _at_least_quorum(level) if token.at_quorum(key) else level
            groups.setdefault((self._topology.where(key).slots, needed), []).append(index)
        cells: list[bytes | None] = [None] * len(keys)
        worst: dict[str, Any] | None = None
        for (slots, needed), indices in groups.items():
            found, achieved = await self._read_slots([keys[index] for index in indices], slots, needed)
            for index, cell in zip(indices, found, strict=True):
                cells[index] = cell
            if worst is None or achieved["acks"] < worst["acks"]:
                worst = achieved
        return Read(cells, worst or levels.achieved((), set(), self._router.region))

    async def _read_slots(
        self, keys: list[bytes], slots: tuple[Slot, ...], level: Level
    ) -> tuple[list[bytes | None], dict[str, Any]]:
        failed: set[bytes] = set()
        while True:
            chosen = self._router.readers(slots, level, failed)
            if chosen is None:
                raise self._router.unreachable(slots, level, failed)
            if chosen == [self._router.node_id]:
                try:
                    return self._local.read(keys), self._achieved(slots, chosen)
                except WireError:
                    failed.add(self._router.node_id)
                    continue
            states = await self._ask_all(chosen, keys)
            failed |= {node for node in chosen if node not in states}
            if failed.intersection(chosen):
                continue
            try:
                return await self._settle(keys, chosen, states), self._achieved(slots, chosen)
            except _Dropped as dropped:
                failed.add(dropped.node_id)

    async def _ask_all(
        self, nodes: Sequence[bytes], keys: list[bytes]
    ) -> dict[bytes, list[bytes | None] | list[bytes]]:
        """Cells from the first node, digests from the others; nodes that fail are left out."""
        states: dict[bytes, list[bytes | None] | list[bytes]] = {}

        async def ask(node_id: bytes, digests: bool) -> None:
            try:
                states[node_id] = await self.read_at(node_id, keys, digests=digests)
            except (WireError, PeerUnreachable):
                return

        async with trio.open_nursery() as nursery:
            for position, node_id in enumerate(nodes):
                nursery.start_soon(ask, node_id, position > 0)
        return states

    async def read_at(self, node_id: bytes, keys: list[bytes], *, digests: bool = False) -> list[Any]:
        """The cells (or digests of them) that one replica holds.

        Raises:
            WireError, PeerUnreachable: it did not answer.
        """
        if node_id == self._router.node_id:
            cells = self._local.read(keys)
            return [digest_of(cell) for cell in cells] if digests else cells
        told = await self._all_of(node_id, "replica.read", "cells", keys, digests=digests)
        for key, cell in zip(keys, told, strict=True):
            if not digests and cell is not None:
                _check_cell(node_id, key, cell)
        return told

    async def _all_of(
        self, node_id: bytes, method: str, field: str, keys: list[bytes], **more: Any
    ) -> list[Any]:
        """What a peer has at each of the keys, asked for again as long as a message does not hold it all.

        Raises:
            WireError, PeerUnreachable: it did not answer.
        """
        found: list[Any] = []
        while len(found) < len(keys):
            rest = keys[len(found) :]
            answer = await self._ask(node_id, method, rest, more)
            part = answer.get(field) if isinstance(answer, dict) else None
            if not isinstance(part, list) or not 0 < len(part) <= len(rest):
                raise PeerUnreachable(f"node {node_id.hex()} answered {method} with something else")
            found += part
        return found

    async def _ask(self, node_id: bytes, method: str, keys: Sequence[bytes], more: Mapping[str, Any]) -> Any:
        """One request; once more under the newer epochs when ours were stale."""
        timeout_s = limits.REPLICA_READ_TIMEOUT_S
        try:
            return await self._peers.call(node_id, method, {**self._claims(keys), **more}, timeout_s)
        except WireError as error:
            if error.kind is not STALE_TOPOLOGY:
                raise
            await self._topology.refresh(node_id)
            return await self._peers.call(node_id, method, {**self._claims(keys), **more}, timeout_s)

    async def _settle(
        self, keys: list[bytes], nodes: Sequence[bytes], states: Mapping[bytes, Sequence[bytes | None]]
    ) -> list[bytes | None]:
        """Join what differs and give the join to whoever lacks it.

        Raises:
            _Dropped: one of the nodes failed meanwhile.
        """
        cells = list(states[nodes[0]])
        differing = [
            index
            for index, cell in enumerate(cells)
            if any(states[node][index] != digest_of(cell) for node in nodes[1:])
        ]
        if not differing:
            return cells
        some = [keys[index] for index in differing]
        known = {nodes[0]: [cells[index] for index in differing]}
        for node in nodes[1:]:
            with _dropping(node):
                known[node] = await self.read_at(node, some)
        joined = [_join_all([known[node][at] for node in nodes]) for at in range(len(some))]
        for node in nodes:
            lacking = [
                (key, cell)
                for key, cell, had in zip(some, joined, known[node], strict=True)
                if cell is not None and cell != had
            ]
            with _dropping(node):
                await self._write_back(node, lacking)
        for index, cell in zip(differing, joined, strict=True):
            cells[index] = cell
        return cells

    async def _write_back(self, node_id: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        for part in in_messages(pairs, lambda pair: len(pair[1])):
            batch = CellBatch({})
            for key, cell in part:
                owner = self._topology.where(key)
                batch.ranges[owner.id] = owner.epoch
                batch.keys.append(key)
                batch.cells.append(cell)
            if node_id == self._router.node_id:
                joined = await self._local.join(batch)
            else:
                params = batch.to_wire()
                answer = await self._peers.call(node_id, "replica.join", params, limits.REQUEST_TIMEOUT_S)
                joined = read_joined(answer)
            if joined.damaged:
                raise PeerUnreachable(f"{len(joined.damaged)} cells are damaged on node {node_id.hex()[:8]}")

    def _achieved(self, slots: tuple[Slot, ...], answered: Sequence[bytes]) -> dict[str, Any]:
        return levels.achieved(slots, set(answered), self._router.region, read=True)


def _check_cell(node_id: bytes, key: bytes, data: object) -> None:
    """Raise `PeerUnreachable` unless `data` is a cell that may stand at `key`."""
    try:
        cell = Cell.decode(data) if isinstance(data, bytes) else None
    except WireError as error:
        raise PeerUnreachable(f"node {node_id.hex()[:8]} sent no cell: {error.message}") from error
    if cell is None or key not in (cell.key, held_key(cell.key)):
        raise PeerUnreachable(f"node {node_id.hex()[:8]} sent something else than the cell it was asked for")


class _Dropped(FolkmootError):
    """A replica that had answered failed before the read was settled; others may take its place."""

    def __init__(self, node_id: bytes) -> None:
        super().__init__(f"node {node_id.hex()} failed during a read")
        self.node_id = node_id


@contextmanager
def _dropping(node_id: bytes) -> Iterator[None]:
    """Say whose failure it is, be it the peer's, the link's or (of this node itself) the disk's."""
    try:
        yield
    except FolkmootError as error:
        raise _Dropped(node_id) from error


def _join_all(states: Sequence[bytes | None]) -> bytes | None:
    cells = [Cell.decode(state) for state in states if state is not None]
    if not cells:
        return None
    joined = cells[0]
    for cell in cells[1:]:
        joined = join(joined, cell)
    return joined.encode()


def _behind(keys: Sequence[bytes], cells: Sequence[bytes | None], token: Token) -> list[bytes]:
    """The keys whose cells do not cover what the token says the client has seen."""
    if not token.cells:
        return []
    return [
        key
        for key, data in zip(keys, cells, strict=True)
        if key in token.cells and not token.covered_by(key, {} if data is None else Cell.decode(data).clock)
    ]


def _at_least_quorum(level: Level) -> Level:
    return "quorum" if level in ("one", "local_quorum") else level


def _widened(level: Level) -> Level:
    return "quorum" if level in ("one", "local_quorum") else "all"
