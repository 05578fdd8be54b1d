"""Restoring: a new store for a new node, filled by ordinary joins, deletions first.

What is restored is old. Everything its node acknowledged after the backup's moment is missing, so a restored
copy must never answer in that node's name: it is made for a data directory with another node id, and says for
ever of itself what it was made from (`mark_of`). Its cells are states of a CRDT like any others, and may meet
newer ones at any time.

Deletions of the whole chain, and of every other backup beside it, are joined before anything else. What they
delete is then not even written: the join absorbs it. What a backup of the chain has of lanes that a later one
has anew may have left the store since, and is not restored, but for its deletions.

The new store is made in a folder of its own and takes its place when it is whole, so that what is cut off is
never taken for a store, and is begun anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from folkmoot.protocol import codec
from folkmoot.protocol.key import lane_of
from folkmoot.storage.backup.check import check, check_alone
from folkmoot.storage.backup.errors import (
    BackupDamaged,
    BackupError,
    BackupForeign,
    RestoreRefused,
    RestoreUnfinished,
    RestoreWouldResurrect,
    os_error,
)
from folkmoot.storage.backup.manifest import Backup, backups_in, chain_of, load, superseded
from folkmoot.storage.backup.media import restore_media
from folkmoot.storage.backup.parts import check_frame, is_deletion, is_held, read_part
from folkmoot.storage.directory import DIRECTORY_MODE, DirectoryLock, sync_folder
from folkmoot.storage.interface import Table
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.store import Owner, Store
from folkmoot.storage.transaction import Admission

OnBytes = Callable[[int, int], None]

MARK: Final = "restored"
UNFINISHED: Final = "restoring"
_CELLS_AT_ONCE: Final = 2_000
_BYTES_AT_ONCE: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Args:
        cells: in the new store.
        deletions_replayed: posts that others know to be deleted, and this one did not: other backups, and
            those it stands on, of what had left the store since.
        backups_left_out: other backups whose deletions could not be read, and were not insisted upon.
        deletions_left_out: how many deletions those have at most; None when nobody can say.
    """

    cells: int
    deletions_replayed: int
    backups_left_out: int
    deletions_left_out: int | None


class Others(NamedTuple):
    """The other backups whose deletions count.

    Attributes:
        usable: those that can be read.
        problems: why others cannot be.
        unread: how many deletions those have at most; None when nobody can say.
    """

    usable: list[Backup]
    problems: list[str]
    unread: int | None


def mark_of(store: Store) -> dict[str, Any] | None:
    """What a store says it was restored from: `backup`, `cluster`, `node` and its `incarnation`, `boot` and
    `sequence`, `taken_us`. None when it was not.

    Raises:
        StoreCorrupt: the mark is damaged.
    """
    value = store.meta_get(MARK)
    if value is None:
        return None
    mark: dict[str, Any] = codec.unpack(value)
    return mark


def check_finished(directory: Path) -> None:
    """Raise `RestoreUnfinished` if a restore into the data directory was cut off."""
    if (directory / UNFINISHED / "store").exists():
        raise RestoreUnfinished(directory)


def restore(
    backup: Backup,
    directory: Path,
    owner: Owner,
    *,
    log_id: bytes,
    cap_bytes: int,
    beside: Sequence[Path],
    accept_resurrection: bool = False,
    other_cluster: bool = False,
    progress: OnBytes = lambda done, total: None,
) -> Restored:
    """Make the store of a new node from a backup and the chain it stands on.

    Args:
        backup: its chain lies beside it.
        directory: the new node's data directory, without a store.
        owner: the new node and its cluster.
        log_id: 16 random bytes, the new store's.
        cap_bytes: its disk cap.
        beside: folders of backups whose deletions are replayed.
        accept_resurrection: whether to go on when not all of those can be read.
        other_cluster: whether the backup may be of another cluster than the node.
        progress: called with bytes read, and bytes in all.

    Raises:
        RestoreRefused: there is a store already, or the node is the one that was backed up.
        RestoreWouldResurrect: see `errors`; nothing was made.
        BackupForeign, BackupDamaged, BackupChainBroken, …: see `errors`; nothing was made.
        StorageError: the store cannot be made; among them `DiskFull`.
    """
    chain = chain_of(backup)
    _check_target(backup, directory, owner, other_cluster)
    others = others_beside(beside, chain)
    if others.problems and not accept_resurrection:
        raise RestoreWouldResurrect(others.problems, others.unread)
    check(chain, signatures=True)
    total = sum(each.manifest.bytes for each in (*chain, *chain, *others.usable))
    lock = DirectoryLock(directory)
    try:
        making = _Restore(directory, owner, log_id, cap_bytes, chain, progress, total)
        cells, replayed = making.run(others.usable)
    except OSError as error:
        raise os_error(directory, error) from error
    finally:
        lock.release()
    return Restored(cells, replayed, len(others.problems), others.unread)


