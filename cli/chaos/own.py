"""The cluster that a run of chaos makes for itself, and takes away again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import trio
from folkmoot.cli.cluster import life
from folkmoot.cli.cluster.control import LocalCluster, NotRunning
from folkmoot.cli.cluster.layout import Shape
from folkmoot.cli.cluster.supervisor import READY_S

OWN: Final = "chaos"
# The load of one machine must not run into the quotas, which are not what is tried here.
FREE: Final = (
    ("gate.account_rate", 1e6),
    ("gate.account_burst", 1_000_000),
    ("gate.address_rate", 1e6),
    ("gate.address_burst", 1_000_000),
)


def own_shape(nodes: int) -> Shape:
    """So many nodes in three regions."""
    return Shape(nodes=nodes, regions=("eu", "us", "ap"), settings=FREE)


@asynccontextmanager
async def own_cluster(shape: Shape, *, keep: bool) -> AsyncIterator[LocalCluster]:
    """A new running cluster; taken down and deleted at the end unless it is to be kept."""
    name, number = OWN, 1
    while LocalCluster.find(name).directory.path.exists():
        number += 1
        name = f"{OWN}-{number}"
    cluster = LocalCluster.find(name)
    up = False
    try:
        await trio.to_thread.run_sync(partial(life.create, cluster, name, shape))
        await trio.to_thread.run_sync(partial(life.up, cluster, READY_S))
        up = True
        yield cluster
    finally:
        if not (up and keep):
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(partial(remove, cluster))


def remove(cluster: LocalCluster) -> None:
    """Stop a cluster and leave nothing behind."""
    if cluster.directory.exists:
        with suppress(NotRunning):
            cluster.down()
    if cluster.directory.path.exists():
        cluster.directory.delete()
