"""Uploads on their way here: which chunks of them have come, and how much room these take.

An upload takes the room of what has come of it, and not of what it is said to become: to claim costs nothing,
so a claim is given no room. Those of which nothing has come are a manifest each, and only so many are held;
the one begun first goes first, and whoever meant it begins it again. What has begun to come goes on: it is
kept until it has been untouched for a while and others want the room.
"""

from __future__ import annotations

import threading

from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import Manifest
from folkmoot.storage.media.layout import Name, room_of


class UnderWay:
    """See the module. May be called from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._room: dict[Name, int] = {}  # the one longest untouched first
        self._touched_us: dict[Name, int] = {}
        self._have: dict[Name, set[int]] = {}  # of those that this process has begun or looked through
        self._empty: dict[Name, None] = {}  # nothing has come of them; the one begun first is the first
        self.used = 0

    def __contains__(self, name: Name) -> bool:
        return name in self._room

    def found(self, name: Name, file_bytes: int, at_us: int, *, is_empty: bool) -> None:
        """One lies on the disk at the start; holes in its file count until it is looked through."""
        with self._lock:
            self._touched_us[name] = at_us
            self._count(name, 0 if is_empty else room_of(file_bytes))
            if is_empty:
                self._empty[name] = None

    def looked_through(self, name: Name, manifest: Manifest, head_bytes: int, have: set[int]) -> None:
        """Which chunks have come of one that was begun, maybe just now."""
        with self._lock:
            self._have[name] = have
            self._empty.pop(name, None)
            self._count(name, 0)
            if not have:
                self._empty[name] = None
            for each in have:
                self._add(name, manifest, head_bytes, each)

    def have(self, name: Name) -> set[int] | None:
        """The chunks that have come; None when it was not looked through."""
        with self._lock:
            have = self._have.get(name)
            return None if have is None else set(have)

    def came(self, name: Name, manifest: Manifest, head_bytes: int, index: int, at_us: int) -> int | None:
        """A chunk has come; how many are missing, or None when the upload was given up meanwhile."""
        with self._lock:
            have = self._have.get(name)
            if have is None:
                return None
            self._touched_us[name] = at_us
            self._empty.pop(name, None)
            if index in have:
                self._count(name, self._room[name])
            else:
                have.add(index)
                self._add(name, manifest, head_bytes, index)
            return len(manifest.chunks) - len(have)

    def ended(self, name: Name) -> None:
        """It is whole and stands elsewhere, or was given up."""
        with self._lock:
            self.used -= self._room.pop(name, 0)
            self._touched_us.pop(name, None)
            self._have.pop(name, None)
            self._empty.pop(name, None)

    def is_empty(self, name: Name) -> bool:
        """Whether nothing has come of it."""
        return name in self._empty

    def idle(self, before_us: int) -> Name | None:
        """The one that was longest untouched of those of which something has come, if that is so long ago."""
        with self._lock:
            name = next((each for each in self._room if each not in self._empty), None)
            return name if name is not None and self._touched_us.get(name, 0) < before_us else None

    def too_many_empty(self) -> Name | None:
        """The one to give up before another is begun, if one is."""
        with self._lock:
            return next(iter(self._empty)) if len(self._empty) >= bounds.MEDIA_CLAIMS else None

    def _add(self, name: Name, manifest: Manifest, head_bytes: int, index: int) -> None:
        room = self._room[name] or room_of(head_bytes)
        self._count(name, room + room_of(manifest.length(index)))

    def _count(self, name: Name, room: int) -> None:
        """Have it take so much room, and be the one touched last."""
        self.used += room - self._room.pop(name, 0)
        self._room[name] = room
