"""Local clusters of real nodes for tests, and `folkmoot` as people run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from folkmoot.cli.cluster import life
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.cluster.layout import ClusterDirectory, Shape
from folkmoot.protocol import codec
from folkmoot.protocol.key import lane_of
from folkmoot.protocol.limits import LANES
from folkmoot.storage.interface import Table
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.rows import cell_row, row_cell, seal

NAME = "try"
READY_S = 30.0
SCRUBBED = b"scrubbed"
PROGRAM = (sys.executable, "-m", "folkmoot.cli")


class Ran(NamedTuple):
    """What one command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value


class Home:
    """A person's home on this machine, in which commands run.

    Args:
        path: an empty directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clusters = path / "folkmoot" / "clusters"
        self.environment = {
            **os.environ,
            "HOME": str(path),
            "XDG_STATE_HOME": str(path),
            "XDG_DATA_HOME": str(path / "data"),
        }

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start `folkmoot WORDS…`."""
        return subprocess.Popen(
            [*PROGRAM, *map(str, words)],
            env=self.environment,
            cwd=self.path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *words: str | Path) -> Ran:
        """Run `folkmoot WORDS…` to its end."""
        process = self.start(*words)
        out, err = process.communicate()
        return Ran(process.returncode, out, err)

    def processes(self) -> list[str]:
        """The command lines of processes that work in this home."""
        found = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.clusters) in line:
                found.append(line)
        return found

    @contextmanager
    def cluster(self, nodes: int, *, tls: bool = False, **settings: Any) -> Iterator[LocalCluster]:
        """A running cluster called `try`, plain TCP by default, a replica of everything on every node.

        Settings are named `section__key`.
        """
        pairs = tuple((name.replace("__", "."), value) for name, value in settings.items())
        cluster = LocalCluster(ClusterDirectory(self.clusters / NAME))
        life.create(
            cluster, NAME, Shape(nodes=nodes, regions=("eu", "us", "ap")[:nodes], tls=tls, settings=pairs)
        )
        try:
            life.up(cluster, READY_S)
            yield cluster
        finally:
            cluster.down()


def interrupt(process: subprocess.Popen[str]) -> Ran:
    """Press Ctrl-C."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    return Ran(process.returncode, out, err)


@contextmanager
def rewritten(cluster: LocalCluster, node: str) -> Iterator[dict[bytes, bytes]]:
    """The cells in the store of a stopped node, to be changed behind its back.

    Only the cells' own rows change: block sums, by which repair tells what differs, stay as they were, so
    that no repair can mend what is planted here, and the node's self-check begins elsewhere.
    """
    engine = LmdbEngine(cluster.directory.data(node).path, cap_bytes=2**30)
    try:
        with engine.begin() as reading:
            before = {key: row_cell(key, row) for key, row in reading.scan(Table.CELLS)}
        after = dict(before)
        yield after
        with engine.begin(write=True) as writing:
            changed = {key for key in before | after if before.get(key) != after.get(key)}
            for key in changed:
                if key in after:
                    writing.put(Table.CELLS, key, cell_row(key, 1, after[key]))
                else:
                    writing.delete(Table.CELLS, key)
            apart = set(range(LANES)) - {lane_of(key) for key in changed}
            writing.put(Table.META, SCRUBBED, seal(SCRUBBED, codec.pack([min(apart, default=0), 0])))
            writing.commit()
    finally:
        engine.close()
