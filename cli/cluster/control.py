"""Local clusters from the outside: lay one out, start its supervisor, ask things of it.

Blocking on purpose: it is used by commands, fixtures and scripts, where nothing else waits.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from folkmoot.cli.cluster.control_path import short_path
from folkmoot.cli.cluster.layout import LOCAL, PROGRAM, ClusterDirectory, Manifest, Shape, state_home
from folkmoot.cli.cluster.process import LOG_TAIL_LINES, tail
from folkmoot.cli.cluster.supervisor import LISTENING, READY_S
from folkmoot.cli.errors import OperatorError

SUPERVISOR_S: Final = 15.0
POLL_S: Final = 0.01
ANSWER_MARGIN_S: Final = 30.0
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024


class NotRunning(OperatorError):
    """The cluster has no supervisor, so none of its nodes runs."""


class ClusterFailed(OperatorError):
    """The supervisor could not do what was asked; its sentence has the nodes' last log lines."""


class LocalCluster:
    """A handle on one local cluster, running or not.

    Args:
        directory: where it is, or is to be.
    """

    def __init__(self, directory: ClusterDirectory) -> None:
        self.directory = directory

    @classmethod
    def find(cls, name: str = LOCAL, directory: Path | None = None) -> LocalCluster:
        """The cluster in `directory`, or the one called `name` in the usual place."""
        return cls(ClusterDirectory((directory or state_home() / name).absolute()))

    @property
    def manifest(self) -> Manifest:
        """What it is made of. Raises OperatorError when it was never laid out."""
        return self.directory.manifest()

    def create(self, name: str, shape: Shape, program: Sequence[str] = PROGRAM) -> None:
        """Lay it out. Nothing runs yet.

        Raises:
            OperatorError: there is one already.
        """
        if self.directory.exists:
            raise OperatorError(f"cluster {name} exists in {self.directory.path}")
        self.directory.create(name, shape, program)

    def up(self, deadline_s: float = READY_S) -> dict[str, Any]:
        """Start the supervisor if it is not there, and all nodes that do not run.

        Args:
            deadline_s: how long each of the two steps (the first node, the others) may take.

        Returns:
            The description of the cluster, as every operation does: `{name, ca, directory, supervisor,
            nodes: [{id, name, region, pid, address, peers, data, state}]}`.

        Raises:
            ClusterFailed: a node did not start; those that did keep running.
        """
        with contextlib.suppress(NotRunning):
            return self.ask("start", deadline_s=deadline_s)
        self._start_supervisor()
        return self.ask("start", deadline_s=deadline_s)

    def down(self) -> None:
        """Stop all nodes and the supervisor; nothing happens when it is not running."""
        with contextlib.suppress(NotRunning):
            self.ask("down")
            self._await_end()

    def _await_end(self) -> None:
        """Wait until the supervisor, which holds its lock to its last moment, is gone."""
        deadline = time.monotonic() + SUPERVISOR_S
        with self.directory.lock_file.open("rb") as lock:
            while time.monotonic() < deadline:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                time.sleep(POLL_S)
        raise ClusterFailed(f"the supervisor in {self.directory.path} did not end within {SUPERVISOR_S:g} s")

    def running(self) -> bool:
        """Whether there is a supervisor."""
        try:
            self.ask("status")
        except NotRunning:
            return False
        return True

    def ask(
        self, operation: str, nodes: Iterable[str] = ("all",), deadline_s: float = READY_S
    ) -> dict[str, Any]:
        """Have the supervisor do something: `status`, `start`, `restart`, `kill`, `pause`, `resume`, `down`.

        Args:
            operation: what.
            nodes: node names, regions or `all`.
            deadline_s: for starting nodes; the whole answer may take that twice, and half a minute more.

        Returns:
            The description of the cluster afterwards.

        Raises:
            NotRunning: nobody listens.
            ClusterFailed: it could not be done.
        """
        request = {"op": operation, "nodes": list(nodes), "deadline_s": deadline_s}
        answer = self._exchange(request, 2 * deadline_s + ANSWER_MARGIN_S)
        if "error" in answer:
            raise ClusterFailed(answer["error"], hint=f"folkmoot cluster logs --cluster {self.manifest.name}")
        result: dict[str, Any] = answer["result"]
        return result

    def _exchange(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        name = self.manifest.name
        try:
            with short_path(self.directory.path) as path, socket.socket(socket.AF_UNIX) as control:
                control.settimeout(timeout_s)
                control.connect(path)
                control.sendall(json.dumps(request).encode() + b"\n")
                line = control.makefile("rb").readline(ANSWER_BYTES_MAX)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning(f"cluster {name} is not running", hint=f"folkmoot cluster up {name}") from error
        except OSError as error:
            raise ClusterFailed(f"the supervisor of cluster {name} does not answer: {error}") from error
        if not line.endswith(b"\n"):
            raise ClusterFailed(self._with_log(f"the supervisor of cluster {name} ended while it was asked"))
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start_supervisor(self) -> None:
        command = [sys.executable, "-m", "folkmoot.cli.cluster.supervisor", str(self.directory.path)]
        with self.directory.supervisor_log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                cwd=self.directory.path,
            )
        assert process.stdout is not None
        with process.stdout as stdout:
            readable, _, _ = select.select([stdout], [], [], SUPERVISOR_S)
            said = os.read(stdout.fileno(), len(LISTENING)) if readable else b""
        if said != LISTENING:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if said != LISTENING:
            raise ClusterFailed(self._with_log("the cluster's supervisor did not start"))

    def _with_log(self, sentence: str) -> str:
        return "\n".join([sentence, *tail(self.directory.supervisor_log, LOG_TAIL_LINES)])


def meant_cluster(name: str | None, directory: Path | None = None) -> LocalCluster:
    """The cluster somebody means who may not have said which: the only one that runs, or else the usual one.

    Raises:
        OperatorError: several run, and none of them has the usual name.
    """
    if name is not None or directory is not None:
        return LocalCluster.find(name or LOCAL, directory)
    running = [cluster.manifest.name for cluster in local_clusters() if cluster.running()]
    if len(running) > 1 and LOCAL not in running:
        raise several_run(running)
    return LocalCluster.find(running[0] if len(running) == 1 else LOCAL)


def several_run(names: Sequence[str]) -> OperatorError:
    """The error of a command that could mean any of these local clusters."""
    return OperatorError(
        f"several local clusters run ({', '.join(names)}); say which", hint=f"--cluster {names[0]}"
    )


def local_clusters() -> list[LocalCluster]:
    """All clusters in the usual place, by name."""
    home = state_home()
    paths = sorted(home.iterdir()) if home.is_dir() else []
    return [cluster for path in paths if (cluster := LocalCluster.find(directory=path)).directory.exists]
