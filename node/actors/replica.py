"""The replica keeps cells: it joins what coordinators and peers bring, durably, and passes it on.

Two ways in. `put` is the first replica a coordinator chose: it joins records into their cells, commits, and
streams the whole cells to the other slots until the level is reached. `join` is every other slot: it joins
cells that a first replica, a hint, a read or repair sent. Both commit before they answer, through the same
`join` of the CRDT, so the order and number of deliveries do not matter.

The order of effects is promised: persist, then send, then acknowledge.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.contracts import (
    CellBatch,
    Joined,
    Liveness,
    Put,
    PutResult,
    Replication,
    Settle,
    Topology,
    nodes_of,
)
from folkmoot.node.environment import Executor, WallClock
from folkmoot.node.metrics.registry import Histogram
from folkmoot.node.signatures import check_signatures
from folkmoot.node.spread import Spread
from folkmoot.node.store_errors import StoreErrors
from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, STALE_TOPOLOGY, WireError
from folkmoot.protocol.feed.pages import PackedPage
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.errors import StorageError, StoreCorrupt
from folkmoot.storage.outcomes import PutOutcome, PutStatus
from folkmoot.storage.profiles import StoredProfile
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
P = ParamSpec("P")


def _told_in_the_contract(
    method: Callable[Concatenate[Replica, P], T],
) -> Callable[Concatenate[Replica, P], T]:
    """Have a method say what the store could not do in the words of the contract."""

    @wraps(method)
    def telling(replica: Replica, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(replica, *args, **kwargs)
        except StorageError as error:
            raise replica.in_the_contract(error) from error

    return telling


class Replica:
    """See the module.

    Args:
        node_id: this node's.
        commits: the store, group-committed.
        topology, liveness, replication: see `contracts`.
        executor: where signatures are verified.
        wall: dates hints.
        trusted_labellers: the accounts (34 bytes) whose labels come before those of everyone else.

    Attributes:
        refuses: why this replica does not take a client's record, such as a post whose media it has not.
        commit_s: how long commits took, seconds.
        joined: told of cells that others sent, once they are on disk; must not wait.
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
        self._store_errors = StoreErrors(commits.store.damage, wall)
        self._trusted_labellers = trusted_labellers
        self.refuses: Callable[[Record], WireError | None] = lambda record: None
        self.joined: Callable[[CellBatch], None] = lambda batch: None
        self.commit_s = Histogram("commit_seconds", "How long what was put or joined waited to be durable.")
        self._puts = 0
        self._joins = 0
        self._changed = 0

    def statistics(self) -> ReplicaStatistics:
        return ReplicaStatistics(self._puts, self._joins, self._changed)

    async def put(self, puts: Sequence[Put], level: Level, region: str, settle: Settle) -> None:
        """Join verified records here, then bring their cells to `level`.

        Args:
            puts: at most a few hundred whose ranges this node holds a slot of.
            level: see the contract.
            region: the coordinator's, for `local_quorum`.
            settle: told the result of each put as soon as it is known.

        Raises:
            WireError: `disk_full`, `busy`; nothing was kept.
        """
        owners = [self._topology.where(put.key) for put in puts]
        absent = {
            node
            for slots in {owner.slots for owner in owners}
            for node in nodes_of(slots)
            if node != self._node_id and not self._liveness.reachable(node)
        }
        refusals = self._refusals(puts)
        job = self._put_job(puts, owners, absent, refusals)
        outcomes = await self._commit(job, Admission.CLIENT_PUT, len(puts))
        self._puts += len(puts)
        spread = Spread(self._node_id, level, region, absent, self._replication, settle)
        for number, (owner, outcome) in enumerate(zip(owners, outcomes, strict=True)):
            if isinstance(outcome, WireError):
                settle({number: PutResult("refused", error=outcome.to_wire())})
                continue
            status, changed = outcome.status, outcome.changed
            spread.add(number, outcome.key, outcome.cell, owner, status=status.value, changed=changed)
            self._changed += status is not PutStatus.DUPLICATE
        await spread.carry()

    def _refusals(self, puts: Sequence[Put]) -> dict[int, WireError]:
        """Why some are not taken from a client, by their numbers; what is known here is no less welcome."""
        found: dict[int, WireError] = {}
        for number, put in enumerate(puts):
            error = self.refuses(put.record)
            if error is not None and not self._covers(put):
                found[number] = error
        return found

    def _covers(self, put: Put) -> bool:
        cell = self.read([put.key])[0]
        return cell is not None and Cell.decode(cell).covers(put.record)

    async def _commit(self, job: Callable[[WriteTransaction], T], admission: Admission, rows: int) -> T:
        """Commit, and say what the store could not do in the words of the contract."""
        began = trio.current_time()
        try:
            result = await self._commits.run(job, admission, rows=rows)
        except StorageError as error:
            raise self.in_the_contract(error) from error
        self.commit_s.observe(trio.current_time() - began)
        return result

    def in_the_contract(self, error: StorageError) -> WireError:
        """See `StoreErrors`."""
        return self._store_errors.in_the_contract(error)

    def _put_job(
        self,
        puts: Sequence[Put],
        owners: Sequence[RangeDescriptor],
        absent: set[bytes],
        refusals: Mapping[int, WireError],
    ) -> Callable[[WriteTransaction], list[PutOutcome | WireError]]:
        """Puts every record into its cell, and leaves hints for who is absent."""
        now_us = self._wall.now_us()

        def job(transaction: WriteTransaction) -> list[PutOutcome | WireError]:
            outcomes: list[PutOutcome | WireError] = []
            for number, (put, owner) in enumerate(zip(puts, owners, strict=True)):
                if number in refusals:
                    outcomes.append(refusals[number])
                    continue
                now = self._topology.where(put.key)
                if (now.id, now.epoch) != (owner.id, owner.epoch):  # fenced or split meanwhile
                    outcomes.append(stale(now))
                    continue
                try:
                    outcome = transaction.put_record(put.record, held=put.held)
                    outcomes.append(outcome)
                except WireError as error:
                    outcomes.append(error)
                    continue
                except StorageError as error:
                    outcomes.append(self.in_the_contract(error))
                    continue
                if absent:
                    _hint(transaction, outcome.key, absent.intersection(owner.nodes()), now_us)
            return outcomes

        return job

    async def join(self, batch: CellBatch) -> Joined:
        """Join cells that another replica sent, and make them durable.

        Raises:
            WireError: as `join_all` answers.
        """
        [answer] = await self.join_all([batch])
        if isinstance(answer, WireError):
            raise answer
        return answer

    async def join_all(self, batches: Sequence[CellBatch]) -> list[Joined | WireError]:
        """Join what several messages brought: one look at their signatures, one commit.

        Returns:
            For each batch what became of its cells, or why nothing of it was kept: `bad_request` when a cell
            is not what it should be, or what the store could not do.
        """
        answers: list[Joined | WireError] = [Joined(0)] * len(batches)
        read: dict[int, list[Cell]] = {}
        for number, batch in enumerate(batches):
            try:
                read[number] = batch.decoded()
            except WireError as error:
                answers[number] = error
        for number in await self._forged(read):
            del read[number]
            answers[number] = WireError(BAD_REQUEST, "a cell holds a record whose signature does not hold")
        try:
            changes = await self._join([batches[number] for number in read])
        except WireError as error:
            if len(batches) > 1 and error.kind is not BUSY:  # one of them, and the others shall not suffer
                return [(await self.join_all([batch]))[0] for batch in batches]
            changes = [error] * len(read)
        for number, change in zip(read, changes, strict=True):
            answers[number] = change
        return answers

    async def _forged(self, read: Mapping[int, Sequence[Cell]]) -> list[int]:
        """The numbers of those batches in which a signature does not hold."""
        records = [
            (number, record) for number, cells in read.items() for cell in cells for record in cell.records()
        ]
        hold = await check_signatures([record for _, record in records], self._executor)
        return sorted({number for (number, _), holds in zip(records, hold, strict=True) if not holds})

    async def _join(self, batches: Sequence[CellBatch]) -> Sequence[Joined | WireError]:
        """Commit verified cells; what became of each batch.

        Raises:
            WireError: nothing was kept.
        """
        if not batches:
            return []

        count = sum(len(batch.keys) for batch in batches)
        joined = await self._commit(
            lambda transaction: [self._join_batch(transaction, batch) for batch in batches],
            Admission.PEER_JOIN,
            count,
        )
        for batch in batches:
            self.joined(batch)
        self._joins += count
        self._changed += sum(each.changed for each in joined)
        return joined

    def _join_batch(self, transaction: WriteTransaction, batch: CellBatch) -> Joined:
        """Join the cells of a batch, but for those that meet a damaged one here.

        Epochs are looked at once more: what is fenced while a batch waits for its commit is not kept.
        """
        self.check_epochs(batch.ranges, batch.keys)
        changed = 0
        damaged: list[bytes] = []
        for key, cell in zip(batch.keys, batch.cells, strict=True):
            try:
                changed += transaction.join_cell(key, cell).changed
            except StoreCorrupt as error:
                if error.cell_key != key:
                    raise
                self._commits.store.damage.note(error)
                damaged.append(key)
        return Joined(changed, damaged)

    @_told_in_the_contract
    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The cells this node has at `keys`.

        Raises:
            WireError: `internal`, when one of them is damaged; another replica has it whole.
        """
        return self._commits.store.get_cells(keys)

    @_told_in_the_contract
    def page(self, place: bytes, before: bytes | None, limit: int) -> PackedPage:
        """A page of the posts this node has of an author."""
        return self._commits.store.packed_page(
            place, before, limit=limit, bytes_max=limits.PAGE_BYTES, trusted=self._trusted_labellers
        )

    @_told_in_the_contract
    def profile(self, account: bytes) -> StoredProfile:
        """An account's profile fields: as many as there may be, and as a message has room for."""
        return self._commits.store.profile(account)

    @_told_in_the_contract
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


def _hint(transaction: WriteTransaction, key: bytes, nodes: Iterable[bytes], now_us: int) -> None:
    """Leave hints; where what is kept of them is damaged, repair will find what they would have told."""
    for node in sorted(nodes):
        try:
            transaction.hint(node, key, now_us)
        except StoreCorrupt as error:
            log.error("no hint for %s: %s", node.hex()[:8], error)


def stale(owner: RangeDescriptor) -> WireError:
    """The answer to a request under another epoch: ours, so that the older side can catch up."""
    return WireError(
        STALE_TOPOLOGY,
        f"range {owner.id} is at epoch {owner.epoch} here",
        retry_after_ms=50,
        details={"range": owner.id, "epoch": owner.epoch},
    )
