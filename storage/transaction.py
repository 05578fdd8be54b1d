"""What a job may do to the store: the write transaction.

Every change to a cell, whatever brought it (a client's write, a peer's cell, a hint, repair, restore), ends
in `_change`: the row with its checksum and change sequence, the log's one row for the cell, the block's
sum and the counts change together or not at all. What would be written again by the next record of a batch
(sums, counts, hint states, the sequence) is gathered and written once, before the commit.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from folkmoot.protocol.crdt.cell import Cell, encode_single, join
from folkmoot.protocol.crdt.flag import is_on
from folkmoot.protocol.errors import TOO_LARGE, WireError
from folkmoot.protocol.key import KIND_AT, block_of, held_key
from folkmoot.protocol.limits import (
    CELL_DEVICES,
    DISK_FULL_CLIENT_PUT,
    DISK_FULL_DELETE,
    DISK_FULL_PEER_JOIN,
    STORE_META_BYTES,
)
from folkmoot.protocol.record import Record
from folkmoot.protocol.sync.fingerprint import Fingerprint, leaf_hash
from folkmoot.storage import counts, judged, rows, waiting
from folkmoot.storage.accounts import AccountBook
from folkmoot.storage.decided import CONCERNS_RELEASES, DECISION, release, waits_too
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.heads import SEQUENCE, Heads, erased_name
from folkmoot.storage.hints import Hint, HintBook
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.outcomes import JoinOutcome, PutOutcome, PutStatus
from folkmoot.storage.policies import PolicyBook
from folkmoot.storage.registers import RegisterBook
from folkmoot.storage.rows import SEQUENCE_BYTES, Counts, cell_row, decoded_cell, row_cell, seal, unseal
from folkmoot.storage.touched import Touched

# What a row is taken to cost in live pages, per byte of it: pages are at least half full.
_PAGE_FILL = 2

_CELLS, _LOG = Table.CELLS, Table.LOG


class Admission(enum.Enum):
    """How full the disk may be for a job's writes; a deletion of what is there always counts as the last."""

    CLIENT_PUT = DISK_FULL_CLIENT_PUT
    PEER_JOIN = DISK_FULL_PEER_JOIN
    ESSENTIAL = DISK_FULL_DELETE


