"""The cluster that a run of chaos makes for itself, and takes away again unless it failed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import trio
from folkmoot.cli.cluster import life
from folkmoot.cli.cluster.control import LocalCluster, NotRunning
from folkmoot.cli.cluster.layout import Shape
from folkmoot.cli.cluster.supervisor import READY_S

OWN: Final = "chaos"
NODES: Final = 4
"""One region of three has two of these, so that either of the two can be drained."""
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


@dataclass(slots=True)
class Own:
    """A cluster of a run's own.

    Args:
        cluster: running.
        failed: whether its logs and stores are evidence. To be set; an error that ends the run sets it.
    """

    cluster: LocalCluster
    failed: bool = False


@asynccontextmanager
async def own_cluster(shape: Shape, *, keep: bool) -> AsyncIterator[Own]:
    """A new running cluster.

    At the end it is taken down and deleted. It runs on when it is to be kept, and when it failed it is taken
    down, and stays on the disk.
    """
    name, number = OWN, 1
    while LocalCluster.find(name).directory.path.exists():
        number += 1
        name = f"{OWN}-{number}"
    cluster = LocalCluster.find(name)
    own = Own(cluster)
    up = False
    try:
        await trio.to_thread.run_sync(partial(life.create, cluster, name, shape))
        await trio.to_thread.run_sync(partial(life.up, cluster, READY_S))
        up = True
        yield own
    except Exception:
        own.failed = up
        raise
    finally:
        if not (up and keep):
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(partial(stop if own.failed else remove, cluster))


def stop(cluster: LocalCluster) -> None:
    """Stop a cluster, if it runs."""
    if cluster.directory.exists:
        with suppress(NotRunning):
            cluster.down()


def remove(cluster: LocalCluster) -> None:
    """Stop a cluster and leave nothing behind."""
    stop(cluster)
    if cluster.directory.path.exists():
        cluster.directory.delete()
