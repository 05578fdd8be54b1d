"""The replica keeps cells: it joins what coordinators and peers bring, durably, and passes it on.

Two ways in. `put` is the first replica a coordinator chose: it joins records into their cells, commits, and
streams the whole cells to the other slots until the level is reached. `join` is every other slot: it joins
cells that a first replica, a hint, a read or repair sent. Both commit before they answer, through the same
`join` of the CRDT, so the order and number of deliveries do not matter.

The order of effects is promised: persist, then send, then acknowledge.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.contracts import (
    CellBatch,
    Coverage,
    Liveness,
    Put,
    PutResult,
    Replication,
    Topology,
    nodes_of,
)
from folkmoot.node.environment import Executor, WallClock
from folkmoot.node.signatures import check_signatures
from folkmoot.node.tally import AckTally
from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    CONFLICT,
    INTERNAL,
    LEVEL_UNREACHABLE,
    STALE_TOPOLOGY,
    WireError,
)
from folkmoot.protocol.feed.pages import PackedPage, pack_item, pack_page, pack_plain_page
from folkmoot.protocol.key import held_key, kind_prefix, prefix_end
from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from folkmoot.storage.errors import StorageError
from folkmoot.storage.transaction import Admission, WriteTransaction

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReplicaStatistics:
    """Counts since the start.

    Args:
        puts: records put here first.
        joins: cells joined for others.
        changed: of both, those that changed something.
    """

    puts: int
    joins: int
    changed: int


T = TypeVar("T")


@contextmanager
def _told_in_the_contract() -> Iterator[None]:
    """Say what the store could not do in the words of the contract."""
    try:
        yield
    except StorageError as error:
        if error.kind is INTERNAL:
            # Another replica will answer in our place, and nobody but the log would say what is damaged.
            log.error("%s", error)
        raise error.to_wire_error() from error


class Replica:
    """See the module.

    Args:
        node_id: this node's.
        commits: the store, group-committed.
        topology, liveness, replication: see `contracts`.
        executor: where signatures are verified.
        wall: dates hints.
        trusted_labellers: the accounts (34 bytes) whose labels come before those of everyone else.
    """

    def __init__(
        self,
        node_id: bytes,
        commits: Commits,
        topology: Topology,
        liveness: Liveness,
        replication: Replication,
        executor: Executor,
        wall: WallClock,
        trusted_labellers: Callable[[], frozenset[bytes]],
    ) -> None:
        self._node_id = node_id
        self._commits = commits
        self._topology = topology
        self._liveness = liveness
        self._replication = replication
        self._executor = executor
        self._wall = wall
        self._trusted_labellers = trusted_labellers
        self._puts = 0
        self._joins = 0
        self._changed = 0

    def statistics(self) -> ReplicaStatistics:
        return ReplicaStatistics(self._puts, self._joins, self._changed)

    async def put(self, puts: Sequence[Put], level: Level, region: str) -> list[PutResult]:
        """Join verified records here, then bring their cells to `level`.

        Args:
            puts: at most 256 whose ranges this node holds a slot of.
            level: see the contract.
            region: the coordinator's, for `local_quorum`.

        Raises:
            WireError: `disk_full`, `busy`; nothing was kept.
        """
        owners = [self._topology.where(put.key) for put in puts]
        absent = {
            node
            for owner in owners
            for node in nodes_of(owner.slots)
            if node != self._node_id and not self._liveness.reachable(node)
        }
        outcomes = await self._commit(self._put_job(puts, owners, absent), Admission.CLIENT_PUT, len(puts))
        self._puts += len(puts)
        tallies, late = self._spread(puts, owners, outcomes, absent, region)
        with trio.move_on_after(limits.REQUEST_TIMEOUT_S / 2):
            async with trio.open_nursery() as nursery:
                for node, part, tally in late:
                    nursery.start_soon(self._replication.offer_late, node, part, tally)
                for tally in tallies.values():
                    await tally.wait_for(level)
        told = {slots: _Told(tally, level) for slots, tally in tallies.items()}
        by_range = {
            owner.id: told.get(owner.slots) for owner in {owner.id: owner for owner in owners}.values()
        }
        return [_result(outcome, by_range[owner.id]) for outcome, owner in zip(outcomes, owners, strict=True)]

    async def _commit(self, job: Callable[[WriteTransaction], T], admission: Admission, rows: int) -> T:
        """Commit, and say what the store could not do in the words of the contract."""
        with _told_in_the_contract():
            return await self._commits.run(job, admission, rows=rows)

    def _put_job(
        self, puts: Sequence[Put], owners: Sequence[RangeDescriptor], absent: set[bytes]
    ) -> Callable[[WriteTransaction], list[_Outcome]]:
        now_us = self._wall.now_us()

        def job(transaction: WriteTransaction) -> list[_Outcome]:
            outcomes: list[_Outcome] = []
            for put, owner in zip(puts, owners, strict=True):
                try:
                    outcome = transaction.put_record(put.record, held=put.held)
                except WireError as error:
                    outcomes.append(_Outcome("refused", b"", error))
                    continue
                except StorageError as error:
                    outcomes.append(_Outcome("refused", b"", error.to_wire_error()))
                    continue
                outcomes.append(_Outcome(outcome.status.value, outcome.cell, changed=outcome.changed))
                if absent:
                    for node in nodes_of(owner.slots):
                        if node in absent:
                            transaction.hint(node, put.key, now_us)
            return outcomes

        return job

    def _spread(
        self,
        puts: Sequence[Put],
        owners: Sequence[RangeDescriptor],
        outcomes: Sequence[_Outcome],
        absent: set[bytes],
        region: str,
    ) -> tuple[dict[tuple[Slot, ...], AckTally], list[tuple[bytes, CellBatch, AckTally]]]:
        """Offer the changed cells to the other slots.

        Returns:
            One tally for all ranges with the same slots; and what a peer had no room for yet.
        """
        by_range: dict[int, CellBatch] = {}
        batches: dict[tuple[Slot, ...], CellBatch] = {}
        for put, owner, outcome in zip(puts, owners, outcomes, strict=True):
            if outcome.error is not None:
                continue
            batch = by_range.get(owner.id)
            if batch is None:
                batch = by_range[owner.id] = batches.setdefault(owner.slots, CellBatch({}))
                batch.ranges[owner.id] = owner.epoch
            batch.keys.append(put.key)
            batch.cells.append(outcome.cell)
            self._changed += outcome.status != "duplicate"
        tallies: dict[tuple[Slot, ...], AckTally] = {}
        late: list[tuple[bytes, CellBatch, AckTally]] = []
        for slots, batch in batches.items():
            tally = tallies[slots] = AckTally(slots, region)
            tally.acked.add(self._node_id)
            tally.failed |= absent
            for node in nodes_of(slots):
                if node != self._node_id and node not in absent:
                    parts = self._replication.offer(node, batch, tally)
                    late.extend((node, part, tally) for part in parts)
        return tallies, late

    async def join(self, batch: CellBatch) -> int:
        """Join cells that another replica sent, and make them durable.

        Returns:
            How many cells changed.

        Raises:
            WireError: `bad_request` or `bad_signature` when a cell
                is not what it should be (nothing of the batch is kept then).
        """
        cells = [Cell.decode(data) for data in batch.cells]
        for key, cell in zip(batch.keys, cells, strict=True):
            if key not in (cell.key, held_key(cell.key)):
                raise WireError(BAD_REQUEST, "a cell was sent under another cell's key")
        records = [record for cell in cells for record in cell.records()]
        if not all(await check_signatures(records, self._executor)):
            raise WireError(BAD_REQUEST, "a cell holds a record whose signature does not hold")

        def job(transaction: WriteTransaction) -> int:
            changed = 0
            for key, cell in zip(batch.keys, cells, strict=True):
                changed += transaction.join_cell(key, cell).changed
            return changed

        changed = await self._commit(job, Admission.PEER_JOIN, len(cells))
        self._joins += len(cells)
        self._changed += changed
        return changed

    @_told_in_the_contract()
    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The cells this node has at `keys`.

        Raises:
            WireError: `internal`, when one of them is damaged; another replica has it whole.
        """
        return self._commits.store.get_cells(keys)

    @_told_in_the_contract()
    def page(self, place: bytes, before: bytes | None, limit: int) -> PackedPage:
        """A page of the posts this node has of an author."""
        found = self._commits.store.author_page(
            place, before, limit=limit, bytes_max=limits.PAGE_BYTES, trusted=self._trusted_labellers
        )
        labels, counts = found.labels, found.counts
        if not labels and not counts:
            return pack_plain_page(found.frames, found.resume)
        return pack_page(
            (
                pack_item(frame, labels.get(item, ()), *counts.get(item, (0, 0)))
                for item, frame in zip(found.items, found.frames, strict=True)
            ),
            found.resume,
        )

    @_told_in_the_contract()
    def profile(self, account: bytes) -> list[bytes]:
        """The cells of an account's profile fields."""
        prefix = kind_prefix(account, "profile")
        found = self._commits.store.cells_between(
            prefix, prefix_end(prefix), limit=limits.PROFILE_FIELDS, bytes_max=limits.PAGE_BYTES
        )
        return [cell for _, cell in found]

    @_told_in_the_contract()
    def labels(self, key: bytes) -> list[bytes]:
        """The frames of the labels this node has on the post at `key`."""
        return self._commits.store.labels_of(key, self._trusted_labellers)

    def check_epochs(self, ranges: Mapping[int, int], keys: Sequence[bytes]) -> None:
        """Refuse what was asked under another epoch than ours, or for a range that is not ours.

        Args:
            ranges: range id → epoch, as the sender knows them.
            keys: what the request is about.

        Raises:
            WireError: `stale_topology`.
        """
        for key in keys:
            owner = self._topology.where(key)
            if ranges.get(owner.id) != owner.epoch or self._node_id not in owner.nodes():
                raise stale(owner)


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: str
    cell: bytes
    error: WireError | None = None
    changed: bool = False


