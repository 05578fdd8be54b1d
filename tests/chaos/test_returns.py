"""Nodes that start and never count again are found, and so is a disk that is taken for an old one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from folkmoot.cli.chaos.caller import Doors
from folkmoot.cli.chaos.returns import COUNTED_S, Returns
from folkmoot.cli.chaos.scene import Scene
from folkmoot.cli.cluster import life
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.cluster.layout import ClusterDirectory, Shape

from tests.checking.local import NAME, READY_S

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes, none of which believes its own disk in the time of a test."""
    made = LocalCluster(ClusterDirectory(tmp_path / NAME))
    settings = (("cluster.proof_wait", 3600.0),)
    life.create(made, NAME, Shape(nodes=3, regions=("eu", "us", "ap"), tls=False, settings=settings))
    try:
        life.up(made, READY_S)
        yield made
    finally:
        made.down()


async def watch(cluster: LocalCluster, counted_s: float) -> Returns:
    """Watch us-1 as a run does that has just started it."""
    described = await trio.to_thread.run_sync(cluster.ask, "status")
    scene = Scene(1, 1.0, nodes={node["name"]: node["state"] for node in described["nodes"]})
    async with trio.open_nursery() as links:
        returns = Returns(Doors(described, scene), scene, links, counted_s)
        await returns.await_counted("us-1", trio.current_time())
        links.cancel_scope.cancel()
    return returns


def test_who_is_never_vouched_for_is_complained_of_and_who_is_is_not(cluster: LocalCluster) -> None:
    cluster.ask("kill", ["us-1", "ap-1"])
    cluster.ask("start", ["us-1"])
    alone = trio.run(watch, cluster, 0.5)
    assert alone.took_s == [] and len(alone.complaints) == 1
    assert alone.complaints[0].startswith("us-1 does not count") and "it is unproven" in alone.complaints[0]
    cluster.ask("start", ["ap-1"])
    together = trio.run(watch, cluster, COUNTED_S)
    assert len(together.took_s) == 1 and together.complaints == []


def test_a_disk_that_is_taken_for_an_old_one_is_complained_of(cluster: LocalCluster, tmp_path: Path) -> None:
    store, copy = cluster.directory.data("us-1").path / "store", tmp_path / "copy"
    cluster.ask("kill", ["us-1"])
    shutil.copytree(store, copy)
    life.up(cluster, READY_S)
    cluster.ask("kill", ["us-1", "ap-1"])
    shutil.rmtree(store)
    shutil.copytree(copy, store)
    cluster.ask("start", ["us-1"])
    watched = trio.run(watch, cluster, COUNTED_S)
    assert watched.took_s == []
    assert watched.complaints and "us-1 lost nothing and was taken for an old disk" in watched.complaints[0]
