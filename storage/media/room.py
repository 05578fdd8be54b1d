"""Whether there is room for a medium more: under the cap, and on the disk that others fill as well."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.limits import MIB
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.media.files import Files

DISK_RESERVE_BYTES: Final = 64 * MIB  # of the disk, that media leave free

PARTIAL_SHARE: Final = 4  # of the cap, this part is for uploads under way


def check_room(files: Files, directory: Path, size: int, used: int, cap: int) -> None:
    """Refuse what would pass a cap, or fill the disk.

    Args:
        files: where they lie.
        directory: of the media.
        size: of what is to come, in bytes.
        used, cap: how much there is of its sort, and how much there may be.

    Raises:
        DiskFull: saying which.
    """
    if used + size > cap:
        raise DiskFull(
            f"{directory}: {used} bytes of media are there, {size} more came, and media.disk_cap or "
            f"media.cache allows {cap}; raise it, or add nodes"
        )
    free = files.free_bytes(directory)
    if free is not None and free < size + DISK_RESERVE_BYTES:
        raise DiskFull(f"{directory}: the disk has {free} bytes free, and {size} more came; make room there")


def has_share(used: int, size: int, cap: int) -> bool:
    """Whether an upload may begin to come.

    Args:
        used: what uploads under way take, in bytes.
        size: of what has come, in bytes.
        cap: of all media.
    """
    return used + size <= cap // PARTIAL_SHARE


def no_share() -> WireError:
    """What is said when it may not."""
    return WireError(
        BUSY,
        "others' uploads take all the room that is for those under way; send it again, or to another node",
        retry_after_ms=5_000,
    )