class WriteTransaction:
    """One group of jobs, to be committed together. Made by `Store.write`; lives on one thread.

    Attributes:
        touched: what pages show otherwise after it.

    Args:
        transaction: the engine's.
        heads: of the last commit; brought up to date by `commit`.
        room_bytes: what may be live in all (see `Engine.room_bytes`).
    """

    __slots__ = (
        "_block_changes",
        "_count_changes",
        "_delete_limit",
        "_heads",
        "_hint_limit",
        "_hints",
        "_hints_dropped",
        "_limit",
        "_live_bytes",
        "_room_bytes",
        "_transaction",
        "sequence",
        "touched",
    )

    def __init__(self, transaction: Transaction, heads: Heads, *, room_bytes: int) -> None:
        self._transaction = transaction
        self._heads = heads
        self._room_bytes = room_bytes
        self._live_bytes = transaction.live_bytes()
        self._delete_limit = int(room_bytes * Admission.ESSENTIAL.value)
        self._hint_limit = int(room_bytes * Admission.PEER_JOIN.value)
        self._limit = self._delete_limit
        self._block_changes: dict[int, list[int]] = {}
        self._count_changes: dict[bytes, list[int]] = {}
        self._hints = HintBook(transaction)
        self._hints_dropped = 0
        self.sequence = heads.sequence
        self.touched = Touched()

    def admit(self, admission: Admission) -> None:
        """Judge the writes that follow by this class."""
        self._limit = int(self._room_bytes * admission.value)

    def get_cell(self, key: bytes) -> bytes | None:
        """The encoded cell at `key`.

        Raises:
            StoreCorrupt: the cell is damaged.
        """
        row = self._transaction.get(_CELLS, key)
        return None if row is None else row_cell(key, row)

    def put_record(self, record: Record, *, held: bool = False) -> PutOutcome:
        """Join one record, whose signature was verified, into its cell (or into the held one).

        Raises:
            WireError: `too_large`, when the account would have more devices than a cell may name; never for
                a deletion.
            DiskFull: nothing was changed.
            StoreCorrupt: what stands there is damaged.
        """
        key = held_key(record.key) if held else record.key
        cell = encode_single(record.payload, record.signature)
        row = cell_row(key, self.sequence + 1, cell)
        if self._live_bytes < self._limit and self._transaction.insert(_CELLS, key, row):
            self._inserted(key, cell, len(row))
            if rows.is_counted(key) and record.body.get("on") is True:
                self._count(key, 1)
            return PutOutcome(PutStatus.STORED, cell, key, True)
        return self._put_beside(record, key, cell)

    def join_cell(self, key: bytes, cell: Cell | bytes) -> JoinOutcome:
        """Join a cell into what stands at `key`. The only reasons to refuse are a full and a damaged disk.

        Args:
            key: the cell's key.
            cell: a cell whose signatures were verified; if bytes, its canonical encoding.

        Raises:
            DiskFull: nothing was changed.
            StoreCorrupt: what stands there is damaged.
        """
        data = cell if isinstance(cell, bytes) else cell.encode()
        row = self._transaction.get(_CELLS, key)
        if row is None:
            self.make_room(len(data), self._delete_limit if key[KIND_AT] == DECISION else None)
            self._change(key, None, None, data, None if isinstance(cell, bytes) else cell)
            return JoinOutcome(True, data)
        before = row_cell(key, row)
        if before == data:
            return JoinOutcome(False, data)
        known = decoded_cell(key, before)
        joined = join(known, Cell.decode(cell) if isinstance(cell, bytes) else cell)
        after = joined.encode()
        if after == before:
            return JoinOutcome(False, before)
        limit = self._delete_limit if joined.winner.takes_back else self._limit
        self.make_room(len(after) - len(before), limit)
        self._change(key, row, known, after, joined)
        return JoinOutcome(True, after)

    @property
    def rows(self) -> Transaction:
        """The engine's transaction, for `mending` and `erasing`, which reach below cells."""
        return self._transaction

    def replace(self, key: bytes, cell: bytes) -> JoinOutcome:
        """Put a cell where nothing stands; see `mending`. Raises `DiskFull` when there is no room for it."""
        self.make_room(len(cell))
        self._change(key, None, None, cell, None)
        return JoinOutcome(True, cell)

    def remove(self, key: bytes, row: bytes) -> None:
        """Take out a cell that has this row, and what is derived from it; see `erasing`.

        Raises:
            StoreCorrupt: it is damaged; nothing was changed.
        """
        cell = row_cell(key, row)
        if rows.is_counted(key):
            self._count(key, -is_on(decoded_cell(key, cell)))
        self._transaction.delete(_CELLS, key)
        judged.forget(self._transaction, key)
        self._unlist(key, row, cell)
        self.touched.cells += waiting.concerned(self._transaction, key, cell)

    def erased(self, lane: int) -> None:
        """Have it known that cells of a lane (0–63) are gone, of which its log says nothing."""
        name = erased_name(lane)
        self._transaction.put(Table.META, name, seal(name, self._advance().to_bytes(SEQUENCE_BYTES, "big")))

    def forget_hints(self, start: bytes, end: bytes, most: int) -> bool:
        """Take back hints of cells with start ≤ key < end, at most so many; whether these were all."""
        return self._hints.forget(start, end, most)

    def set_block(self, block: int, found: Fingerprint) -> bool:
        """Have a block (0-4095) come to what its cells, as this transaction sees them, were found to come to.

        Returns:
            Whether it came to something else.
        """
        added, change = self._heads.blocks.correction(block, found.count, found.total)
        was_added, was_change = self._block_changes.get(block, (0, 0))
        self._block_changes[block] = [added, change]
        return added != was_added or (change - was_change) & rows.SUM_MASK != 0

    def set_counts(self, post: bytes, found: Counts) -> None:
        """The same with the counts of a post, at its counts key."""
        self._count_changes[post] = counts.correction(self._transaction, post, found)
        self.touched.cells.append(rows.post_of_counts(post))

    def hint(self, node: bytes, key: bytes, now_us: int) -> bool:
        """Remember that `node` (16 bytes) was not given the cell at `key`.

        Args:
            now_us: wall time, microseconds since 1970.

        Returns:
            False when there is no room for it, or the node is past the bounds of hints; repair will find
            what it lacks.
        """
        if self._hints.renew(node, key, self.sequence):
            return True
        room = self._live_bytes + _PAGE_FILL * (rows.NODE_BYTES + len(key) + rows.HINT_ROW_BYTES)
        if room > self._hint_limit or not self._hints.add(node, key, now_us, self.sequence):
            self._hints_dropped += 1
            return False
        self._live_bytes = room
        return True

    def unhint(self, node: bytes, hints: Iterable[Hint]) -> int:
        """Take back hints that were delivered (as `Store.hints_for` gave them), unless their cell has
        changed since; how many went."""
        return self._hints.remove(node, hints)

    def meta_get(self, name: str) -> bytes | None:
        """A small named value.

        Raises:
            StoreCorrupt: it is damaged.
        """
        row = self._transaction.get(Table.META, name.encode())
        return None if row is None else unseal(Table.META, name.encode(), row)

    def meta_put(self, name: str, value: bytes) -> None:
        """Write a small named value.

        A node that cannot say who it is cannot start, so these have a bound of their own in place of the disk
        cap, `STORE_META_BYTES` for all of them. Each counts as a change: an older copy must be known as one.

        Raises DiskFull when the named values would be too large; nothing was changed.
        """
        key, row = name.encode(), seal(name.encode(), value)
        grown = len(row) - len(self._transaction.get(Table.META, key) or b"")
        if grown > 0:
            held = sum(len(other) for _, other in self._transaction.scan(Table.META))
            if held + grown > STORE_META_BYTES:
                raise DiskFull(f"{name!r} has {len(value)} bytes, and {held} of {STORE_META_BYTES} are taken")
            self._live_bytes += _PAGE_FILL * grown
        self._advance()
        self._transaction.put(Table.META, key, row)

    @property
    def registers(self) -> RegisterBook:
        """What this node's seat keeps of registers."""
        return RegisterBook(self._transaction, self.make_room, self._advance)

    @property
    def accounts(self) -> AccountBook:
        """What this node knows of accounts."""
        return AccountBook(self._transaction, self.make_room, self._advance)

    @property
    def policies(self) -> PolicyBook:
        """The policy documents that this node keeps."""
        return PolicyBook(self._transaction, self.make_room, self._advance)

    def commit(self) -> None:
        """Write what was gathered and make everything durable.

        Raises:
            DiskFull: the map is full; nothing was changed.
            StoreCorrupt: what would be changed is damaged; nothing was changed.
            CommitFailed: the process must end.
        """
        heads = self._heads
        heads.blocks.write(self._transaction, self._block_changes)
        counts.write(self._transaction, self._count_changes)
        self._hints.write()
        waiting.settle(self._transaction, waiting.changed(self._transaction, self.touched.cells))
        if self.sequence != heads.sequence:
            value = self.sequence.to_bytes(SEQUENCE_BYTES, "big")
            self._transaction.put(Table.META, SEQUENCE, seal(SEQUENCE, value))
        self._transaction.commit()
        heads.committed(self._block_changes, self.sequence)
        heads.hints_dropped += self._hints_dropped
        heads.shown.forget(self.touched)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._transaction.abort()

    def _advance(self) -> int:
        self.sequence += 1
        return self.sequence

    def _put_beside(self, record: Record, key: bytes, single: bytes) -> PutOutcome:
        """Join a record where something stands, or where room has to be asked for."""
        row = self._transaction.get(_CELLS, key)
        if row is None:
            # A deletion of nothing frees nothing, and anyone can make as many as they like.
            self.make_room(len(single), self._delete_limit if key[KIND_AT] == DECISION else None)
            self._change(key, None, None, single, Cell.of(record))
            return PutOutcome(PutStatus.STORED, single, key, True)
        before = row_cell(key, row)
        if before == single:
            return PutOutcome(PutStatus.DUPLICATE, before, key, False)
        covered = (known := decoded_cell(key, before)).covers(record)
        if not covered and waits_too(self._transaction, key, known, record):
            return self.put_record(record, held=True)._replace(status=PutStatus.HELD)
        # Of two deletions the one with the smaller dot stays, whichever came first.
        if covered and not record.deleted and not known.has_twin(record):
            return PutOutcome(PutStatus.DUPLICATE, before, key, False)
        joined = join(known, Cell.of(record))
        if len(joined.clock) > CELL_DEVICES:
            # Joins bring devices past the bound that puts keep; that must not take deleting from the author.
            if not record.deleted:
                raise WireError(TOO_LARGE, f"more than {CELL_DEVICES} devices have written or been seen here")
            if known.deleted:
                return PutOutcome(PutStatus.DUPLICATE, before, key, False)
        after = joined.encode()
        if after != before:
            self.make_room(len(after) - len(before), self._delete_limit if record.takes_back else self._limit)
            self._change(key, row, known, after, joined)
        if covered or (known.deleted and record.deleted):
            status = PutStatus.DUPLICATE
        else:
            status = PutStatus.STORED if record in joined.survivors else PutStatus.ABSORBED
        return PutOutcome(status, after, key, after != before)

    def _change(
        self, key: bytes, row: bytes | None, known: Cell | None, after: bytes, cell: Cell | None
    ) -> None:
        """Replace what stands at `key`.

        Args:
            row, known: the row that stands there and its cell, if there is one.
            after, cell: the new encoding, and its cell where it was made anyway.
        """
        new_row = cell_row(key, self.sequence + 1, after)
        self._transaction.put(_CELLS, key, new_row)
        if row is not None:
            self._unlist(key, row, row_cell(key, row))
            if cell is not None and cell.taken_back:
                judged.forget(self._transaction, key)
        self._inserted(key, after, len(new_row))
        if rows.is_counted(key):
            was = known is not None and is_on(known)
            self._count(key, is_on(decoded_cell(key, after) if cell is None else cell) - was)

    def _inserted(self, key: bytes, cell: bytes, row_bytes: int) -> None:
        """What goes with a new row of a cell: its place in the log and in its block's sum."""
        at = rows.log_key_of(key, self._advance())
        self.touched.cells.append(key)
        self._transaction.put(_LOG, at, seal(at, key))
        self._add_to_block(key, 1, int.from_bytes(leaf_hash(key, cell), "big"))
        self._live_bytes += _PAGE_FILL * (row_bytes + 2 * len(key))
        if key[KIND_AT] in CONCERNS_RELEASES:
            release(self._transaction, key, cell, self.join_cell)

    def _unlist(self, key: bytes, row: bytes, cell: bytes) -> None:
        """What goes with a row of a cell that goes: its place in the log and in its block's sum."""
        self.touched.cells.append(key)
        self._transaction.delete(_LOG, rows.log_key_of(key, rows.row_sequence(row)))
        self._add_to_block(key, -1, -int.from_bytes(leaf_hash(key, cell), "big"))

    def _add_to_block(self, key: bytes, added: int, change: int) -> None:
        block = block_of(key)
        known = self._block_changes.get(block)
        if known is None:
            self._block_changes[block] = [added, change]
        else:
            known[0] += added
            known[1] += change

    def _count(self, key: bytes, change: int) -> None:
        if change:
            known = self._count_changes.setdefault(rows.counts_key(key), [0, 0])
            known[key[KIND_AT] == rows.REPOST] += change

    def make_room(self, added_bytes: int, limit: int | None = None) -> None:
        """Refuse what would pass `limit`, or that of the job; what makes a cell smaller always has room."""
        limit = self._limit if limit is None else limit
        if added_bytes > 0 and self._live_bytes + _PAGE_FILL * added_bytes > limit:
            raise DiskFull(
                f"{self._live_bytes} of {self._room_bytes} bytes, which is what the disk cap and the disk "
                f"allow, are in use, and writes of this kind are accepted to {limit}"
            )
