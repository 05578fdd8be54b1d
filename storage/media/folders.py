"""What lies in the folders of media: whose, and which.

What bears no name of ours is passed over, wherever it comes from: a file system and who looks after a machine
leave files of their own.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Final, NamedTuple

from folkmoot.storage.media.files import Files, Status
from folkmoot.storage.media.layout import (
    UNUSED,
    MediumDamaged,
    Name,
    account_of,
    folder_of,
    read_head,
    room_of,
)

_LANE: Final = re.compile(r"[0-9a-f]{2}")
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


def lanes_in(files: Files, area: Path) -> list[Path]:
    """The folders under which those of accounts lie, in order."""
    return [area / name for name in sorted(files.names(area)) if _LANE.fullmatch(name)]


def accounts_in(files: Files, lane: Path) -> list[bytes]:
    """The accounts (34 bytes) with something in one of these folders, in the order of the key space."""
    names = sorted(files.names(lane)) if files.exists(lane) else []
    return [account for name in names if (account := account_of(name)) is not None]


def listed_in(files: Files, area: Path, account: bytes) -> list[Listed]:
    """What an account has in an area, by hash."""
    folder = folder_of(area, account)
    found: dict[str, Status] = {}
    with contextlib.suppress(FileNotFoundError):
        for name in files.names(folder):
            with contextlib.suppress(FileNotFoundError):
                found[name] = files.status(folder / name)
    return [
        Listed(
            bytes.fromhex(name),
            room_of(found[name].size),
            found[name].changed_us,
            found[name + UNUSED].changed_us if name + UNUSED in found else None,
        )
        for name in sorted(found)
        if _MEDIUM.fullmatch(name)
    ]


def lying_in(files: Files, area: Path) -> list[tuple[Name, Listed]]:
    """All that lies in an area, what was longest untouched first."""
    accounts = [account for lane in lanes_in(files, area) for account in accounts_in(files, lane)]
    found = [(Name(each, one.hash), one) for each in accounts for one in listed_in(files, area, each)]
    return sorted(found, key=lambda each: (each[1].since_us, each[0]))


def room_at(files: Files, file: Path) -> int | None:
    """How much room a file takes; None when there is none."""
    try:
        return room_of(files.status(file).size)
    except FileNotFoundError:
        return None


def head_bytes(files: Files, file: Path) -> int | None:
    """How many bytes of a file stand before the medium's own; None when a crash cut off even these."""
    try:
        with contextlib.closing(files.open(file)) as opened:
            return read_head(opened, file)[1]
    except MediumDamaged:
        return None


def make_folder(files: Files, folder: Path) -> None:
    """Make a folder of an account, so that it outlives a loss of power."""
    if files.exists(folder):
        return
    for each in (folder.parent, folder):
        files.make_folder(each)
        files.sync_folder(each.parent)


def make_file(files: Files, file: Path, head: bytes) -> None:
    """Make a file that begins so, or leave none."""
    make_folder(files, file.parent)
    try:
        with contextlib.closing(files.create(file)) as made:
            made.write(head, 0)
    except OSError:
        files.unlink(file)
        raise


def tidy(files: Files, folder: Path) -> None:
    """Take away the folder of an account that has nothing in it any more."""
    with contextlib.suppress(OSError):  # it is another medium's, too
        files.remove_folder(folder)
        files.remove_folder(folder.parent)
