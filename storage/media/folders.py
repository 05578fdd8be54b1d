"""What lies in the folders of media: whose, and which.

What bears no name of ours is passed over, wherever it comes from: a file system and who looks after a machine
leave files of their own.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from folkmoot.storage.media.layout import UNUSED, account_of, folder_of, room_of

_MEDIUM: Final = re.compile(r"[0-9a-f]{64}")


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


def lanes_in(area: Path) -> list[Path]:
    """The folders under which those of accounts lie, in order."""
    return sorted(each for each in area.iterdir() if each.is_dir())


def accounts_in(lane: Path) -> list[bytes]:
    """The accounts (34 bytes) with something in one of these folders, in the order of the key space."""
    names = sorted(each.name for each in lane.iterdir()) if lane.exists() else []
    return [account for name in names if (account := account_of(name)) is not None]


def listed_in(area: Path, account: bytes) -> list[Listed]:
    """What an account has in an area, by hash."""
    found: dict[str, os.stat_result] = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in folder_of(area, account).iterdir():
            with contextlib.suppress(FileNotFoundError):
                found[entry.name] = entry.stat()
    return [
        Listed(
            bytes.fromhex(name),
            room_of(found[name].st_size),
            changed_us(found[name]),
            changed_us(found[name + UNUSED]) if name + UNUSED in found else None,
        )
        for name in sorted(found)
        if _MEDIUM.fullmatch(name)
    ]


def changed_us(status: os.stat_result) -> int:
    """When a file was last changed, microseconds since 1970."""
    return status.st_mtime_ns // 1000


def room_at(file: Path) -> int | None:
    """How much room a file takes; None when there is none."""
    try:
        return room_of(file.stat().st_size)
    except FileNotFoundError:
        return None


def tidy(folder: Path) -> None:
    """Take away the folder of an account that has nothing in it any more."""
    with contextlib.suppress(OSError):  # it is another medium's, too
        folder.rmdir()
        folder.parent.rmdir()
