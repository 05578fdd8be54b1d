"""Compaction: the same rows in a new file, and nothing else in it.

A store's file never shrinks, and holds more than its rows: pages that are free for reuse, and in pages that
are in use the space between their rows, still have what was written there before. LMDB can copy itself
without its free pages, but copies values that have pages of their own together with whatever stands behind
them in the last one. So rows are written anew, in order, into an environment that has never held anything
else: what was erased before a compaction is in no byte of the file after it. Each row must pass its checksum
on the way, and the file takes the old one's place in one step, once all of it is on disk: whoever kills a
compaction finds the old file or the new one.

The search index holds words of the posts, and is made of the store: it goes, and is made anew when the node
next starts.

The store then says up to which change it was compacted (`compacted_at`), which makes that a proof for every
deletion before it (see `scrub`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final
from zlib import crc32

import lmdb
from folkmoot.protocol.limits import MIB, STORE_SCAN_ROWS
from folkmoot.storage import rows
from folkmoot.storage.directory import FILE_MODE, DirectoryLock, os_failure, sync_folder
from folkmoot.storage.errors import DiskFull, StoreCorrupt, StoreUnusable
from folkmoot.storage.heads import last_sequence
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.lmdb_engine import COMPACTED
from folkmoot.storage.lmdb_reader import LmdbReader, check_at_rest
from folkmoot.storage.room import free_bytes, was_cut_short
from folkmoot.storage.search.files import FileIndexes

OnRows = Callable[[int, int], None]

_COMPACTED: Final = b"compacted"
# Rows in a new file stand as close as they do in an old one at worst; commits copy a few pages besides.
_SPARE: Final = 1.1


@dataclass(frozen=True, slots=True)
class Compaction:
    """What a compaction did.

    Args:
        rows: in all tables.
        before_bytes, after_bytes: the file's length.
        sequence: the store's latest change.
    """

    rows: int
    before_bytes: int
    after_bytes: int
    sequence: int


def compact(
    directory: Path,
    *,
    progress: OnRows = lambda done, total: None,
    free: Callable[[Path], int | None] = free_bytes,
) -> Compaction:
    """Write the store in `directory` anew.

    Args:
        directory: a node's data directory; the node must not run.
        progress: called now and then with rows done and rows in all.
        free: how much the disk of a directory has free.

    Raises:
        StoreLocked: the node runs.
        StoreBeingRead: a backup or a scrub reads the store.
        DiskFull: the disk has no room for a second file; the store is as it was.
        StoreCorrupt: a row is damaged; the store is as it was.
        StoreReadOnly, StoreUnusable: see `errors`.
    """
    check_at_rest(directory)
    lock = DirectoryLock(directory)
    try:
        source = LmdbReader(directory, alone=True)
        try:
            done = _compact(source, directory / "store", progress, free)
        finally:
            source.close()
        indexes = FileIndexes(directory)
        for generation in indexes.generations():
            indexes.remove(generation)
        return done
    finally:
        lock.release()


def compacted_at(transaction: Transaction) -> int | None:
    """The change sequence up to which a store was compacted last; None when it never was.

    Raises:
        StoreCorrupt: the row is damaged.
    """
    row = transaction.get(Table.META, _COMPACTED)
    return None if row is None else int.from_bytes(rows.unseal(Table.META, _COMPACTED, row), "big")


def _compact(
    source: LmdbReader, store: Path, progress: OnRows, free: Callable[[Path], int | None]
) -> Compaction:
    before = (store / "data.mdb").stat().st_size
    needed = int(source.usage().live_bytes * _SPARE) + MIB
    room = free(store)
    if room is not None and room < needed:
        raise DiskFull(f"a compaction writes a second file of up to {needed} bytes, and {store} has {room}")
    target = store / COMPACTED
    try:
        with source.begin() as transaction:
            sequence = last_sequence(transaction)
            total = _write_anew(transaction, target, needed, sequence, progress)
        _sync(target)
        after = target.stat().st_size
        # The rows are equal in both files, so it does not matter which one a power failure leaves.
        target.replace(store / "data.mdb")
        sync_folder(store)
    except lmdb.Error as error:
        code = getattr(error, "code", None)
        if isinstance(error, lmdb.MapFullError) or was_cut_short(code, free_bytes(store)):
            raise DiskFull(f"{store}: {error}") from error
        raise StoreUnusable(store, str(error)) from error
    except OSError as error:
        raise os_failure(store, error) from error
    finally:
        target.unlink(missing_ok=True)
    return Compaction(total, before, after, sequence)


def _write_anew(transaction: Transaction, target: Path, needed: int, sequence: int, progress: OnRows) -> int:
    """Write every row into a new environment at `target`; how many there are."""
    total = sum(transaction.count(table) for table in Table)
    done = 0
    environment = lmdb.open(
        str(target),
        subdir=False,
        lock=False,
        map_size=2 * needed + 64 * MIB,
        mode=FILE_MODE,
        sync=True,
        metasync=True,
        writemap=False,
        max_dbs=len(Table) + 1,
    )
    try:
        for table in Table:
            database = environment.open_db(table.name.lower().encode())
            for batch in _batches(transaction, table, sequence):
                with environment.begin(write=True) as writing, writing.cursor(database) as cursor:
                    _, added = cursor.putmulti(batch, append=True)
                if added != len(batch):
                    raise StoreCorrupt(f"table {table.name.lower()}", "its keys are out of order")
                done += added
                progress(min(done, total), total)
    finally:
        environment.close()
    return total


def _batches(transaction: Transaction, table: Table, sequence: int) -> Iterator[list[tuple[bytes, bytes]]]:
    """The rows of a table in order, each checked; with what says that this is a compaction."""
    found = transaction.scan(table)
    if table is Table.META:
        values = dict(found)
        values[_COMPACTED] = rows.seal(_COMPACTED, sequence.to_bytes(rows.SEQUENCE_BYTES, "big"))
        found = iter(sorted(values.items()))
    while batch := list(islice(found, STORE_SCAN_ROWS)):
        for key, row in batch:
            if crc32(key + row):
                rows.row_cell(key, row) if table is Table.CELLS else rows.unseal(table, key, row)
        yield batch


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
