"""Checking backups: every part, the whole chain, and whether its cells together are those the store had.

For the last, each cell's latest frame counts, as the digest in a manifest is of the cells of one moment. So
that memory is bounded, keys are looked at in shares: a chain with very many cells is read once for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from folkmoot.protocol.key import lane_of
from folkmoot.protocol.sync.fingerprint import leaf_hash
from folkmoot.storage import rows
from folkmoot.storage.backup.errors import BackupChainBroken, BackupDamaged, BackupError
from folkmoot.storage.backup.manifest import Backup
from folkmoot.storage.backup.media import check_media
from folkmoot.storage.backup.parts import check_frame, read_part

OnBytes = Callable[[int, int], None]

_KEYS_AT_ONCE: Final = 500_000


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
    """Check everything that the last backup of a chain needs to be restored: checksums, frames, cells, and
    the digest of all cells.

    Args:
        chain: as `chain_of` found it.
        signatures: check those too, about 60 µs each.
        progress: called with bytes read, and bytes in all.

    Raises:
        BackupDamaged, BackupUnreadable: at the first thing that is not as it was written.
    """
    checking = _Checking(chain, signatures, progress)
    checking.run()
    if checking.failure is not None:
        raise checking.failure
    return checking.verdict(len(chain) - 1)


def check_each(
    chain: Sequence[Backup],
    *,
    signatures: bool = False,
    progress: OnBytes = lambda done, total: None,
) -> list[Checked | BackupError]:
    """The same for every backup of a chain: each with those it stands on, or why it cannot be used."""
    checking = _Checking(chain, signatures, progress)
    checking.run()
    answers: list[Checked | BackupError] = []
    for number, backup in enumerate(chain):
        try:
            answers.append(checking.verdict(number))
        except BackupError as error:
            answers.append(error)
        if checking.failure is not None and number == checking.whole:
            answers[number] = checking.failure
        elif number > checking.whole:
            broken = chain[checking.whole].folder.name
            answers[number] = BackupChainBroken(
                backup.folder, f"it stands on {broken}, which is damaged or cannot be read"
            )
    return answers


def check_alone(backup: Backup, *, signatures: bool = False) -> None:
    """Check the parts of one backup, whatever it stands on. Raises as `check`."""
    for part in backup.manifest.parts:
        for key, cell in read_part(backup.folder, part):
            check_frame(backup.folder, part, key, cell, signatures=signatures)


class _Checking:
    """One check of a chain.

    Attributes:
        whole: how many backups, from the first, have every byte they were written with.
        failure: what is wrong with the next.
    """

    def __init__(self, chain: Sequence[Backup], signatures: bool, progress: OnBytes) -> None:
        self._chain = chain
        self._signatures = signatures
        self._tell = progress
        self._shares = 1 + sum(each.manifest.cells for each in chain) // _KEYS_AT_ONCE
        self._total = self._shares * sum(each.manifest.bytes for each in chain)
        self._done = 0
        self._sums = [(0, 0)] * len(chain)
        self._whole_media: set[Path] = set()
        self.whole = len(chain)
        self.failure: BackupError | None = None

    def run(self) -> None:
        """Read the chain, once for each share of the keys."""
        for share in range(self._shares):
            known: dict[bytes, bytes] = {}
            for number, backup in enumerate(self._chain[: self.whole]):
                anew = backup.manifest.lanes_anew
                if anew:
                    known = {key: leaf for key, leaf in known.items() if lane_of(key) not in anew}
                try:
                    self._read(backup, share, known)
                except BackupError as error:
                    self.whole, self.failure = number, error
                    break
                count, total = self._sums[number]
                total += sum(int.from_bytes(leaf, "big") for leaf in known.values())
                self._sums[number] = count + len(known), total

    def verdict(self, number: int) -> Checked:
        """What was read of a backup with all it stands on.

        Raises:
            BackupDamaged: its cells together, or its media, are not what its manifest says.
            BackupUnreadable: see `errors`.
        """
        chain = self._chain[: number + 1]
        folder, manifest = chain[-1]
        count, total = self._sums[number]
        if (count, f"{total & rows.SUM_MASK:064x}") != (manifest.cells_total, manifest.digest):
            raise BackupDamaged(folder, "its cells together are not those the store had when it was made")
        check_media(chain, self._whole_media)
        return Checked(
            backups=len(chain),
            parts=sum(len(each.manifest.parts) for each in chain),
            cells=sum(each.manifest.cells for each in chain),
            deletions=sum(each.manifest.deletions for each in chain),
            bytes=sum(each.manifest.bytes for each in chain),
            signatures=self._signatures,
        )

    def _read(self, backup: Backup, share: int, known: dict[bytes, bytes]) -> None:
        """Read one backup; `known` gets the hashes of the cells of this share."""
        for part in backup.manifest.parts:
            for key, cell in read_part(backup.folder, part):
                if share == 0:
                    check_frame(backup.folder, part, key, cell, signatures=self._signatures)
                if crc32(key) % self._shares == share:
                    known[key] = leaf_hash(key, cell)
            self._done += part.bytes
            self._tell(self._done, self._total)
