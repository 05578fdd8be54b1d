"""One node of a local cluster as its supervisor sees it: started, watched, stopped.

A child is told to die with its parent. The kernel takes the *thread* that created a child for its parent,
and trio's own `open_process` creates children in a worker thread that ends soon after; so children are
created here, on the supervisor's main thread, which a spawn blocks for about a millisecond.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import msgspec
import trio
from folkmoot.cli.cluster.layout import ClusterDirectory, NodeEntry
from folkmoot.node.data_directory import Ready
from folkmoot.protocol.errors import FolkmootError

State = Literal["stopped", "starting", "running", "paused"]

LOG_TAIL_LINES: Final = 12
LINE_BYTES_MAX: Final = 64 * 1024
STOP_S: Final = 10.0
KILL_S: Final = 5.0


class NodeFailed(FolkmootError):
    """A node did not start, or did not stop; its last log lines are in the sentence."""


@dataclass(slots=True)
class NodeProcess:
    """One node: its place in the cluster and, while it runs, its process.

    Args:
        entry: who it is.
        directory: the cluster's.
        program: what runs a node.
    """

    entry: NodeEntry
    directory: ClusterDirectory
    program: Sequence[str]
    state: State = "stopped"
    ready: Ready | None = None
    exit_code: int | None = None
    _process: subprocess.Popen[bytes] | None = None
    _changed: trio.Event = field(default_factory=trio.Event)

    @property
    def pid(self) -> int | None:
        """The process id while there is a process."""
        return None if self._process is None else self._process.pid

    def spawn(self, seeds: Sequence[str]) -> None:
        """Create the process; `watch` must be running from now on.

        Args:
            seeds: peers' addresses to ask first.

        Raises:
            NodeFailed: the system refused.
        """
        assert self._process is None, "one process a node"
        command = [*self.program, "start", "--json", "--die-with-parent", str(os.getpid())]
        command += ["--config", str(self.directory.config_file(self.entry.name))]
        for seed in seeds:
            command += ["--seed", seed]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("FOLKMOOT_")}
        try:
            with self._log_file.open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    cwd=self.directory.path,
                )
        except OSError as error:
            raise NodeFailed(f"{self.entry.name} cannot be started: {error}") from error
        self.ready, self.exit_code = None, None
        self._become("starting")

    async def watch(self) -> None:
        """Follow the process from its first line, which says that it listens, to its end."""
        process = self._process
        assert process is not None and process.stdout is not None
        async with trio.lowlevel.FdStream(os.dup(process.stdout.fileno())) as stdout:
            process.stdout.close()
            await self._read_ready(stdout)
        await _wait_end(process.pid)
        self.exit_code = process.wait()
        self._process = None
        self._become("stopped")

    async def _read_ready(self, stdout: trio.lowlevel.FdStream) -> None:
        line = b""
        while data := await stdout.receive_some():
            if self.ready is not None or len(line) > LINE_BYTES_MAX:
                continue  # nothing else is expected; draining keeps the node from blocking on a full pipe
            line += data
            if b"\n" in line:
                try:
                    self.ready = msgspec.json.decode(line.partition(b"\n")[0], type=Ready)
                except msgspec.MsgspecError:
                    line = b" " * (LINE_BYTES_MAX + 1)  # not a node: the deadline of `wait_ready` says so
                else:
                    self._become("running")

    async def wait_ready(self, deadline_s: float) -> None:
        """Wait until the node listens.

        Raises:
            NodeFailed: it ended, or did not get there in time.
        """
        with trio.move_on_after(deadline_s):
            while self.state == "starting":
                await self._changed.wait()
        if self.state == "starting":
            raise NodeFailed(self._with_log(f"{self.entry.name} did not listen within {deadline_s:g} s"))
        if self.state == "stopped":
            raise NodeFailed(self._with_log(f"{self.entry.name} ended with exit code {self.exit_code}"))

    async def stop(self) -> None:
        """Ask it to end; kill it if it has not within 10 s."""
        if self.state == "paused":
            self.resume()
        self._send(signal.SIGTERM)
        with trio.move_on_after(STOP_S):
            await self.wait_stopped()
        if self._process is not None:
            await self.kill()

    async def kill(self) -> None:
        """End it at once.

        Raises:
            NodeFailed: even so it did not end.
        """
        self._send(signal.SIGKILL)
        with trio.move_on_after(KILL_S):
            await self.wait_stopped()
        if self._process is not None:
            raise NodeFailed(f"{self.entry.name} (process {self.pid}) survived SIGKILL for {KILL_S:g} s")

    async def wait_stopped(self) -> None:
        """Wait until there is no process."""
        while self._process is not None:
            await self._changed.wait()

    def pause(self) -> None:
        """Freeze it: it keeps its ports and answers nothing."""
        if self.state == "running":
            self._send(signal.SIGSTOP)
            self._become("paused")

    def resume(self) -> None:
        """Let it go on."""
        if self.state == "paused":
            self._send(signal.SIGCONT)
            self._become("running")

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _become(self, state: State) -> None:
        self.state = state
        self._changed.set()
        self._changed = trio.Event()

    @property
    def _log_file(self) -> Path:
        return self.directory.log_file(self.entry.name)

    def _with_log(self, sentence: str) -> str:
        lines = tail(self._log_file, LOG_TAIL_LINES)
        return "\n".join([f"{sentence}; the end of {self._log_file}:", *lines] if lines else [sentence])


async def _wait_end(pid: int) -> None:
    descriptor = os.pidfd_open(pid)
    try:
        await trio.lowlevel.wait_readable(descriptor)
    finally:
        os.close(descriptor)


def tail(file: Path, lines: int) -> list[str]:
    """The last lines of a file; none when it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        return []