def _check_target(backup: Backup, directory: Path, owner: Owner, other_cluster: bool) -> None:
    manifest = backup.manifest
    if manifest.node == owner.node.hex():
        raise RestoreRefused(
            f"{directory} is the data directory of node {manifest.node}, which was backed up: it "
            "acknowledged more since than a backup has, and must not answer as if it still had it. Make a "
            "new node with `folkmoot init` and restore into that"
        )
    if manifest.cluster != owner.cluster and not other_cluster:
        raise BackupForeign(
            f"{backup.folder} is a backup of cluster {manifest.cluster}, and {directory} is a node of "
            f"{owner.cluster}",
            f"if that is meant, say --from-cluster {manifest.cluster}",
        )
    store = directory / "store"
    try:
        if store.exists() and any(store.iterdir()):
            raise RestoreRefused(
                f"{directory} has a store already; a restore never overwrites one. Restore into another "
                "node's directory, made with `folkmoot init`"
            )
    except OSError as error:
        raise os_error(store, error) from error


def others_beside(beside: Iterable[Path], chain: Sequence[Backup]) -> Others:
    """The other backups of a chain's cluster, whose deletions count."""
    known = {each.manifest.id for each in chain}
    cluster = chain[0].manifest.cluster
    found: list[Backup] = []
    problems: list[str] = []
    unread: int | None = 0
    for place in [place for folder in beside for place in backups_in(folder)]:
        try:
            other = load(place)
        except BackupError as error:
            problems.append(str(error))
            unread = None
            continue
        if other.manifest.cluster != cluster or other.manifest.id in known:
            continue
        known.add(other.manifest.id)
        try:
            check_alone(other, signatures=True)
            found.append(other)
        except BackupError as error:
            problems.append(str(error))
            unread = None if unread is None else unread + other.manifest.deletions
    return Others(found, problems, unread)


def frames_of(
    backup: Backup,
    read: Callable[[int], None],
    *,
    deletions_only: bool = False,
    without: Container[int] = (),
) -> Iterator[tuple[bytes, bytes]]:
    """The keys and cells of one backup, in the order in which they are to be joined.

    Args:
        read: told the bytes of each part once it was read.
        deletions_only: whether only deleted posts are wanted.
        without: lanes (0–63) of which nothing is wanted; see `superseded`.

    Raises:
        BackupDamaged, BackupUnreadable: see `errors`.
    """
    for part in backup.manifest.parts:
        for key, cell in read_part(backup.folder, part):
            if lane_of(key) not in without and (not deletions_only or is_deletion(cell)):
                check_frame(backup.folder, part, key, cell, signatures=False)
                yield key, cell
        read(part.bytes)


class KeySet:
    """Keys of cells, any number of them: kept in a folder of their own, and not in memory.

    Args:
        folder: made here; who made it removes it.
        cap_bytes: how large it may become.
    """

    def __init__(self, folder: Path, cap_bytes: int) -> None:
        self._engine = LmdbEngine(folder, cap_bytes=cap_bytes)

    def __len__(self) -> int:
        with self._engine.begin() as transaction:
            return transaction.count(Table.CELLS)

    def add(self, keys: Iterable[bytes]) -> None:
        """Have these, too; in one transaction."""
        with self._engine.begin(write=True) as transaction:
            for key in keys:
                transaction.insert(Table.CELLS, key, b"")
            transaction.commit()

    def remove(self, keys: Iterable[bytes]) -> None:
        """Have none of these any more; in one transaction, if there are any."""
        with self._engine.begin() as reading:
            found = [key for key in keys if reading.get(Table.CELLS, key) is not None]
        if found:
            with self._engine.begin(write=True) as transaction:
                for key in found:
                    transaction.delete(Table.CELLS, key)
                transaction.commit()

    def close(self) -> None:
        self._engine.close()


