"""Bringing a backup into a cluster that lives: deletions first, then everything, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from folkmoot.cli.progress import OnProgress
from folkmoot.protocol import limits
from folkmoot.storage.backup.errors import BackupForeign
from folkmoot.storage.backup.manifest import Backup, superseded
from folkmoot.storage.backup.restore import frames_of

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


@dataclass(slots=True)
class Rejoined:
    """What became of the cells of a backup.

    Args:
        sent: how many there were.
        joined: how many of them taught the cluster something.
        deleted: how many the cluster knew to be deleted.
    """

    sent: int = 0
    joined: int = 0
    deleted: int = 0


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
    return told


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
