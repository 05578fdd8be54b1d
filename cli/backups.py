"""What the commands about backups have in common: finding, describing and pacing them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from folkmoot.cli.config_option import CONFIG_NAME, ConfigChoice
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.output import utc_text
from folkmoot.cli.progress import OnProgress
from folkmoot.node.data_directory import DataDirectory
from folkmoot.protocol.errors import FolkmootError
from folkmoot.protocol.limits import MIB
from folkmoot.storage.backup.check import Checked, check_each
from folkmoot.storage.backup.create import check_base
from folkmoot.storage.backup.errors import BackupForeign, BackupMissing
from folkmoot.storage.backup.manifest import FORMAT, Backup, Manifest, backups_in, chain_of, load
from folkmoot.storage.store import Owner, Store


def new_node(data: Path) -> tuple[Owner, Path, int]:
    """Whose store is to be made, where, and its disk cap.

    Raises:
        OperatorError: `data` is no directory that `init` made.
    """
    file = data / CONFIG_NAME
    if not file.is_file():
        raise OperatorError(
            f"{data} is no node: it has no {CONFIG_NAME}",
            hint=f"folkmoot init --directory {data} --cluster NAME",
        )
    config = ConfigChoice(file, ()).load().config
    node_id = config.node.id or DataDirectory(config.node.data).node_id()
    return Owner(bytes.fromhex(node_id), config.cluster.id), config.node.data, config.store.disk_cap


def newest(folder: Path, store: Store) -> Backup:
    """The newest backup in a folder on which an incremental one of a store may stand.

    Those of an older format do not count: they know nothing of cells that were erased while they were made.
    Nor do those of a moment behind which the store's disk was set back.

    Raises:
        BackupMissing: there is none.
        BackupForeign: there are some of this store, and it was set back behind all of them.
    """
    log_id = store.log_id.hex()
    found: list[Backup] = []
    refused: BackupForeign | None = None
    for place in backups_in(folder):
        try:
            backup = load(place)
            chain_of(backup)
        except FolkmootError:
            continue  # what cannot be used is nothing to stand on
        if (backup.manifest.log_id, backup.manifest.format) != (log_id, FORMAT):
            continue
        try:
            check_base(backup, store)
            found.append(backup)
        except BackupForeign as error:
            refused = error
    if refused is not None and not found:
        raise refused
    if not found:
        raise BackupMissing(folder, "it has none of this store to stand on, so the first must be a full one")
    return max(found, key=lambda backup: (backup.manifest.sequence, backup.manifest.taken_us))


def verified(folders: Sequence[Path], signatures: bool, progress: OnProgress) -> list[dict[str, Any]]:
    """What `verify` tells of all backups of a folder, in their order. Each chain is read once."""
    answers: dict[Path, Checked | FolkmootError] = {}
    found: list[Backup] = []
    for place in folders:
        try:
            found.append(load(place))
        except FolkmootError as error:
            answers[place] = error
    bases = {backup.manifest.base.id for backup in found if backup.manifest.base}
    for backup in sorted(found, key=lambda each: each.manifest.id in bases):
        if backup.folder in answers:
            continue
        try:
            chain = chain_of(backup)
            for each, answer in zip(
                chain, check_each(chain, signatures=signatures, progress=progress), strict=True
            ):
                answers.setdefault(each.folder, answer)
        except FolkmootError as error:
            answers[backup.folder] = error
    return [{"name": place.name, **_answer(answers[place])} for place in folders]


def _answer(answer: Checked | FolkmootError) -> dict[str, Any]:
    if isinstance(answer, FolkmootError):
        return {"ok": False, "reason": str(answer)}
    return {"ok": True, **answer.to_json()}


def described(backup: Backup) -> dict[str, Any]:
    """What `show` tells of a backup."""
    manifest = backup.manifest
    return {
        "name": backup.folder.name,
        "folder": str(backup.folder),
        "id": manifest.id,
        "format": manifest.format,
        "cluster": manifest.cluster,
        "node": manifest.node,
        "incarnation": manifest.incarnation,
        "boot": manifest.boot,
        "sequence": manifest.sequence,
        "taken": utc_text(manifest.taken_us),
        "stands on": manifest.base.id[:16] if manifest.base else "-",
        "cells": manifest.cells,
        "deletions": manifest.deletions,
        "lanes_anew": len(manifest.lanes_anew),
        "cells_total": manifest.cells_total,
        "digest": manifest.digest,
        "parts": len(manifest.parts),
        "bytes": manifest.bytes,
        **_media(manifest),
        "MiB": f"{manifest.bytes / MIB:.1f}",
    }


def _media(manifest: Manifest) -> dict[str, int]:
    """What is told of a backup's media: how many it lists, and how many its node had only damaged."""
    listed = manifest.media
    if listed is msgspec.UNSET:
        return {"media": 0, "media_bytes": 0, "media_damaged": 0}
    return {"media": listed.count, "media_bytes": listed.bytes, "media_damaged": listed.damaged}


def now_us() -> int:
    """The wall clock, microseconds since 1970."""
    return time.time_ns() // 1000


class Throttle:
    """Takes the time that bytes may take.

    Args:
        rate: bytes a second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free_at = time.monotonic()

    def pace(self, written: int) -> None:
        """Wait until as many more may be written."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + written / self._rate
        time.sleep(max(0.0, self._free_at - now))
