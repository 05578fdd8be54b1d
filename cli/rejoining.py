"""Bringing a backup into a cluster that lives: deletions first, then everything, in batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from folkmoot.cli.progress import OnProgress
from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import CONFLICT, WireError
from folkmoot.protocol.media.references import may_refer, references
from folkmoot.protocol.record import Record
from folkmoot.storage.backup.errors import BackupForeign
from folkmoot.storage.backup.manifest import Backup, superseded
from folkmoot.storage.backup.media import check_file, media_of, read_chunk
from folkmoot.storage.backup.restore import frames_of
from folkmoot.storage.media.layout import Name

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


@dataclass(slots=True)
class Rejoined:
    """What became of the cells of a backup.

    Args:
        sent: how many there were.
        joined: how many of them taught the cluster something.
        deleted: how many the cluster knew to be deleted.
        media: how many media are there that these cells show.
        reasons: why others are not, with how many.
    """

    sent: int = 0
    joined: int = 0
    deleted: int = 0
    media: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


_DEADLINE_S: Final = 60.0


async def rejoin(
    client: Client,
    chain: Sequence[Backup],
    others: Sequence[Backup],
    level: str,
    from_cluster: str | None,
    progress: OnProgress,
) -> Rejoined:
    """Join the cells of a chain into the cluster that `client` talks to; `others` give their deletions.

    Raises:
        BackupForeign: it is another cluster than was backed up, and that was not said to be meant.
        WireError: a node refuses, or the level cannot be reached.
        BackupDamaged, BackupUnreadable: see `backup.errors`.
    """
    cluster = (await client.call("cluster.status"))["cluster"]
    found = chain[0].manifest.cluster
    if found not in (cluster, from_cluster):
        raise BackupForeign(
            f"this is a backup of cluster {found}, and the nodes are of {cluster}",
            f"if that is meant, say --from-cluster {found}",
        )
    total = sum(each.manifest.bytes for each in (*chain, *chain, *others))
    done = 0

    def read(size: int) -> None:
        nonlocal done
        done += size
        progress(done, total)

    told = Rejoined()
    media = _Media(client, dict(media_of(chain)), level, told.reasons)
    deletions = (frames_of(backup, read, deletions_only=True) for backup in (*chain, *others))
    cells = (
        frames_of(backup, read, without=without)
        for backup, without in zip(chain, superseded(chain), strict=True)
    )
    for frames in (*deletions, *cells):
        for batch in _batches(frames):
            answer: dict[str, Any] = await client.call(
                "restore.join", {"cells": batch, "level": level}, deadline_s=_DEADLINE_S
            )
            told.sent += len(batch)
            told.joined += answer["joined"]
            told.deleted += answer["deleted"]
            await media.bring(batch)
    told.media = len(media.brought)
    return told


@dataclass(slots=True)
class _Media:
    """Brings the media of a backup along with the cells that show them.

    Args:
        client: of the cluster.
        files: those that the backup has.
        level: of replicas that are to have them.
        reasons: why some are not taken; grows.

    Attributes:
        brought: those that are there now.
    """

    client: Client
    files: dict[Name, Path]
    level: str
    reasons: Counter[str]
    brought: set[Name] = field(default_factory=set)

    async def bring(self, cells: Sequence[tuple[bytes, bytes]]) -> None:
        """Upload what some cells show.

        Raises:
            WireError: the cluster cannot take it just now.
        """
        for key, cell in cells:
            if self.files and may_refer(key, cell):
                for record in Cell.decode(cell).survivors:
                    for shown in references(record):
                        name = Name(record.author, shown.hash)
                        if name in self.files and name not in self.brought:
                            await self._upload(name, record)

    async def _upload(self, name: Name, record: Record) -> None:
        # Imported here so that a command's help need not wait for the client.
        from folkmoot.protocol.client import media

        file = self.files[name]
        try:
            await media.upload(
                self.client,
                check_file(file, name),
                lambda index: read_chunk(file, index),
                level=self.level,
                shown_by=record,
            )
        except WireError as error:
            if error.kind.retryable:
                raise
            if error.kind is not CONFLICT:  # the record was deleted or replaced there
                self.reasons[f"medium {name.hash.hex()}: {error.message}"] += 1
        else:
            self.brought.add(name)


def _batches(frames: Iterator[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    """Frames in batches that fit a message."""
    batch: list[tuple[bytes, bytes]] = []
    size = 0
    for key, cell in frames:
        if batch and (size + len(cell) > limits.REPLICATION_BATCH_BYTES or len(batch) == limits.KEYS_PER_GET):
            yield batch
            batch, size = [], 0
        batch.append((key, cell))
        size += len(key) + len(cell)
    if batch:
        yield batch
