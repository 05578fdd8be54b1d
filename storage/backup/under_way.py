"""How far a backup has got that is being made, and taking frames out of its parts again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
from folkmoot.protocol.key import lane_of
from folkmoot.protocol.limits import LANES
from folkmoot.storage.backup.manifest import Base, Part, write_file
from folkmoot.storage.backup.parts import PartWriter, is_deletion, read_part
from folkmoot.storage.boots import Moment, present_moment, went_through
from folkmoot.storage.heads import erased_sequence
from folkmoot.storage.interface import Transaction

IsOut = Callable[[bytes, bytes], bool]

PROGRESS: Final = "progress.json"
_MARKERS_AT_ONCE: Final = 100_000


class Progress(msgspec.Struct, kw_only=True):
    """What `progress.json` says.

    Args:
        log_id: of the store's change log.
        base: what an incremental backup stands on.
        began_us: wall time, microseconds since 1970.
        read: the latest moment of the store at which anything was read.
        after: of each lane, up to which sequence it was read.
        erased: of each lane, up to which sequence erasures are allowed for.
        anew: the lanes that were begun anew, and which part is the first whose cells of them count.
        pass_number, until: of the pass under way, and at which sequence it ends.
        waits: how many passes met an erasure.
        parts: those that are whole.
    """

    log_id: str
    base: Base | None
    began_us: int
    read: Moment
    after: list[int]
    erased: list[int]
    anew: dict[int, int]
    pass_number: int
    until: int
    waits: int
    parts: list[Part]

    def save(self, folder: Path) -> None:
        """Bring it to disk. Raises `OSError`."""
        write_file(folder / PROGRESS, msgspec.json.encode(self))


def erasures(transaction: Transaction) -> list[int]:
    """Of each lane, at which sequence cells of it were last erased; 0 for never."""
    return [erased_sequence(transaction, lane) for lane in range(LANES)]


def begun(transaction: Transaction, log_id: str, base: Base | None, began_us: int) -> Progress:
    """Where a backup begins: after its base, or where a lane has lost cells since, at the beginning."""
    first = 0 if base is None else base.sequence
    erased, now = erasures(transaction), present_moment(transaction)
    return Progress(
        log_id=log_id,
        base=base,
        began_us=began_us,
        read=now,
        after=[0 if at > first else first for at in erased],
        erased=erased,
        anew={lane: 0 for lane, at in enumerate(erased) if at > first},
        pass_number=1,
        until=now.sequence,
        waits=0,
        parts=[],
    )


def resumed(transaction: Transaction, folder: Path, log_id: str, base: Base | None) -> Progress | None:
    """How far an earlier attempt has got, if its parts are whole and of the same store, and that has not been
    set back since."""
    with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
        found = msgspec.json.decode((folder / PROGRESS).read_bytes(), type=Progress)
        parts = {part.name: part.bytes for part in found.parts}
        sizes = {name: (folder / name).stat().st_size for name in parts}
        lanes = {len(found.after), len(found.erased)}
        same = (found.log_id, found.base, sizes, lanes) == (log_id, base, parts, {LANES})
        if same and went_through(transaction, found.read):
            return found
    return None


def take_out_erased(folder: Path, progress: Progress) -> None:
    """Take what was read of lanes before they were begun anew out of its parts."""
    for number in range(len(progress.parts)):
        lanes = {lane for lane, first in progress.anew.items() if number < first}
        if lanes:
            _take_out(folder, progress, number, _in_lanes(lanes))


def take_out_deleted(folder: Path, progress: Progress) -> None:
    """Take what a later pass knows to be deleted out of the parts of earlier ones."""
    late = _late_deletions(folder, list(progress.parts))
    while markers := frozenset(islice(late, _MARKERS_AT_ONCE)):
        for number in range(len(progress.parts)):
            _take_out(folder, progress, number, _deleted_by(markers))


def _in_lanes(lanes: Container[int]) -> IsOut:
    return lambda key, cell: lane_of(key) in lanes


def _deleted_by(markers: Container[bytes]) -> IsOut:
    return lambda key, cell: key in markers and not is_deletion(cell)


def _late_deletions(folder: Path, parts: list[Part]) -> Iterator[bytes]:
    for part in parts:
        if part.pass_number > 1:
            for key, cell in read_part(folder, part):
                if is_deletion(cell):
                    yield key


def _take_out(folder: Path, progress: Progress, number: int, is_out: IsOut) -> None:
    """Write a part anew without the frames that must go, if it has any."""
    part = progress.parts[number]
    if any(is_out(key, cell) for key, cell in read_part(folder, part)):
        progress.parts[number] = _without(folder, part, is_out, number)
        progress.save(folder)
        (folder / part.name).unlink()


def _without(folder: Path, part: Part, is_out: IsOut, number: int) -> Part:
    """The same part without some frames, under another name."""
    name = f"cells-{number + 1:05}{'b' if part.name.endswith('a') else 'a'}"
    writer = PartWriter(folder, name, part.pass_number)
    try:
        for key, cell in read_part(folder, part):
            if not is_out(key, cell):
                writer.add(key, cell)
        return writer.close()
    finally:
        writer.abandon()
