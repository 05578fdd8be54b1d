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
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, NOT_FOUND, WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import Manifest
from folkmoot.storage.directory import os_failure
from folkmoot.storage.media import folders
from folkmoot.storage.media.files import File, Files
from folkmoot.storage.media.folders import Listed, accounts_in, lanes_in, listed_in, room_at
from folkmoot.storage.media.layout import (
    UNUSED,
    Area,
    MediumDamaged,
    Name,
    folder_of,
    hash_of,
    head_of,
    offset_of,
    read_head,
    room_of,
    whole_chunks,
)
from folkmoot.storage.media.notes import Notes
from folkmoot.storage.media.room import check_room

PARTIAL_SHARE: Final = 4  # of the cap, this part at most is for uploads under way
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
        self._used = dict.fromkeys(Area, 0)
        self._cached: OrderedDict[Name, int] = OrderedDict()  # the one longest unread first
        self._pinned: dict[Name, int] = {}
        self._have: dict[Name, set[int]] = {}
        with self._told():
            for folder in (directory, *(directory / area.value for area in Area)):
                files.make_folder(folder)
                files.sync_folder(folder.parent)
            self.notes = Notes(files, directory / "notes")
            self._look_around()

    def used(self, area: Area) -> int:
        """How many bytes lie in an area."""
        return self._used[area]

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
                if begun != manifest:
                    return None
                have = self._have.get(name)
                if have is None:  # this process has not seen them come
                    have = self._have[name] = set(whole_chunks(opened, begun, begins))
                return set(have)
        except (WireError, MediumDamaged):
            return None

    def _begin_anew(self, account: bytes, manifest: Manifest, target: Area) -> set[int]:
        name = Name(account, manifest.hash)
        file = self._file(Area.PARTIAL, name)
        self.drop(Area.PARTIAL, name)
        head = head_of(manifest)
        room = room_of(len(head) + manifest.size)
        self._make_room(room, target)
        folders.make_folder(self.files, file.parent)
        try:
            with contextlib.closing(self.files.create(file)) as made:
                made.write(head, 0)
                made.resize(len(head) + manifest.size)
        except OSError:
            self.files.unlink(file)
            raise
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
        with self._told(), self._opened(Area.PARTIAL, name, write=True) as (file, manifest, begins):
            manifest.check(index, data)
            file.write(data, offset_of(begins, index))
            have = self._have.setdefault(name, set())
            have.add(index)
            return len(manifest.chunks) - len(have)

    def seal(self, name: Name) -> Manifest:
        """Bring a whole upload to disk, once its bytes have been compared with its hash.

        Raises:
            WireError: `not_found`; `conflict`, when chunks are missing; `bad_request`, when the bytes are not
                what the hash says: then nothing of it is left.
        """
        with self._told(), self._opened(Area.PARTIAL, name, write=True) as (file, manifest, begins):
            missing = [each for each in range(len(manifest.chunks)) if each not in self._have.get(name, ())]
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
                    raise _not_found()
                return
            folders.make_folder(self.files, new.parent)
            self.files.rename(old, new)
            self.files.sync_folder(new.parent)
            self.files.sync_folder(old.parent)
            folders.tidy(self.files, old.parent)
            with self._lock:
                self._have.pop(name, None)
                self._used[source] -= size
                self._used[target] += size - (replaced or 0)
                self._cached.pop(name, None)
                if target is Area.CACHE:
                    self._cached[name] = size
        if target is Area.CACHE:
            self.trim()

    # What becomes of what is here.

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
            if (size := room_at(self.files, file)) is None:
                return False
            self.files.unlink(file)
            self.files.sync_folder(file.parent)  # what is erased does not return with a loss of power
            folders.tidy(self.files, file.parent)
            if area is not Area.PARTIAL:
                self.notes.forget(name)
            with self._lock:
                self._used[area] -= size
                self._cached.pop(name, None)
                self._have.pop(name, None)
        return True

    def give_up(self, name: Name, seen: Listed) -> bool:
        """Erase a kept medium that was neither renewed nor unmarked since it was listed; whether it was."""
        file = self._file(Area.KEPT, name)
        with self._told(), self._names, self._fate, contextlib.suppress(FileNotFoundError):
            note = file.with_name(file.name + UNUSED)
            times = self.files.status(file).changed_us, self.files.status(note).changed_us
            if times == (seen.since_us, seen.unused_us):
                return self.drop(Area.KEPT, name)
        return False

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
        check_room(self.files, self.directory, size, used, cap)

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
        cached: list[tuple[int, Name, int]] = []
        for area in Area:
            for account in self.accounts(area):
                for each in self.listed(area, account):
                    name = Name(account, each.hash)
                    self._used[area] += each.file_bytes
                    if area is Area.CACHE:
                        cached.append((each.since_us, name, each.file_bytes))
                    elif area is Area.PARTIAL and folders.is_cut_off(self.files, self._file(area, name)):
                        self.drop(area, name)
        self._cached.update((name, size) for _, name, size in sorted(cached))
        self.trim()

    @contextlib.contextmanager
    def _opened(self, area: Area, name: Name, *, write: bool = False) -> Iterator[tuple[File, Manifest, int]]:
        file = self._file(area, name)
        with self._told():
            try:
                opened = self.files.open(file, write=write)
            except FileNotFoundError:
                raise _not_found() from None
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


def _not_found() -> WireError:
    return WireError(NOT_FOUND, "this node has no such medium")
