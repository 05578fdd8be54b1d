"""Nodes as processes of their own, started by the command, watched and killed by the test."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import trio
from folkmoot.cli.cluster.layout import ClusterDirectory, Shape
from folkmoot.protocol.client.dialing import Dialler, Endpoint
from folkmoot.protocol.client.session import open_session

from tests.node.harness import Client

READY_S = 30.0
END_S = 30.0


class Ended(NamedTuple):
    """How a process that was to fail has ended."""

    code: int
    error: dict[str, Any]
    log: str


class NotReady(AssertionError):
    """A node that was to start did not."""


def lay_out(path: Path, *, nodes: int = 1, tls: bool = False, **settings: Any) -> ClusterDirectory:
    """A cluster's directory, nothing running; settings are named `section__key`."""
    cluster = ClusterDirectory(path)
    pairs = tuple((name.replace("__", "."), value) for name, value in settings.items())
    cluster.create("town", Shape(nodes=nodes, regions=("eu", "us", "ap"), tls=tls, settings=pairs))
    return cluster


def command(config: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "folkmoot.cli", "start", "--json", "--config", str(config), *words]


class Process:
    """One running node.

    Args:
        config: its configuration file.
        words: further words of the command line.
    """

    def __init__(self, config: Path, *words: str, prefix: tuple[str, ...] = ()) -> None:
        self.log_file = config.with_name("test.log")
        with self.log_file.open("ab") as log:
            self.popen = subprocess.Popen(
                [*prefix, *command(config, *words)], stdout=subprocess.PIPE, stderr=log
            )
        self.ready = self._await_ready()
        self.address: str = self.ready["address"]

    def _await_ready(self) -> dict[str, Any]:
        assert self.popen.stdout is not None
        readable, _, _ = select.select([self.popen.stdout], [], [], READY_S)
        line = self.popen.stdout.readline() if readable else b""
        ready: dict[str, Any] = json.loads(line) if line else {}
        if "address" not in ready:
            self.kill()
            raise NotReady(f"the node did not get ready: {ready.get('error', {}).get('message')}\n{self.log}")
        return ready

    @property
    def log(self) -> str:
        """What it has written to standard error, and those before it in this directory."""
        return self.log_file.read_text()

    @property
    def pid(self) -> int:
        return int(self.ready["pid"])

    def memory_bytes(self) -> int:
        """What it holds of memory that is no file's."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"process {self.pid} is gone")

    def send(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the exit code."""
        self.popen.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.popen.wait(END_S)
        assert self.popen.stdout is not None
        self.popen.stdout.close()
        return code

    def kill(self) -> None:
        """kill -9; nothing happens when it has ended."""
        if self.popen.returncode is None:
            self.popen.kill()
            self.wait()


@contextmanager
def node(config: Path, *words: str) -> Iterator[Process]:
    """A node that runs until the end of the block."""
    process = Process(config, *words)
    try:
        yield process
    finally:
        process.kill()


def fails(config: Path, *words: str, prefix: tuple[str, ...] = ()) -> Ended:
    """Start a node that cannot start: it must end by itself, with a typed error."""
    done = subprocess.run(
        [*prefix, *command(config, *words)], capture_output=True, timeout=END_S, check=False
    )
    log = done.stderr.decode()
    assert "Traceback" not in log, log
    assert done.returncode != 0, done.stdout.decode()
    return Ended(done.returncode, json.loads(done.stdout)["error"], log)


@asynccontextmanager
async def client(address: str, ca: Path | None = None) -> AsyncIterator[Client]:
    """A connection to a node that tries nothing twice."""
    async with trio.open_nursery() as nursery:
        yield Client(
            await open_session(nursery, Dialler(ca), Endpoint.parse(address), client="integration/1")
        )
        nursery.cancel_scope.cancel()


@contextmanager
def children_reaped(*processes: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave none of these behind."""
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
