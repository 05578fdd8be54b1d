"""The media on a node's disk: files named by what they hash to, beside the store.

They are files and no rows: a medium is a thousand times as large as a post and never changes. All that a
database would do for them is one rename: a file is made whole aside, brought to disk, and then stands under
its name, or never did. There is no index besides: what is kept is what lies in the folders.

Everything here blocks, and may be called from several threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, NOT_FOUND, WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import Manifest
from folkmoot.storage.directory import DIRECTORY_MODE, FILE_MODE, os_failure, sync_folder
from folkmoot.storage.media.layout import (
    UNUSED,
    Area,
    MediumDamaged,
    Name,
    account_of,
    folder_of,
    hash_of,
    head_of,
    offset_of,
    read_head,
    room_of,
    whole_chunks,
    write_all,
)
from folkmoot.storage.media.room import check_room

PARTIAL_SHARE: Final = 4  # of the cap, this part at most is for uploads under way
_AREAS: Final = (Area.KEPT, Area.CACHE)


class Listed(NamedTuple):
    """One medium that lies in an area.

    Attributes:
        file_bytes: how much room it takes.
        since_us: when it was brought or last renewed, microseconds since 1970.
        unused_us: since when no replica has known of a reference to it; None while one may.
    """

    hash: bytes
    file_bytes: int
    since_us: int
    unused_us: int | None


class Blobs:
    """See the module.

    Args:
        directory: of all media; made when it does not exist.
        cap_bytes: how much may be kept, uploads under way included.
        cache_bytes: how much may be in the cache.

    Raises:
        StorageError: it cannot be read or written.
    """

    def __init__(self, directory: Path, cap_bytes: int, cache_bytes: int) -> None:
        self.directory = directory
        self.cap_bytes = cap_bytes
        self.cache_bytes = cache_bytes
        self._lock = threading.Lock()  # of what is in memory; held for moments
        self._names = threading.RLock()  # of folders: none is taken away while something is put into it
        self._used = dict.fromkeys(Area, 0)
        self._cached: OrderedDict[Name, int] = OrderedDict()  # the one longest unread first
        self._pinned: dict[Name, int] = {}
        self._have: dict[Name, set[int]] = {}
        with self._told():
            directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            for area in Area:
                (directory / area.value).mkdir(mode=DIRECTORY_MODE, exist_ok=True)
            self._look_around()

    def used(self, area: Area) -> int:
        """How many bytes lie in an area."""
        return self._used[area]

    def find(self, name: Name) -> Area | None:
        """Where a whole medium lies."""
        return next((area for area in _AREAS if self._file(area, name).exists()), None)

    def manifest(self, area: Area, name: Name) -> Manifest:
        """What a medium is made of.

        Raises:
            WireError: `not_found`.
            MediumDamaged: its file is not as it was written.
        """
        with self._opened(area, name) as opened:
            return opened[1]

    def read(self, area: Area, name: Name, index: int) -> bytes:
        """One chunk, checked.

        Raises:
            WireError: `not_found`; `bad_request` for a chunk that there is not.
            MediumDamaged: it is not what was written.
        """
        with self._opened(area, name) as (descriptor, manifest, begins):
            data = os.pread(descriptor, manifest.length(index), offset_of(begins, index))
            try:
                manifest.check(index, data)
            except WireError as error:
                raise MediumDamaged(self._file(area, name), f"its chunk {index} has changed") from error
        if area is Area.CACHE:
            with self._lock:
                if name in self._cached:
                    self._cached.move_to_end(name)
        return data

    # What is on its way here.

    def begin(self, account: bytes, manifest: Manifest, target: Area = Area.KEPT) -> set[int]:
        """Take up an upload, or go on with one; the chunks that are here already.

        One that was begun with another manifest begins anew. When those under way take more than their share
        of the room, the one that was longest untouched is given up.

        Args:
            target: where it is to stand at last; what is for the cache is not counted under the cap.

        Raises:
            DiskFull: it would pass the cap, or fill the disk.
        """
        name = Name(account, manifest.hash)
        file = self._file(Area.PARTIAL, name)
        with self._told():
            try:
                with self._opened(Area.PARTIAL, name) as (descriptor, begun, begins):
                    if begun == manifest:
                        have = self._have.get(name)
                        if have is None:  # this process has not seen them come
                            have = self._have[name] = set(whole_chunks(descriptor, begun, begins))
                        return set(have)
            except (WireError, MediumDamaged):
                pass
            self.drop(Area.PARTIAL, name)
            head = head_of(manifest)
            room = room_of(len(head) + manifest.size)
            self._make_room(room, target)
            with self._names:
                self._make_folder(file.parent)
                with open(file, "xb", opener=_private) as made:
                    made.write(head)
                    made.truncate(len(head) + manifest.size)
            with self._lock:
                self._used[Area.PARTIAL] += room
                self._have[name] = set()
            return set()

    def write(self, name: Name, index: int, data: bytes) -> int:
        """Take a chunk of an upload that was begun; how many are still missing.

        Raises:
            WireError: `not_found`, when it was not begun; `bad_request`, when it is another chunk.
            DiskFull: the disk has no room.
        """
        with self._told(), self._opened(Area.PARTIAL, name, write=True) as (descriptor, manifest, begins):
            manifest.check(index, data)
            write_all(descriptor, data, offset_of(begins, index))
            have = self._have.setdefault(name, set())
            have.add(index)
            return len(manifest.chunks) - len(have)

    def seal(self, name: Name) -> Manifest:
        """Bring a whole upload to disk, once its bytes have been compared with its hash.

        Raises:
            WireError: `not_found`; `conflict`, when chunks are missing; `bad_request`, when the bytes are not
                what the hash says: then nothing of it is left.
        """
        with self._told(), self._opened(Area.PARTIAL, name, write=True) as (descriptor, manifest, begins):
            missing = [each for each in range(len(manifest.chunks)) if each not in self._have.get(name, ())]
            if missing:
                raise WireError(
                    CONFLICT,
                    f"{len(missing)} of {len(manifest.chunks)} chunks are missing, first {missing[0]}; "
                    "media.begin tells which are here",
                    details={"missing": missing[: bounds.MEDIA_LISTED]},
                )
            if hash_of(descriptor, begins) == name.hash:
                os.fsync(descriptor)
                return manifest
        self.drop(Area.PARTIAL, name)
        raise WireError(
            BAD_REQUEST, "the bytes do not have the hash that the medium is named by; nothing of it was kept"
        )

    def promote(self, name: Name, source: Area, target: Area) -> None:
        """Have a whole, durable medium stand in another area.

        Raises:
            WireError: `not_found`.
        """
        old, new = self._file(source, name), self._file(target, name)
        with self._told(), self._names:
            self._make_folder(new.parent)
            try:
                size = room_of(old.stat().st_size)
                old.rename(new)
            except FileNotFoundError:
                raise _not_found() from None
            sync_folder(new.parent)
            sync_folder(old.parent)
            _tidy(old.parent)
            with self._lock:
                self._have.pop(name, None)
                self._used[source] -= size
                self._used[target] += size
                self._cached.pop(name, None)
                if target is Area.CACHE:
                    self._cached[name] = size
        if target is Area.CACHE:
            self.trim()

    # What becomes of what is here.

    def renew(self, name: Name, now_us: int) -> None:
        """A kept medium was brought again: it is as if it had come now."""
        file = self._file(Area.KEPT, name)
        with self._told(), contextlib.suppress(FileNotFoundError):
            os.utime(file, ns=(now_us * 1000, now_us * 1000))
            self.unmark(name)

    def mark(self, name: Name, now_us: int) -> None:
        """Note durably that no replica knows of a reference to a kept medium, from now on."""
        file = self._file(Area.KEPT, name)
        note = file.with_name(file.name + UNUSED)
        with self._told():
            with open(note, "wb", opener=_private) as made:
                os.utime(note, ns=(now_us * 1000, now_us * 1000))
                os.fsync(made.fileno())
            sync_folder(file.parent)

    def unmark(self, name: Name) -> None:
        """Take that note away."""
        file = self._file(Area.KEPT, name)
        with self._told():
            file.with_name(file.name + UNUSED).unlink(missing_ok=True)

    def drop(self, area: Area, name: Name) -> bool:
        """Erase a medium; whether there was one."""
        file = self._file(area, name)
        with self._told(), self._names:
            try:
                size = room_of(file.stat().st_size)
                file.unlink()
            except FileNotFoundError:
                return False
            if area is Area.KEPT:
                self.unmark(name)
            _tidy(file.parent)
            with self._lock:
                self._used[area] -= size
                self._cached.pop(name, None)
                self._have.pop(name, None)
        return True

    @contextlib.contextmanager
    def pinned(self, name: Name) -> Iterator[None]:
        """Have a medium stay in the cache for the time being."""
        with self._lock:
            self._pinned[name] = self._pinned.get(name, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                if (left := self._pinned.pop(name) - 1) > 0:
                    self._pinned[name] = left
            self.trim()

    def trim(self) -> None:
        """Take what was longest unread out of a cache that is too large."""
        while self._used[Area.CACHE] > self.cache_bytes:
            with self._lock:
                name = next((each for each in self._cached if each not in self._pinned), None)
            if name is None or not self.drop(Area.CACHE, name):
                return

    def _make_room(self, size: int, target: Area) -> None:
        """Have uploads under way keep to their share, and refuse what there is no room for."""
        while self._used[Area.PARTIAL] + size > self.cap_bytes // PARTIAL_SHARE and self._give_up_partial():
            pass
        used, cap = self._used[Area.KEPT] + self._used[Area.PARTIAL], self.cap_bytes
        if target is Area.CACHE:
            used, cap = 0, self.cache_bytes
        check_room(self.directory, size, used, cap)

    def _give_up_partial(self) -> bool:
        """Drop the upload that was longest untouched; whether there was one."""
        under_way: list[tuple[int, Name]] = []
        for account in self.accounts(Area.PARTIAL):
            listed = self.listed(Area.PARTIAL, account)
            under_way += [(each.since_us, Name(account, each.hash)) for each in listed]
        return bool(under_way) and self.drop(Area.PARTIAL, min(under_way)[1])

    # What there is.

    def accounts(self, area: Area) -> list[bytes]:
        """The accounts (34 bytes) with something in an area, in the order of the key space."""
        found: list[bytes] = []
        with self._told():
            for lane in sorted((self.directory / area.value).iterdir()):
                with self._names:  # or the lane is taken away meanwhile
                    folders = sorted(each.name for each in lane.iterdir()) if lane.exists() else []
                found += [account for each in folders if (account := account_of(each)) is not None]
        return found

    def listed(self, area: Area, account: bytes) -> list[Listed]:
        """What an account has in an area, by hash."""
        found: dict[str, os.stat_result] = {}
        with self._told(), contextlib.suppress(FileNotFoundError):
            for entry in folder_of(self.directory / area.value, account).iterdir():
                with contextlib.suppress(FileNotFoundError):
                    found[entry.name] = entry.stat()
        whole = sorted(name for name in found if not name.endswith(UNUSED))
        return [
            Listed(
                bytes.fromhex(name),
                room_of(found[name].st_size),
                found[name].st_mtime_ns // 1000,
                found[name + UNUSED].st_mtime_ns // 1000 if name + UNUSED in found else None,
            )
            for name in whole
        ]

    def _file(self, area: Area, name: Name) -> Path:
        return folder_of(self.directory / area.value, name.account) / name.hash.hex()

    def _make_folder(self, folder: Path) -> None:
        """Make a folder of an account, so that it outlives a loss of power."""
        if folder.exists():
            return
        for each in (folder.parent, folder):
            each.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
            sync_folder(each.parent)

    def _look_around(self) -> None:
        """Count what is there."""
        cached: list[tuple[int, Name, int]] = []
        for area in Area:
            for account in self.accounts(area):
                for each in self.listed(area, account):
                    self._used[area] += each.file_bytes
                    if area is Area.CACHE:
                        cached.append((each.since_us, Name(account, each.hash), each.file_bytes))
        self._cached.update((name, size) for _, name, size in sorted(cached))
        self.trim()

    @contextlib.contextmanager
    def _opened(self, area: Area, name: Name, *, write: bool = False) -> Iterator[tuple[int, Manifest, int]]:
        file = self._file(area, name)
        try:
            descriptor = os.open(file, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC)
        except FileNotFoundError:
            raise _not_found() from None
        except OSError as error:
            raise os_failure(file, error) from error
        try:
            manifest, begins = read_head(descriptor, file)
            yield descriptor, manifest, begins
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say in our own words what the operating system could not do."""
        try:
            yield
        except OSError as error:
            raise os_failure(Path(error.filename or self.directory), error) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, FILE_MODE)


def _tidy(folder: Path) -> None:
    """Take away the folder of an account that has nothing in it any more."""
    with contextlib.suppress(OSError):  # it is another medium's, too
        folder.rmdir()
        folder.parent.rmdir()


def _not_found() -> WireError:
    return WireError(NOT_FOUND, "this node has no such medium")
