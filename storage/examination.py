"""The examination: what is left here of what an account took back, in a slice of what lies under it.

It reads every row of the slice, in one moment, and what other tables have about its cells: their rows of the
log, which name the cell at its latest change and nothing before it, and hints, which are pointers. A cell
that could not have been reached by joins is damage, like one whose checksum does not fit: so a body or a
version that stands beside a deletion is never taken for the deletion alone.

Source of the fingerprint: see `protocol.accounts.attestation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from folkmoot.protocol.accounts.attestation import marks_of
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import (
    HELD,
    KIND_AT,
    KIND_BYTE,
    KINDS_TAKEN_BACK,
    KINDS_UNDER_SUBJECT,
    held_key,
    lane_of,
    place_prefix,
    prefix_end,
)
from folkmoot.protocol.limits import ATTEST_BYTES, ATTEST_CELLS
from folkmoot.protocol.record import Record
from folkmoot.protocol.sync.fingerprint import Fingerprint
from folkmoot.storage.compaction import compacted_at
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.heads import erased_sequence, last_sequence
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.rows import damaged, log_key_of, row_cell, row_hint, row_sequence, unseal

_SUBJECT_KINDS: Final = frozenset(KIND_BYTE[kind] for kind in KINDS_UNDER_SUBJECT)


@dataclass(slots=True)
class Examined:
    """What is in a slice; see `protocol.accounts.attestation.Found`.

    Args:
        change: the store's latest.
        compacted: up to which change it was compacted; None for never.
        moved: whether cells of the account's lane left since.
        through: the last key of the slice; None at the account's end.
        gone: the fingerprint of the records that say that something was taken back.
        proven: how many of them are older than the compaction.
        left, staying, others: how many cells are not taken back, cannot be, or are other accounts'.
        pointers: how many hints are about the slice.
    """

    change: int
    compacted: int | None
    moved: bool
    through: bytes | None
    gone: Fingerprint
    proven: int = 0
    left: int = 0
    staying: int = 0
    others: int = 0
    pointers: int = 0


def examine(engine: Engine, account: bytes, after: bytes | None = None) -> Examined:
    """Look through the first cells under an account, as many as a statement is about.

    Args:
        engine: of the store.
        account: 34 bytes.
        after: the key that the slice begins after; None for the account's first.

    Raises:
        StoreCorrupt: something is damaged, so that nothing can be said.
    """
    prefix = place_prefix(account)
    start = prefix if after is None else after + b"\0"
    end = prefix_end(prefix)
    with engine.begin() as transaction:
        rows, whole = _slice(transaction, start, end)
        compacted = compacted_at(transaction)
        through = None if whole else rows[-1][0]
        examined = Examined(
            last_sequence(transaction),
            compacted,
            erased_sequence(transaction, lane_of(prefix)) > (compacted or 0),
            through,
            Fingerprint(),
        )
        gone: list[Record] = []
        for key, row in rows:
            gone += _look_at(examined, account, key, row)
            _check_log(transaction, key, row)
        stop = end if through is None else through + b"\0"
        examined.pointers = sum(1 for _ in _pointers(transaction, start, stop))
    examined.gone = marks_of(gone)
    return examined


def _slice(transaction: Transaction, start: bytes, end: bytes) -> tuple[list[tuple[bytes, bytes]], bool]:
    """The first rows, and whether these are all."""
    rows: list[tuple[bytes, bytes]] = []
    size = 0
    for key, row in transaction.scan(Table.CELLS, start, end):
        size += len(row)
        if rows and (len(rows) == ATTEST_CELLS or size > ATTEST_BYTES):
            return rows, False
        rows.append((key, row))
    return rows, True


def _look_at(examined: Examined, account: bytes, key: bytes, row: bytes) -> Sequence[Record]:
    """Count a cell; the records in it that say that something was taken back, if that is all it says."""
    data = row_cell(key, row)
    if _is_anothers(key, account):
        examined.others += 1
        return ()
    try:
        cell = Cell.decode(data)
    except WireError as error:
        raise damaged(key, error.message) from error
    if key not in (cell.key, held_key(cell.key)) or cell.winner.author != account:
        raise damaged(key, "it is another cell, or another account's")
    if not cell.taken_back:
        if cell.winner.kind in KINDS_TAKEN_BACK:
            examined.left += 1
        else:
            examined.staying += 1
        return ()
    if key != cell.key:
        return ()  # where a version waited for review; its own cell says so, too
    if examined.compacted is not None and row_sequence(row) <= examined.compacted:
        examined.proven += len(cell.records())
    return cell.records()


def _is_anothers(key: bytes, account: bytes) -> bool:
    """Whether a cell under an account's place is another account's, as its key tells."""
    kind = key[KIND_AT + 1] if key[KIND_AT] == KIND_BYTE[HELD] else key[KIND_AT]
    return kind in _SUBJECT_KINDS and not key.endswith(account)


def _check_log(transaction: Transaction, key: bytes, row: bytes) -> None:
    """See that the log has the cell once, at its latest change.

    Raises:
        StoreCorrupt: it has not.
    """
    at = log_key_of(key, row_sequence(row))
    named = transaction.get(Table.LOG, at)
    if named is None or unseal(Table.LOG, at, named) != key:
        raise StoreCorrupt(f"the log's row {at.hex()}", "it does not name the cell that changed then")


def _pointers(transaction: Transaction, start: bytes, stop: bytes) -> Iterator[bytes]:
    """The keys in a slice that other nodes are owed; no more than a statement is about, of each node."""
    for node, _ in list(transaction.scan(Table.HINT_NODES)):
        rows = transaction.scan(Table.HINTS, node + start, node + stop)
        for key, row in list(islice(rows, ATTEST_CELLS)):
            row_hint(key, row)  # refuses what is not a pointer
            yield key
