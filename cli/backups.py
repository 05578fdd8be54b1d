"""What the commands about backups have in common: finding, describing and pacing them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from folkmoot.cli.config_option import CONFIG_NAME, ConfigChoice
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.output import utc_text
from folkmoot.node.data_directory import DataDirectory
from folkmoot.protocol.errors import FolkmootError
from folkmoot.protocol.limits import MIB
from folkmoot.storage.backup.errors import BackupMissing
from folkmoot.storage.backup.manifest import Backup, backups_in, chain_of, load
from folkmoot.storage.store import Owner


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


def newest(folder: Path, log_id: str) -> Backup:
    """The newest usable backup in a folder of the store whose change log has this id (hexadecimal).

    Raises:
        BackupMissing: there is none.
    """
    found: list[Backup] = []
    for place in backups_in(folder):
        try:
            backup = load(place)
            chain_of(backup)
        except FolkmootError:
            continue  # what cannot be used is nothing to stand on
        if backup.manifest.log_id == log_id:
            found.append(backup)
    if not found:
        raise BackupMissing(folder, "it has none of this store to stand on, so the first must be a full one")
    return max(found, key=lambda backup: (backup.manifest.sequence, backup.manifest.taken_us))


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
        "cells_total": manifest.cells_total,
        "digest": manifest.digest,
        "parts": len(manifest.parts),
        "bytes": manifest.bytes,
        "MiB": f"{manifest.bytes / MIB:.1f}",
    }


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
