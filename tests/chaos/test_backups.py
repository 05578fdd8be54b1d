"""A backup that lacks what was acknowledged, or cannot be made, is found; nothing else is missed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from folkmoot.cli.chaos.backups import Backups
from folkmoot.cli.chaos.caller import Caller
from folkmoot.cli.chaos.scene import Scene
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.cluster.layout import ClusterDirectory, Shape
from folkmoot.node.simulation.history import Ack
from folkmoot.protocol.record import Record
from folkmoot.storage.lmdb_engine import LmdbEngine

from tests.backup.making import ANN, BEN, CAP
from tests.storage.making import open_store, post, put

NODE = b"whoever-it-is-16"


class Owners:
    """A node that tells who owns everything, and each time it is asked the next of these epochs."""

    node = "eu-1"

    def __init__(self, *epochs: int, beside: bytes | None = None) -> None:
        self.epochs = list(epochs)
        self.nodes = [NODE] if beside is None else [beside, NODE]

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        if params["first"]:
            return {"ranges": []}
        epoch = self.epochs.pop(0)
        return {"ranges": [{"id": 0, "epoch": epoch, "start": b"", "slots": [{"nodes": self.nodes}]}]}


@pytest.fixture
def cluster(tmp_path: Path) -> LocalCluster:
    """One node that does not run, with one post of Ann's in its store."""
    made = LocalCluster(ClusterDirectory(tmp_path / "town"))
    made.create("town", Shape(nodes=1, regions=("eu",), tls=False))
    store = open_store(LmdbEngine(made.directory.data("eu-1").path, cap_bytes=CAP))
    put(store, post(ANN, 1, "kept"))
    store.close()
    return made


def backups_of(cluster: LocalCluster, owners: Owners, *acks: Ack) -> Backups:
    scene = Scene(1, 1.0)
    scene.history.acks += acks
    callers = {"eu-1": cast(Caller, owners)}
    return Backups(cluster, callers, {"eu-1": NODE}, scene, cluster.directory.path / "backups")


def acked(record: Record, level: str = "all") -> Ack:
    return Ack(record, 1.0, 2.0, level, level, 1)


KEPT, LOST = acked(post(ANN, 1, "kept")), acked(post(BEN, 1, "lost"))


async def test_what_all_had_acknowledged_and_the_backup_lacks_is_found(cluster: LocalCluster) -> None:
    backups = backups_of(cluster, Owners(1, 1, 1, 1), KEPT, LOST)
    assert await backups.make("eu-1") and await backups.make("eu-1"), "a full one, and what is new since"
    [verdict] = backups.verdicts()
    assert (verdict.compared, len(verdict.complaints), verdict.facts) == (4, 2, {"made": 2})
    assert f"of {LOST.record.key.hex()}" in verdict.complaints[0]
    backups.forget()
    assert not (cluster.directory.path / "backups").exists()


@pytest.mark.parametrize(
    ("owners", "ack"),
    [
        pytest.param(Owners(1, 1), acked(LOST.record, "quorum"), id="not by all"),
        pytest.param(Owners(1, 2), LOST, id="moved meanwhile"),
        pytest.param(Owners(1, 1, beside=b"another"), LOST, id="on its way there"),
    ],
)
async def test_what_a_node_need_not_have_is_not_missed(
    cluster: LocalCluster, owners: Owners, ack: Ack
) -> None:
    backups = backups_of(cluster, owners, ack)
    assert await backups.make("eu-1")
    assert backups.made == 1 and backups.verdicts() == []


async def test_one_that_cannot_be_made_is_complained_of(tmp_path: Path) -> None:
    cluster = LocalCluster(ClusterDirectory(tmp_path / "town"))
    cluster.create("town", Shape(nodes=1, regions=("eu",), tls=False), (sys.executable, "-c", "exit(7)"))
    backups = backups_of(cluster, Owners(1))
    assert not await backups.make("eu-1")
    assert backups.made == 0
    assert "folkmoot backup create" in backups.complaints[0] and "exit code 7" in backups.complaints[0]
