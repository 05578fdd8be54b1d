"""The media of a backup: those that its node kept, copied once in a chain and listed in each backup.

A medium never changes, so an incremental backup copies what the backups below it do not have, and lists all
there are. The files are those of a node (see `storage.media.layout`), each with its manifest and its own
hash, so each proves itself; that none is missing is said by the list, whose sum is in the backup's manifest.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from folkmoot.protocol.media.manifest import HASH_BYTES, Manifest
from folkmoot.storage.backup.errors import BackupDamaged, os_error
from folkmoot.storage.backup.manifest import Backup, MediaList, write_file
from folkmoot.storage.directory import DIRECTORY_MODE, FILE_MODE, sync_folder
from folkmoot.storage.media.files import OsFiles
from folkmoot.storage.media.layout import (
    Area,
    MediumDamaged,
    Name,
    account_of,
    folder_of,
    hash_of,
    offset_of,
    read_head,
    whole_chunks,
)

FOLDER: Final = "media"
LIST: Final = "media.list"
_COPY_BYTES: Final = 1024 * 1024
_ASIDE: Final = ".new"


def save_media(media: Path, target: Path, below: Sequence[Backup], pace: Callable[[int], None]) -> MediaList:
    """Copy a node's media into a backup, but for those that the backups below have, and list them all.

    What is damaged is left out and counted: its node takes it away and fetches it anew.

    Args:
        media: the node's; may not exist.
        target: the backup's folder.
        below: the chain it stands on.
        pace: told the bytes of each file.

    Raises:
        OSError: something cannot be read or written.
    """
    lines: list[str] = []
    total = damaged = 0
    for name in names_in(media / Area.KEPT.value):
        file = _file(media / Area.KEPT.value, name)
        try:
            if not any(_file(each.folder / FOLDER, name).exists() for each in below):
                pace(copy_checked(file, _file(target / FOLDER, name), name))
            size = file.stat().st_size
        except MediumDamaged:
            damaged += 1
            continue
        except FileNotFoundError:
            continue  # given up meanwhile
        total += size
        lines.append(f"{name.account.hex()} {name.hash.hex()} {size}\n")
    data = "".join(lines).encode()
    write_file(target / LIST, data)
    return MediaList(count=len(lines), bytes=total, damaged=damaged, sha256=hashlib.sha256(data).hexdigest())


def media_of(chain: Sequence[Backup]) -> Iterator[tuple[Name, Path]]:
    """The media that the last backup of a chain lists, and where in the chain they are.

    Raises:
        BackupDamaged: the list is not what was written, or one of them is missing.
        BackupUnreadable: see `errors`.
    """
    folder, manifest = chain[-1]
    if manifest.media is msgspec.UNSET:
        return
    try:
        data = (folder / LIST).read_bytes()
    except FileNotFoundError as error:
        raise BackupDamaged(folder / LIST, "it is missing") from error
    except OSError as error:
        raise os_error(folder / LIST, error) from error
    if hashlib.sha256(data).hexdigest() != manifest.media.sha256:
        raise BackupDamaged(folder / LIST, "it is not the list that was written")
    for line in data.decode().splitlines():
        account, digest, _ = line.split(" ")
        name = Name(bytes.fromhex(account), bytes.fromhex(digest))
        places = (_file(each.folder / FOLDER, name) for each in reversed(chain))
        found = next((place for place in places if place.exists()), None)
        if found is None:
            raise BackupDamaged(folder, f"medium {digest} is in none of the backups of its chain")
        yield name, found


def check_media(chain: Sequence[Backup], known: set[Path]) -> None:
    """Read all media of the last backup of a chain.

    Args:
        chain: as `chain_of` found it.
        known: files that were read before and are whole; grows.

    Raises:
        BackupDamaged, BackupUnreadable: one is missing, or not what was written.
    """
    for name, file in media_of(chain):
        if file not in known:
            try:
                check_file(file, name)
            except MediumDamaged as error:
                raise BackupDamaged(file, "its bytes are not those it is named by") from error
            except OSError as error:
                raise os_error(file, error) from error
            known.add(file)


def restore_media(chain: Sequence[Backup], directory: Path) -> int:
    """Put the media of a backup into the data directory of a new node; how many.

    Raises:
        BackupDamaged, BackupUnreadable: as `media_of`.
        OSError: something cannot be written.
    """
    count = 0
    for name, file in media_of(chain):
        target = _file(directory / FOLDER / Area.KEPT.value, name)
        if not target.exists():
            try:
                copy_checked(file, target, name)
            except MediumDamaged as error:
                raise BackupDamaged(file, "its bytes are not those it is named by") from error
        count += 1
    return count


def read_chunk(file: Path, index: int) -> bytes:
    """One chunk of a medium that was checked.

    Raises:
        MediumDamaged: its beginning is not as it was written.
        OSError: it cannot be read.
    """
    with contextlib.closing(OsFiles().open(file)) as opened:
        manifest, begins = read_head(opened, file)
        return opened.read(manifest.length(index), offset_of(begins, index))


def names_in(area: Path) -> Iterator[Name]:
    """The media that lie in an area, in the order of the key space."""
    for lane in _sorted(area):
        for folder in _sorted(lane):
            account = account_of(folder.name)
            for file in _sorted(folder):
                if account is not None and len(file.name) == 2 * HASH_BYTES:
                    yield Name(account, bytes.fromhex(file.name))


def check_file(file: Path, name: Name) -> Manifest:
    """Read a medium from its first byte to its last.

    Raises:
        MediumDamaged: it is not what it is named by.
        OSError: it cannot be read.
    """
    with contextlib.closing(OsFiles().open(file)) as opened:
        manifest, begins = read_head(opened, file)
        if manifest.hash != name.hash or hash_of(opened, begins) != name.hash:
            raise MediumDamaged(file, "its bytes do not have the hash it is named by")
        if len(list(whole_chunks(opened, manifest, begins))) != len(manifest.chunks):
            raise MediumDamaged(file, "its chunks are not those of its manifest")
        return manifest


def copy_checked(source: Path, target: Path, name: Name) -> int:
    """Copy a medium, durably and in one step; how many bytes.

    Raises:
        MediumDamaged: what was copied is not what it is named by; nothing is left of it.
        OSError: it cannot be read or written.
    """
    for folder in reversed(target.parents[:4]):
        if not folder.exists():
            folder.mkdir(mode=DIRECTORY_MODE)
            sync_folder(folder.parent)
    aside = target.with_name(target.name + _ASIDE)
    size = 0
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        with source.open("rb") as read, os.fdopen(descriptor, "wb") as written:
            while data := read.read(_COPY_BYTES):
                written.write(data)
                size += len(data)
            written.flush()
            os.fsync(written.fileno())
        check_file(aside, name)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(target.parent)
    return size


def _file(area: Path, name: Name) -> Path:
    return folder_of(area, name.account) / name.hash.hex()


def _sorted(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()
