"""Making a backup of a store that is written to meanwhile, without keeping any of its pages from reuse.

A store's change log has one row for each cell, at its latest change. So reading the log from position 0
visits every cell, and reading it on from where one stopped visits what has changed since: a full backup and
an incremental one are the same work from another beginning. It is done in passes of many short transactions,
at most at the rate that is asked for. A pass goes as far as the log went when it began; cells that change
meanwhile stand behind that, and are read again in the next. What a pass leaves is less than what the one
before left, until it fits one last, short transaction: with that the backup holds exactly the cells of this
moment, of which the store's own block sums are the digest.

What was read early and deleted before the last moment is taken out of its part again, so that a backup never
holds what had been deleted when it was finished.

Of cells that are erased, because their range has moved to other nodes, the log says nothing; but of each lane
it is kept at which sequence cells of it were last erased (see `erasing`). Such a lane is read anew from its
beginning, once it is quiet, and what was read of it before is taken out again. An incremental backup whose
base has read a lane before that erasure has the whole lane, and says so in its manifest (`anew`).

Parts are durable before the next is begun, and `progress.json` says how far the log was read with them: the
same command goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
from folkmoot.protocol import codec
from folkmoot.protocol.limits import LANES, MIB
from folkmoot.storage import rows
from folkmoot.storage.backup.errors import (
    BackupForeign,
    BackupNoRoom,
    BackupOutrun,
    BackupUnderWay,
    os_error,
)
from folkmoot.storage.backup.manifest import (
    FORMAT,
    Backup,
    Base,
    Manifest,
    chain_of,
    write_manifest,
)
from folkmoot.storage.backup.media import FOLDER, save_media
from folkmoot.storage.backup.parts import PART_BYTES, PartWriter
from folkmoot.storage.backup.under_way import (
    PROGRESS,
    begun,
    erasures,
    resumed,
    take_out_deleted,
    take_out_erased,
)
from folkmoot.storage.boots import BOOTS_KEPT, Moment, present_moment, went_through
from folkmoot.storage.directory import DIRECTORY_MODE, DirectoryLock, sync_folder
from folkmoot.storage.errors import StorageError, StoreCorrupt, StoreLocked
from folkmoot.storage.heads import erased_sequence, last_sequence
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.room import free_bytes
from folkmoot.storage.store import Store

OnCells = Callable[[int, int], None]
Pace = Callable[[int], None]

_NUMBERS: Final = "gossip.numbers"  # as the node keeps them: incarnation and boot
_PAGE_ROWS: Final = 256
_LAST_ROWS: Final = 2_048
_LAST_BYTES: Final = 16 * MIB
_PACED_PASSES: Final = 2  # those after them are short, and must be faster than the node writes
_PASSES_MAX: Final = 100
_SETTLE_S: Final = 1.0
_WAITS_MAX: Final = 1_800


def create(
    store: Store,
    folder: Path,
    *,
    base: Backup | None,
    now_us: Callable[[], int],
    pace: Pace = lambda written: None,
    wait: Callable[[float], None] = lambda seconds: None,
    progress: OnCells = lambda done, total: None,
    free: Callable[[Path], int | None] = free_bytes,
    part_bytes: int = PART_BYTES,
    media: Path | None = None,
) -> Backup:
    """Make a backup, or go on with the same one where it was cut off.

    Args:
        store: to be read only; may be written to by its node.
        folder: where backups are kept; made when it is not there.
        base: what an incremental one is to stand on; None for a full one.
        now_us: the wall clock.
        pace: told the bytes of each page of cells; takes the time that they may take.
        wait: lets so many seconds pass.
        progress: called with cells written, and with about how many there are to write.
        free: how much the disk of a directory has free.
        part_bytes: how long parts are about.
        media: where the node's media lie, if it has any; they are copied after the cells.

    Raises:
        BackupForeign: `base` is of another store, or the store went back behind it.
        BackupNoRoom, BackupUnreadable, BackupUnderWay, BackupOutrun: see `errors`.
        StoreCorrupt: a cell is damaged; it must be mended first.
    """
    log_id = store.log_id.hex()
    if base is not None:
        check_base(base, store)
    partial = folder / f".partial-{store.owner.node.hex()[:8]}-{base.manifest.id[:8] if base else 'full'}"
    lock = _locked(partial)
    try:
        making = _Making(store, partial, base, log_id, now_us(), pace, wait, progress, part_bytes)
        making.check_room(free(partial))
        return making.run(folder, now_us, media if media is not None and media.is_dir() else None)
    except OSError as error:
        raise os_error(partial, error) from error
    finally:
        lock.release()


def _locked(partial: Path) -> DirectoryLock:
    """Make the folder of what is not finished, and have it for oneself."""
    try:
        partial.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        partial.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        return DirectoryLock(partial)
    except StoreLocked as error:
        raise BackupUnderWay(partial) from error
    except StorageError as error:
        # What the system said, without the advice to a daemon that has no such directory.
        cause = error.__cause__
        raise os_error(partial, cause if isinstance(cause, OSError) else OSError(str(error))) from error
    except OSError as error:
        raise os_error(partial.parent, error) from error


def check_base(base: Backup, store: Store) -> None:
    """See that what a store is now came of what it was when a backup was made.

    Raises:
        BackupForeign: it did not.
    """
    made = base.manifest
    if made.log_id != store.log_id.hex():
        raise BackupForeign(
            f"{base.folder} is a backup of another store than this one", "make a full backup first"
        )
    with store.engine.begin() as transaction:
        if not went_through(transaction, Moment(made.boot, made.sequence)):
            boot, sequence = present_moment(transaction)
            raise BackupForeign(
                f"{base.folder} has change {made.sequence} of boot {made.boot}, and this store, which is at "
                f"change {sequence} of boot {boot}, is not known to have come through that: its disk was set "
                f"back in between, or that is more than {BOOTS_KEPT} starts ago",
                "make a full backup (without --incremental), once `folkmoot status` calls the node whole",
            )


class _Making:
    """One backup on its way."""

    def __init__(
        self,
        store: Store,
        partial: Path,
        base: Backup | None,
        log_id: str,
        began_us: int,
        pace: Pace,
        wait: Callable[[float], None],
        progress: OnCells,
        part_bytes: int,
    ) -> None:
        self._engine: Engine = store.engine
        self._owner = store.owner
        self._partial = partial
        self._base = base
        self._pace = pace
        self._wait = wait
        self._tell = progress
        self._part_bytes = part_bytes
        self._writer: PartWriter | None = None
        self._unsettled = False
        named = base and Base(id=base.manifest.id, sequence=base.manifest.sequence)
        with self._engine.begin() as transaction:
            self._at = resumed(transaction, partial, log_id, named) or begun(
                transaction, log_id, named, began_us
            )
        self._written = sum(part.cells for part in self._at.parts)
        self._remove_strays()

    def check_room(self, free: int | None) -> None:
        """Refuse what certainly has no room: of a full backup it is known about how long it becomes."""
        if self._base is None and free is not None:
            needed = self._engine.usage().live_bytes // 2 - sum(part.bytes for part in self._at.parts)
            if free < needed:
                raise BackupNoRoom(
                    self._partial.parent, f"it takes {needed} bytes or more, and {free} are free"
                )

    def run(self, folder: Path, now_us: Callable[[], int], media: Path | None) -> Backup:
        try:
            manifest = None
            while manifest is None:
                self._check_passes()
                self._unsettled = False
                self._pass()
                if not self._unsettled:
                    manifest = self._last_moment(now_us())
                if self._unsettled:
                    self._at.waits += 1
                    self._wait(_SETTLE_S)
        finally:
            if self._writer is not None:
                self._writer.abandon()
        take_out_erased(self._partial, self._at)
        take_out_deleted(self._partial, self._at)
        manifest = msgspec.structs.replace(manifest, parts=tuple(self._at.parts))
        if media is not None:
            below = [] if self._base is None else chain_of(self._base)
            listed = save_media(media, self._partial, below, self._pace)
            manifest = msgspec.structs.replace(manifest, media=listed)
        whole = write_manifest(self._partial, manifest)
        for stray in (PROGRESS, "LOCK"):
            (self._partial / stray).unlink(missing_ok=True)
        target = folder / _name(whole)
        self._partial.rename(target)
        sync_folder(folder)
        return Backup(target, whole)

    def _check_passes(self) -> None:
        if self._at.waits > _WAITS_MAX:
            raise BackupOutrun("ranges are moving away from this node")
        if self._at.pass_number - self._at.waits > _PASSES_MAX:
            raise BackupOutrun

    def _pass(self) -> None:
        """Read every lane's log on to where it ended when the pass began."""
        paced = self._at.pass_number <= _PACED_PASSES
        for lane in range(LANES):
            while size := self._page(lane):
                if paced:
                    self._pace(size)
        self._end_part(next_pass=True)

    def _page(self, lane: int) -> int:
        """Write the next cells of a lane; how many bytes, nought at the end of this pass, or if cells of it
        were erased: the lane is left to the next pass then."""
        with self._engine.begin() as transaction:
            erased = erased_sequence(transaction, lane)
            quiet = erased == self._at.erased[lane]
            self._at.read = present_moment(transaction)
            page = [
                (at, key, rows.row_cell(key, row))
                for at, key, row in islice(
                    _changed(transaction, lane, self._at.after[lane], self._at.until),
                    _PAGE_ROWS if quiet else 0,
                )
            ]
        if not quiet:
            self._begin_anew(lane, erased)
            return 0
        size = 0
        for at, key, cell in page:
            size += self._add(lane, at, key, cell)
        if self._writer is not None and self._writer.bytes >= self._part_bytes:
            self._end_part()
        with self._engine.begin() as transaction:
            total = transaction.count(Table.CELLS)
        self._tell(min(self._written, total), total)
        return size

    def _begin_anew(self, lane: int, erased: int) -> None:
        """Have a lane read from its beginning, in a part of which nothing is to be taken out."""
        self._unsettled = True
        self._end_part()
        self._at.after[lane] = 0
        self._at.erased[lane] = erased
        self._at.anew[lane] = len(self._at.parts)

    def _add(self, lane: int, at: int, key: bytes, cell: bytes) -> int:
        if self._writer is None:
            self._writer = PartWriter(
                self._partial, f"cells-{len(self._at.parts) + 1:05}", self._at.pass_number
            )
        self._at.after[lane] = at
        self._written += 1
        return self._writer.add(key, cell)

    def _last_moment(self, now_us: int) -> Manifest | None:
        """Read what is left in one transaction and note its state; None when too much was left for that, or
        cells were erased."""
        with self._engine.begin() as transaction:
            erased = erasures(transaction)
            quiet = erased == self._at.erased
            self._at.read = present_moment(transaction)
            manifest = self._rest(transaction, now_us) if quiet else None
        for lane, at in enumerate(erased):
            if at != self._at.erased[lane]:
                self._begin_anew(lane, at)
        if manifest is not None or self._unsettled:
            self._end_part(next_pass=True)
        return manifest

    def _rest(self, transaction: Transaction, now_us: int) -> Manifest | None:
        count = size = 0
        for lane in range(LANES):
            for at, key, row in _changed(transaction, lane, self._at.after[lane]):
                if count == _LAST_ROWS or size > _LAST_BYTES:
                    return None
                size += self._add(lane, at, key, rows.row_cell(key, row))
                count += 1
        return self._manifest(transaction, now_us)

    def _manifest(self, transaction: Transaction, now_us: int) -> Manifest:
        numbers = transaction.get(Table.META, _NUMBERS.encode())
        sums = [rows.row_block(key, row) for key, row in transaction.scan(Table.BLOCKS)]
        cells_total = sum(count for count, _ in sums)
        # Where one damaged cell of a block was mended its sums are without the others, which the base has.
        if cells_total != (there := transaction.count(Table.CELLS)):
            raise StoreCorrupt("the store", f"of {there} cells {cells_total} are in its block sums")
        incarnation, now = 0, present_moment(transaction)
        if numbers is not None:
            incarnation, _ = codec.unpack(rows.unseal(Table.META, _NUMBERS.encode(), numbers))
        return Manifest(
            format=FORMAT,
            cluster=self._owner.cluster,
            node=self._owner.node.hex(),
            log_id=self._at.log_id,
            incarnation=incarnation,
            boot=now.boot,
            sequence=now.sequence,
            base=self._at.base,
            began_us=self._at.began_us,
            taken_us=now_us,
            cells_total=cells_total,
            digest=f"{sum(total for _, total in sums) & rows.SUM_MASK:064x}",
            parts=(),
            anew=() if self._base is None else tuple(sorted(self._at.anew)),
        )

    def _end_part(self, *, next_pass: bool = False) -> None:
        """Finish the part under way, and remember how far the log was read with it."""
        if self._writer is not None:
            self._at.parts.append(self._writer.close())
            self._writer = None
        if next_pass:
            self._at.pass_number += 1
            with self._engine.begin() as transaction:
                self._at.until = last_sequence(transaction)
        self._at.save(self._partial)

    def _remove_strays(self) -> None:
        """Remove what was begun after the last part that is whole."""
        known = {part.name for part in self._at.parts} | {PROGRESS, "LOCK", FOLDER}
        for file in self._partial.iterdir():
            if file.name not in known:
                file.unlink()


def _changed(
    transaction: Transaction, lane: int, after: int, until: int | None = None
) -> Iterator[tuple[int, bytes, bytes]]:
    """The cells of a lane that changed after a sequence, and up to another: at which one, key and row."""
    stop = bytes((lane + 1,)) if until is None else rows.log_key(lane, until + 1)
    for at, row in transaction.scan(Table.LOG, rows.log_key(lane, after + 1), stop):
        key = rows.unseal(Table.LOG, at, row)
        found = transaction.get(Table.CELLS, key)
        if found is None:
            raise rows.damaged(key, "the log names it, and it is not there")
        yield int.from_bytes(at[1:], "big"), key, found


def _name(manifest: Manifest) -> str:
    """A name that sorts by time and says of which node and what sort it is."""
    taken = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(manifest.taken_us // 1_000_000))
    sort = "full" if manifest.base is None else "incremental"
    return f"{taken}-{manifest.node[:8]}-{sort}-{manifest.id[:6]}"
