"""What all benchmarks share: the machine's name, medians, presigned posts, and real nodes to measure."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from folkmoot.cli.bench import posts, tally
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.protocol.record import Record

UNLIMITED_QUOTA = (
    "gate.account_rate=1e9",
    "gate.account_burst=1000000000",
    "gate.address_rate=1e9",
    "gate.address_burst=1000000000",
)

COMMAND = (sys.executable, "-m", "folkmoot.cli")


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Args:
        repetitions: of every measurement whose median is reported.
        full: take the minutes that the targets speak of, where a default run takes seconds.
    """

    repetitions: int
    full: bool


@dataclass(frozen=True)
class Node:
    """One measured node.

    Args:
        host, port: its clients' port.
        pid: its process.
        data: its data directory; the log is in it.
    """

    name: str
    id: str
    host: str
    port: int
    pid: int
    data: Path

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class Cluster:
    """A local cluster that runs; iterating gives its nodes.

    Args:
        control: what starts and stops its processes.
        described: the cluster as its supervisor describes it.
    """

    def __init__(self, control: LocalCluster, described: dict[str, Any]) -> None:
        self._control = control
        self.nodes = [_node(each) for each in described["nodes"]]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    @property
    def operator_key_file(self) -> Path:
        """The key of the account that quotas do not slow."""
        return self._control.directory.operator_key_file

    def kill(self, name: str) -> None:
        """End a node's process as kill -9 does."""
        self._control.ask("kill", [name])

    def operate(self, node: Node, *command: str) -> dict[str, Any]:
        """What an operator's command, put to a node, reports.

        Raises:
            CalledProcessError: it failed.
        """
        whom = ("--node", node.address, "--tls", "off", "--operator", str(self.operator_key_file))
        ran = subprocess.run([*COMMAND, *command, *whom, "--json"], stdout=subprocess.PIPE, check=True)
        report: dict[str, Any] = json.loads(ran.stdout)
        return report

    def start_again(self) -> None:
        """Start the nodes that do not run, and return once they listen; their processes are new."""
        self.nodes = [_node(each) for each in self._control.ask("start")["nodes"]]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
    }


def median(values: Sequence[float]) -> float:
    """The median; with its spread it is what a benchmark reports."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    return tally.percentile(sorted(values), share)


def presigned_posts(count: int, authors: int = 1000, seed: int = 1) -> list[Record]:
    """Posts of about 200 bytes, dealt out to authors in turn; equal seeds make the same authors."""
    return posts.presigned_posts(count, authors, Random(seed))


@contextlib.contextmanager
def local_cluster(
    nodes: int, *, settings: Sequence[str] = (), regions: str = "eu,us,ap"
) -> Iterator[Cluster]:
    """A local cluster without TLS, in a directory of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="folkmoot-bench-") as directory:
        command = [*COMMAND, "cluster"]
        where = ["bench", "--dir", str(Path(directory) / "cluster")]
        options = [part for each in (*UNLIMITED_QUOTA, *settings) for part in ("--set", each)]
        up = [*command, "up", *where, "--nodes", str(nodes), "--regions", regions, "--tls", "off", "--json"]
        started = subprocess.run([*up, *options], check=True, stdout=subprocess.PIPE, text=True)
        try:
            yield Cluster(
                LocalCluster.find(directory=Path(directory) / "cluster"), json.loads(started.stdout)
            )
        finally:
            subprocess.run([*command, "down", *where, "--delete"], check=True, capture_output=True)


def _node(told: dict[str, Any]) -> Node:
    host, _, port = told["address"].rpartition(":")
    return Node(told["name"], told["id"], host, int(port), told["pid"], Path(told["data"]))


def resident_bytes(pid: int, field: str = "VmRSS") -> int:
    """A field of /proc/PID/status that is given in kB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


@contextlib.contextmanager
def child(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process of this package, talked to over its pipes; killed at the end if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def say(process: subprocess.Popen[str], line: str) -> None:
    """Send one line to a child."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    """The next line of a child.

    Raises:
        RuntimeError: it ended instead.
    """
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a benchmark's child ended with {process.wait()}")
    return line.strip()


def report_of(module: str, *arguments: str) -> dict[str, Any]:
    """What a child reports, once it was ready and then let go."""
    with child(module, *arguments) as process:
        hear(process)
        say(process, "go")
        report: dict[str, Any] = json.loads(hear(process))
    return report