class _Restore:
    """One restore on its way."""

    def __init__(
        self,
        directory: Path,
        owner: Owner,
        log_id: bytes,
        cap_bytes: int,
        chain: Sequence[Backup],
        progress: OnBytes,
        total: int,
    ) -> None:
        self._directory = directory
        self._place = directory / UNFINISHED
        self._chain = chain
        self._tell = progress
        self._total = total
        self._done = 0
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir(mode=DIRECTORY_MODE)
        self._store = Store(LmdbEngine(self._place, cap_bytes=cap_bytes), owner=owner, fresh_log_id=log_id)
        self._foreign = KeySet(self._place / "foreign", cap_bytes)

    def run(self, others: Sequence[Backup]) -> tuple[int, int]:
        """Fill the store, prove it, mark it and put it in place; how many cells, and foreign deletions."""
        try:
            gone = superseded(self._chain)
            for backup, without in zip(self._chain, gone, strict=True):
                self._join(frames_of(backup, self._read, deletions_only=True, without=without))
            left = [backup for backup, without in zip(self._chain, gone, strict=True) if without]
            replayed = sum(
                self._join(frames_of(other, self._read, deletions_only=True), foreign=True)
                for other in (*left, *others)
            )
            for backup, without in zip(self._chain, gone, strict=True):
                self._join(frames_of(backup, self._read, without=without), own=True)
            self._prove()
            self._mark()
            restore_media(self._chain, self._directory)
            cells = self._count()
        finally:
            self._store.close()
            self._foreign.close()
        target = self._directory / "store"
        if target.exists():
            target.rmdir()
        (self._place / "store").rename(target)
        sync_folder(self._directory)
        shutil.rmtree(self._place)
        return cells, replayed

    def _join(
        self,
        frames: Iterator[tuple[bytes, bytes]],
        *,
        foreign: bool = False,
        own: bool = False,
    ) -> int:
        """Join cells in transactions of bounded size; at how many posts' keys nothing stood.

        Args:
            foreign: whether only others have them, as far as is known.
            own: whether the chain has them: these are no others' alone.
        """
        new = 0
        more = True
        while more:
            size = 0
            more = False
            keys: list[bytes] = []
            with self._store.write() as transaction:
                transaction.admit(Admission.PEER_JOIN)
                for key, cell in frames:
                    new += not is_held(key) and transaction.get_cell(key) is None
                    transaction.join_cell(key, cell)
                    keys.append(key)
                    size += len(cell)
                    if len(keys) == _CELLS_AT_ONCE or size > _BYTES_AT_ONCE:
                        more = True
                        break
                transaction.commit()
            if foreign:
                self._foreign.add(keys)
            elif own:
                self._foreign.remove(keys)
        return new

    def _read(self, size: int) -> None:
        self._done += size
        self._tell(min(self._done, self._total), self._total)

    def _count(self) -> int:
        with self._store.engine.begin() as transaction:
            return transaction.count(Table.CELLS)

    def _prove(self) -> None:
        """See that the new store has as many cells as the old one, and those that only others knew.

        What they are has been checked in the files (see `check`), of which every byte was joined.
        """
        folder, manifest = self._chain[-1]
        if self._count() - len(self._foreign) != manifest.cells_total:
            raise BackupDamaged(folder, "its cells together are not those the store had when it was made")

    def _mark(self) -> None:
        manifest = self._chain[-1].manifest
        told = {
            "backup": manifest.id,
            "cluster": manifest.cluster,
            "node": manifest.node,
            "incarnation": manifest.incarnation,
            "boot": manifest.boot,
            "sequence": manifest.sequence,
            "taken_us": manifest.taken_us,
        }
        with self._store.write() as transaction:
            transaction.meta_put(MARK, codec.pack(told))
            transaction.commit()
