"""The media on a node's disk: files named by what they hash to, beside the store.

They are files and no rows: a medium is a thousand times as large as a post and never changes. All that a
database would do for them is one rename: a file is made whole aside, brought to disk, and then stands under
its name, or never did. There is no index besides: what is kept is what lies in the folders.

Everything here blocks, and may be called from several threads.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import Manifest
from folkmoot.storage.directory import os_failure
from folkmoot.storage.media import folders
from folkmoot.storage.media.files import File, Files
from folkmoot.storage.media.folders import Listed, accounts_in, lanes_in, listed_in, lying_in, room_at
from folkmoot.storage.media.layout import (
    UNUSED,
    Area,
    MediumDamaged,
    Name,
    folder_of,
    hash_of,
    head_of,
    not_found,
    offset_of,
    read_head,
    room_of,
    whole_chunks,
)
from folkmoot.storage.media.notes import Notes
from folkmoot.storage.media.room import check_room, has_share, no_share
from folkmoot.storage.media.under_way import UnderWay

_AREAS: Final = (Area.KEPT, Area.CACHE)


class Blobs:
    """See the module.

    Args:
        files: where they lie.
        directory: of all media; made when it does not exist.
        cap_bytes: how much may be kept, uploads under way included.
        cache_bytes: how much may be in the cache.

    Raises:
        StorageError: it cannot be read or written.
    """

    def __init__(self, files: Files, directory: Path, cap_bytes: int, cache_bytes: int) -> None:
        self.files, self.directory = files, directory
        self.cap_bytes, self.cache_bytes = cap_bytes, cache_bytes
        self._lock = threading.Lock()  # of what is in memory; held for moments
        self._names = threading.RLock()  # of folders: none is taken away while something is put into it
        self._fate = threading.Lock()  # of a kept medium: it is renewed or given up; held for moments
        self._used: dict[Area, int] = {}
        self._cached: OrderedDict[Name, int] = OrderedDict()  # the one longest unread first
        self._pinned: dict[Name, int] = {}
        self.under_way = UnderWay()
        with self._told():
            for folder in (directory, *(directory / area.value for area in Area)):
                files.make_folder(folder)
                files.sync_folder(folder.parent)
            self.notes = Notes(files, directory / "notes")
            self._look_around()

    def used(self, area: Area) -> int:
        """How many bytes lie in an area."""
        return self.under_way.used if area is Area.PARTIAL else self._used[area]

    def find(self, name: Name) -> Area | None:
        """Where a whole medium lies."""
        return next((area for area in _AREAS if self.files.exists(self._file(area, name))), None)

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
        with self._opened(area, name) as (file, manifest, begins):
            data = file.read(manifest.length(index), offset_of(begins, index))
            try:
                manifest.check(index, data)
            except WireError as error:
                raise MediumDamaged(self._file(area, name), f"its chunk {index} has changed") from error
        if area is Area.CACHE:
            with self._lock:
                if name in self._cached:
                    self._cached.move_to_end(name)
        return data

    def begin(self, account: bytes, manifest: Manifest, target: Area = Area.KEPT) -> set[int]:
        """Take up an upload, or go on with one; the chunks that are here already.

        One that was begun with another manifest begins anew. It takes no room before something comes of it;
        when too many are so, the one that was begun first is given up.

        Args:
            target: where it is to stand at last; what is for the cache is not counted under the cap.

        Raises:
            DiskFull: it would pass the cap, or fill the disk.
        """
        with self._told():
            if (have := self._begun(account, manifest)) is not None:
                return have
            with self._names:  # somebody may have begun it meanwhile, and taken the same room
                have = self._begun(account, manifest)
                return self._begin_anew(account, manifest, target) if have is None else have

    def _begun(self, account: bytes, manifest: Manifest) -> set[int] | None:
        """The chunks that are here of an upload that was begun with this manifest; None when it was not."""
        name = Name(account, manifest.hash)
        try:
            with self._opened(Area.PARTIAL, name) as (opened, begun, begins):
                return self._here(name, opened, begun, begins) if begun == manifest else None
        except (WireError, MediumDamaged):
            return None

    def _here(self, name: Name, opened: File, manifest: Manifest, begins: int) -> set[int]:
        """The chunks that are here, which are looked for once if this process has not seen them come."""
        have = self.under_way.have(name)
        if have is None:
            have = set(whole_chunks(opened, manifest, begins))
            self.under_way.looked_through(name, manifest, begins, have)
        return have

    def _begin_anew(self, account: bytes, manifest: Manifest, target: Area) -> set[int]:
        name = Name(account, manifest.hash)
        file = self._file(Area.PARTIAL, name)
        self.drop(Area.PARTIAL, name)
        head = head_of(manifest)
        self._check_room(room_of(len(head) + manifest.size), target)
        while first := self.under_way.too_many_empty():
            self.drop(Area.PARTIAL, first)
        folders.make_file(self.files, file, head)
        self.under_way.looked_through(name, manifest, len(head), set())
        return set()

    def admit(self, name: Name, size: int, now_us: int) -> None:
        """Look whether there is room for a chunk that a client sends.

        What has begun to come goes on. While those under way take all their share of the room, nothing else
        begins to come, unless some are given up that were untouched for long by `now_us`.

        Raises:
            WireError: `busy`.
            DiskFull: `size` bytes more would pass the cap, or fill the disk.
        """
        with self._told():
            if self.under_way.is_empty(name):
                idle_us = now_us - int(bounds.MEDIA_IDLE_S * 1e6)
                while not has_share(self.under_way.used, size, self.cap_bytes):
                    if (idle := self.under_way.idle(idle_us)) is None:
                        raise no_share()
                    self.drop(Area.PARTIAL, idle)
            self._check_room(size, Area.KEPT)

    def write(self, name: Name, index: int, data: bytes) -> int:
        """Take a chunk of an upload that was begun; how many are still missing.

        Raises:
            WireError: `not_found`, when it was not begun; `bad_request`, when it is another chunk.
            DiskFull: the disk has no room.
        """
        with self._told(), self._opened(Area.PARTIAL, name, write=True) as (file, manifest, begins):
            manifest.check(index, data)
            self._here(name, file, manifest, begins)
            file.write(data, offset_of(begins, index))
            with contextlib.suppress(FileNotFoundError):  # it was given up meanwhile
                touched_us = self.files.status(self._file(Area.PARTIAL, name)).changed_us
                if (left := self.under_way.came(name, manifest, begins, index, touched_us)) is not None:
                    return left
            raise not_found()

    def seal(self, name: Name) -> Manifest:
        """Bring a whole upload to disk, once its bytes have been compared with its hash.

        Raises:
            WireError: `not_found`; `conflict`, when chunks are missing; `bad_request`, when the bytes are not
                what the hash says: then nothing of it is left.
        """
        with self._told(), self._opened(Area.PARTIAL, name, write=True) as (file, manifest, begins):
            missing = sorted(set(range(len(manifest.chunks))) - self._here(name, file, manifest, begins))
            if missing:
                raise WireError(
                    CONFLICT,
                    f"{len(missing)} of {len(manifest.chunks)} chunks are missing, first {missing[0]}; "
                    "media.begin tells which are here",
                    details={"missing": missing[: bounds.MEDIA_LISTED]},
                )
            if hash_of(file, begins) == name.hash:
                file.sync()
                return manifest
        self.drop(Area.PARTIAL, name)
        raise WireError(
            BAD_REQUEST, "the bytes do not have the hash that the medium is named by; nothing of it was kept"
        )

    def promote(self, name: Name, source: Area, target: Area) -> None:
        """Have a whole, durable medium stand in another area; it may stand there already.

        Raises:
            WireError: `not_found`.
        """
        old, new = self._file(source, name), self._file(target, name)
        with self._told(), self._names:
            replaced = room_at(self.files, new)
            if (size := room_at(self.files, old)) is None:
                if replaced is None:
                    raise not_found()
                return
            folders.make_folder(self.files, new.parent)
            self.files.rename(old, new)
            self.files.sync_folder(new.parent)
            self.files.sync_folder(old.parent)
            folders.tidy(self.files, old.parent)
            with self._lock:
                self._gone(source, name, size)
                self._used[target] += size - (replaced or 0)
                if target is Area.CACHE:
                    self._cached[name] = size
        if target is Area.CACHE:
            self.trim()

    def renew(self, name: Name, now_us: int, *, durable: bool = False) -> bool:
        """A kept medium was brought again: it is as if it came now; whether it is there.

        Args:
            durable: whether no crash may undo it.
        """
        file = self._file(Area.KEPT, name)
        with self._told(), self._fate:
            try:
                self.files.set_time(file, now_us)
            except FileNotFoundError:
                return False
            self.unmark(name)
            if durable:
                with contextlib.closing(self.files.open(file)) as opened:
                    opened.sync()
                self.files.sync_folder(file.parent)
        return True

    def mark(self, name: Name, now_us: int) -> None:
        """Note durably that no replica knows of a reference to a kept medium, from now on."""
        file = self._file(Area.KEPT, name)
        note = file.with_name(file.name + UNUSED)
        with self._told(), self._names:
            if not self.files.exists(file):
                return
            with contextlib.closing(self.files.create(note, anew=True)) as made:
                self.files.set_time(note, now_us)
                made.sync()
            self.files.sync_folder(file.parent)

    def unmark(self, name: Name) -> None:
        """Take that note away."""
        file = self._file(Area.KEPT, name)
        with self._told(), contextlib.suppress(FileNotFoundError):
            self.files.unlink(file.with_name(file.name + UNUSED))

    def drop(self, area: Area, name: Name) -> bool:
        """Erase a medium; whether there was one."""
        file = self._file(area, name)
        with self._told(), self._names:
            if area is Area.KEPT:
                self.unmark(name)  # before its file: what is left of a crash is no note of nothing
            if (size := room_at(self.files, file)) is not None:
                self.files.unlink(file)
                self.files.sync_folder(file.parent)  # what is erased does not return with a loss of power
                folders.tidy(self.files, file.parent)
                if area is not Area.PARTIAL:
                    self.notes.forget(name)
            with self._lock:
                self._gone(area, name, size or 0)
        return size is not None

    def _gone(self, area: Area, name: Name, size: int) -> None:
        if area is Area.PARTIAL:
            self.under_way.ended(name)
        else:
            self._used[area] -= size
            self._cached.pop(name, None)

    def give_up(self, name: Name, seen: Listed) -> bool:
        """Erase a kept medium that was neither renewed nor unmarked since it was listed; whether it was."""
        file = self._file(Area.KEPT, name)
        with self._told(), self._names, self._fate, contextlib.suppress(FileNotFoundError):
            note = file.with_name(file.name + UNUSED)
            times = self.files.status(file).changed_us, self.files.status(note).changed_us
            if times == (seen.since_us, seen.unused_us):
                return self.drop(Area.KEPT, name)
        return False

    def hand_over(self, name: Name, is_mine: Callable[[], bool]) -> bool:
        """Erase a kept medium unless it is this node's again, which is asked last; whether it was erased."""
        with self._told(), self._names, self._fate:
            return not is_mine() and self.drop(Area.KEPT, name)

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

    def _check_room(self, size: int, target: Area) -> None:
        used, cap = self._used[Area.KEPT] + self.under_way.used, self.cap_bytes
        if target is Area.CACHE:
            used, cap = 0, self.cache_bytes
        check_room(self.files, self.directory, size, used, cap)

    def accounts(self, area: Area) -> list[bytes]:
        """The accounts (34 bytes) with something in an area, in the order of the key space."""
        found: list[bytes] = []
        with self._told():
            for lane in lanes_in(self.files, self.directory / area.value):
                with self._names:  # or the lane is taken away meanwhile
                    found += accounts_in(self.files, lane)
        return found

    def listed(self, area: Area, account: bytes) -> list[Listed]:
        """What an account has in an area, by hash."""
        with self._told():
            return listed_in(self.files, self.directory / area.value, account)

    def _file(self, area: Area, name: Name) -> Path:
        return folder_of(self.directory / area.value, name.account) / name.hash.hex()

    def _look_around(self) -> None:
        """Count what is there."""
        found = {area: lying_in(self.files, self.directory / area.value) for area in Area}
        self._used = {area: sum(one.file_bytes for _, one in found[area]) for area in (*_AREAS, Area.SEALED)}
        self._cached.update((name, each.file_bytes) for name, each in found[Area.CACHE])
        for name, each in found[Area.PARTIAL]:
            begins = folders.head_bytes(self.files, self._file(Area.PARTIAL, name))
            is_empty = begins is not None and each.file_bytes <= room_of(begins)
            self.under_way.found(name, each.file_bytes, each.since_us, is_empty=is_empty)
            if begins is None:
                self.drop(Area.PARTIAL, name)
        self.trim()

    @contextlib.contextmanager
    def _opened(self, area: Area, name: Name, *, write: bool = False) -> Iterator[tuple[File, Manifest, int]]:
        file = self._file(area, name)
        with self._told():
            try:
                opened = self.files.open(file, write=write)
            except FileNotFoundError:
                raise not_found() from None
            try:
                manifest, begins = read_head(opened, file)
                yield opened, manifest, begins
            finally:
                opened.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say in our own words what the operating system could not do."""
        try:
            yield
        except OSError as error:
            raise os_failure(Path(error.filename or self.directory), error) from error
