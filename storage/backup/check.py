"""Checking backups: every part, the whole chain, and what is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from folkmoot.storage.backup.manifest import Backup
from folkmoot.storage.backup.parts import check_frame, read_part

OnBytes = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check read.

    Args:
        backups, parts, cells, deletions, bytes: how many, in all of the chain.
        signatures: whether those were checked too.
    """

    backups: int
    parts: int
    cells: int
    deletions: int
    bytes: int
    signatures: bool

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


def check(
    chain: Sequence[Backup],
    *,
    signatures: bool = False,
    progress: OnBytes = lambda done, total: None,
) -> Checked:
    """Read every part of some backups: checksums, frames and cells.

    Args:
        chain: as `chain_of` found it.
        signatures: check those too, about 60 µs each.
        progress: called with bytes read, and bytes in all.

    Raises:
        BackupDamaged, BackupUnreadable: at the first thing that is not as it was written.
    """
    total = sum(backup.manifest.bytes for backup in chain)
    done = 0
    for backup in chain:
        for part in backup.manifest.parts:
            for key, cell in read_part(backup.folder, part):
                check_frame(backup.folder, part, key, cell, signatures=signatures)
            done += part.bytes
            progress(done, total)
    return Checked(
        backups=len(chain),
        parts=sum(len(backup.manifest.parts) for backup in chain),
        cells=sum(backup.manifest.cells for backup in chain),
        deletions=sum(backup.manifest.deletions for backup in chain),
        bytes=total,
        signatures=signatures,
    )
