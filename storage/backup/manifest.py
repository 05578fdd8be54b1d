"""What a backup says of itself: `manifest.json`, the last file to be written.

A backup is a folder of *parts* (see `parts`) and a manifest, and is finished when it has one. Its `id` is the
SHA-256 of everything else in the manifest, so a manifest proves itself and, through the sums in it, its
parts; an incremental backup names the id of the one it stands on, so a chain proves itself down to its full
one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from folkmoot.storage.backup.errors import (
    BackupChainBroken,
    BackupDamaged,
    BackupMissing,
    BackupTooNew,
    os_error,
)
from folkmoot.storage.directory import FILE_MODE, sync_folder

FORMAT: Final = 2
NAME: Final = "manifest.json"
_BYTES_MAX: Final = 64 * 1024 * 1024


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One file of cells.

    Args:
        name: within the backup's folder.
        bytes, sha256: of the whole file.
        cells, deletions: how many frames, and how many posts are deleted by them.
        pass_number: 1 for what was read first; what changed meanwhile is read again in later ones.
    """

    name: str
    bytes: int
    sha256: str
    cells: int
    deletions: int
    pass_number: int


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """The backup that an incremental one stands on: its id and its moment, as a change sequence."""

    id: str
    sequence: int


class MediaList(msgspec.Struct, frozen=True, kw_only=True):
    """The media of a backup (see `media`).

    Args:
        count, bytes: how many there are, and how large their files.
        damaged: how many were left out, because their node's copies were damaged.
        sha256: of the list of them.
    """

    count: int
    bytes: int
    damaged: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """See the module.

    Args:
        format: of parts and manifest.
        id: see the module.
        cluster, node: whose store; the node as 32 hexadecimal digits.
        log_id: of the store's change log; sequences of other logs mean nothing here.
        incarnation: the greatest that the node had used (`node/standing/boot_numbers.py`).
        boot, sequence: the latest change in it: the moment this is a snapshot of (`storage/boots.py`).
        base: None for a full backup.
        began_us, taken_us: wall time of the beginning and of that moment, microseconds since 1970.
        cells_total, digest: count and sum of the hashes of all cells at that moment (hexadecimal); what a
            restored store must come to.
        parts: in the order in which they are to be joined.
        anew: the lanes (0–63) of which this backup has every cell, because some were erased since `base`:
            what the backups below say of them is not part of it. Unset in backups of format 1.
        media: what the node kept of media. Unset where it has no folder for them, and in older backups.
    """

    format: int
    id: str = ""
    cluster: str
    node: str
    log_id: str
    incarnation: int
    boot: int
    sequence: int
    base: Base | None
    began_us: int
    taken_us: int
    cells_total: int
    digest: str
    parts: tuple[Part, ...]
    anew: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET
    media: MediaList | msgspec.UnsetType = msgspec.UNSET

    @property
    def lanes_anew(self) -> frozenset[int]:
        """`anew` as a set."""
        return frozenset() if self.anew is msgspec.UNSET else frozenset(self.anew)

    @property
    def cells(self) -> int:
        """How many frames there are in its parts."""
        return sum(part.cells for part in self.parts)

    @property
    def deletions(self) -> int:
        """How many posts are deleted by them."""
        return sum(part.deletions for part in self.parts)

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    def own_id(self) -> str:
        """What `id` must be."""
        return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(self, id=""))).hexdigest()


class _Format(msgspec.Struct):
    format: int


class Backup(NamedTuple):
    """A finished backup: where it is, and what it says of itself."""

    folder: Path
    manifest: Manifest


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Finish a backup: give it its id and its manifest, on disk. Raises `OSError`."""
    whole = msgspec.structs.replace(manifest, id=manifest.own_id())
    write_file(folder / NAME, msgspec.json.format(msgspec.json.encode(whole)) + b"\n")
    return whole


def write_file(file: Path, data: bytes) -> None:
    """Put `data` in the place of `file` in one step, on disk. Raises `OSError`."""
    temporary = file.with_name(f".{file.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
    temporary.replace(file)
    sync_folder(file.parent)


def in_full(place: Path) -> Path:
    """A path whose name and parent are those of what it leads to, from wherever and however it was named."""
    return place.resolve() if ".." in place.parts else place.absolute()


def load(folder: Path) -> Backup:
    """The finished backup in `folder`, which is then named in full: others are looked for beside it.

    Raises:
        BackupMissing, BackupTooNew, BackupDamaged, BackupUnreadable: see `errors`.
    """
    folder = in_full(folder)
    file = folder / NAME
    try:
        if file.stat().st_size > _BYTES_MAX:
            raise BackupDamaged(file, "it is larger than any manifest")
        data = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BackupMissing(folder) from error
    except OSError as error:
        raise os_error(file, error) from error
    try:
        found = msgspec.json.decode(data, type=_Format).format
        if found > FORMAT:
            raise BackupTooNew(file, found, FORMAT)
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BackupDamaged(file, str(error)) from error
    if manifest.id != manifest.own_id():
        raise BackupDamaged(file, "its id is not that of what it says")
    return Backup(folder, manifest)


def backups_in(folder: Path) -> list[Path]:
    """The folders of the finished backups in `folder`, readable or not, in the order of their names.

    Raises:
        BackupUnreadable: it cannot be read.
        BackupMissing: it is no folder.
    """
    try:
        if not folder.is_dir():
            raise BackupMissing(folder, "it is no folder")
        return sorted(
            each for each in folder.iterdir() if not each.name.startswith(".") and (each / NAME).exists()
        )
    except OSError as error:
        raise os_error(folder, error) from error


def chain_of(backup: Backup) -> list[Backup]:
    """The backups that `backup` stands on and itself, the full one first; found beside it.

    Raises:
        BackupChainBroken: one is missing, or another store's.
        BackupDamaged, BackupTooNew, BackupUnreadable: one is not usable.
    """
    by_id: dict[str, Path] | None = None
    chain = [backup]
    while (base := chain[0].manifest.base) is not None:
        if by_id is None:
            by_id = _ids(backup.folder.parent)
        if base.id not in by_id:
            raise BackupChainBroken(
                backup.folder,
                f"it stands on the backup {base.id[:16]}… which is not in {backup.folder.parent}",
            )
        below, above = load(by_id[base.id]), chain[0].manifest
        if (below.manifest.log_id, below.manifest.node, below.manifest.sequence) != (
            above.log_id,
            above.node,
            base.sequence,
        ):
            raise BackupChainBroken(backup.folder, f"{below.folder} is not what it was made on top of")
        chain.insert(0, below)
    return chain


def superseded(chain: Sequence[Backup]) -> list[frozenset[int]]:
    """Of each backup of a chain, the lanes (0–63) of which its cells no longer count: a later one has them
    anew."""
    later: frozenset[int] = frozenset()
    found = []
    for backup in reversed(chain):
        found.append(later)
        later |= backup.manifest.lanes_anew
    return found[::-1]


def _ids(folder: Path) -> dict[str, Path]:
    """Where each backup beside another is, by its id; those that cannot be read have none."""
    found: dict[str, Path] = {}
    for place in backups_in(folder):
        try:
            found[load(place).manifest.id] = place
        except (BackupDamaged, BackupTooNew):
            continue
    return found