def stale(owner: RangeDescriptor) -> WireError:
    """The answer to a request under another epoch: ours, so that the older side can catch up."""
    return WireError(
        STALE_TOPOLOGY,
        f"range {owner.id} is at epoch {owner.epoch} here",
        retry_after_ms=50,
        details={"range": owner.id, "epoch": owner.epoch},
    )


def _result(outcome: _Outcome, told: _Told | None) -> PutResult:
    if outcome.error is not None:
        return PutResult("refused", error=outcome.error.to_wire())
    assert told is not None, "what is kept has been told of"
    return told.of(outcome.status, outcome.changed)


class _Told:
    """What a client is told of the records of one tally, worked out once."""

    def __init__(self, tally: AckTally, level: Level) -> None:
        self.coverage = Coverage(tally.slots, frozenset(tally.acked), tally.region)
        self._missed = None if tally.reached(level) else _missed(tally, level).to_wire()

    def of(self, status: str, changed: bool) -> PutResult:
        if status == "absorbed":
            gone = WireError(CONFLICT, "this post was deleted by its author; a deletion is final")
            return PutResult("refused", self.coverage, gone.to_wire(), changed)
        if self._missed is not None:
            return PutResult("uncertain", self.coverage, self._missed, changed)
        return PutResult(status, self.coverage, changed=changed)


def _missed(tally: AckTally, level: Level) -> WireError:
    acks = len(tally.acked)
    return WireError(
        LEVEL_UNREACHABLE,
        f"kept on {acks} of {len(tally.slots)} slots, less than {level}; send the same bytes again",
        retry_after_ms=1000,
        details={
            "achieved": levels.achieved(tally.slots, tally.acked, tally.region),
            "missing": levels.missing(level, tally.slots, tally.acked, tally.region),
        },
    )
