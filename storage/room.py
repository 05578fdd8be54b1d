"""How much a store on disk may hold: of its cap, of its map, and of the disk it shares with others.

A commit copies the pages that it changes before the old ones may be used again, so neither the map nor the
disk may be full of live pages: both keep a reserve. On a disk that has less than the cap, what may be live is
what the file holds and the disk has free, but for that reserve. So clients' writes are refused before the
disk is full, and deletions and what a node must remember of itself still find room.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from folkmoot.protocol.limits import MIB
from folkmoot.storage.directory import FILE_MODE

HEADROOM_BYTES_MIN: Final = 64 * MIB
HEADROOM_FRACTION: Final = 0.25
# The longest run of pages that LMDB writes at once. A disk with less free cuts it short: EIO, says LMDB then.
WRITTEN_AT_ONCE_BYTES: Final = 1 * MIB

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def map_bytes_for(cap_bytes: int) -> int:
    """The size of the map for a disk cap: the cap and its headroom, in whole MiB."""
    size = cap_bytes + max(HEADROOM_BYTES_MIN, int(cap_bytes * HEADROOM_FRACTION))
    return -(-size // MIB) * MIB


def room_bytes_for(cap_bytes: int, file_bytes: int, free: int | None) -> int:
    """How many bytes may be live; at least 0.

    Args:
        cap_bytes: the disk cap.
        file_bytes: what the file holds already, live or not.
        free: bytes of the disk that are free; None when nobody knows.
    """
    if free is None:
        return cap_bytes
    whole = file_bytes + free
    # On a small disk a fixed reserve would be all there is.
    return min(cap_bytes, whole - min(HEADROOM_BYTES_MIN, int(whole * HEADROOM_FRACTION)))


def free_bytes(directory: Path) -> int | None:
    """What the file system of `directory` has free for this process; None when that cannot be known.

    About a microsecond: asked anew for every group of writes, because others fill the same disk.
    """
    try:
        found = os.statvfs(directory)
    except OSError:
        return None
    # Some network file systems know no size at all, which is not the same as having none.
    return found.f_bavail * found.f_frsize if found.f_blocks else None


def take_room_for(file: Path, size: int) -> None:
    """Make `file` at least `size` bytes long, and let the disk set all of them aside.

    For a file that is mapped: on a full disk, to touch a page of it that is nowhere yet is a fatal signal.

    Raises:
        OSError: there is no room, or the file cannot be written.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        os.posix_fallocate(descriptor, 0, max(size, os.fstat(descriptor).st_size))
    except OSError as error:
        # A file system that cannot set anything aside is none the worse for having been asked.
        if error.errno in NO_ROOM:
            raise
    finally:
        os.close(descriptor)


def was_cut_short(code: int | None, free: int | None) -> bool:
    """Whether LMDB failed to write for want of room.

    Args:
        code: the error number it gave.
        free: bytes of the disk that are free now; None when nobody knows.
    """
    if code == errno.EIO:
        return free is not None and free < WRITTEN_AT_ONCE_BYTES
    return code in NO_ROOM
