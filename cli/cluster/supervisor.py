"""The process that owns a local cluster's nodes, and does what commands ask of it over a Unix socket.

It outlives the command that started it (its own session, nothing inherited), holds a lock so that there is
one a cluster, and its nodes die with it. When the cluster's directory disappears it ends, so that a
forgotten test leaves nothing behind. A request is one line of JSON, `{"op": …}`, and so is its answer,
`{"result": …}` or `{"error": sentence}`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import trio
from folkmoot.cli.cluster.control_path import short_path
from folkmoot.cli.cluster.layout import ClusterDirectory
from folkmoot.cli.cluster.process import NodeProcess
from folkmoot.protocol.errors import FolkmootError

READY_S: Final = 30.0
REQUEST_BYTES_MAX: Final = 64 * 1024
SEEDS_MAX: Final = 3
DIRECTORY_CHECK_S: Final = 1.0
LISTENING: Final = b"listening\n"


class Supervisor:
    """The nodes of one cluster and the operations on them.

    Args:
        directory: the cluster's, laid out.
    """

    def __init__(self, directory: ClusterDirectory) -> None:
        self.directory = directory
        self.manifest = directory.manifest()
        self.nodes = {
            entry.name: NodeProcess(entry, directory, self.manifest.program) for entry in self.manifest.nodes
        }
        self._down = trio.Event()
        self._changing = trio.Lock()  # two commands at once take turns in starting and stopping
        self._operations: dict[str, Callable[[Sequence[NodeProcess], float], Awaitable[None]]] = {
            "status": self._status,
            "start": self._start,
            "restart": self._restart,
            "kill": self._kill,
            "pause": self._pause,
            "resume": self._resume,
            "down": self._stop_all,
        }

    async def run(self, listener: trio.SocketListener, on_listening: Callable[[], None]) -> None:
        """Serve requests until one says `down`.

        Args:
            listener: the control socket.
            on_listening: called once requests are taken.
        """
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(trio.serve_listeners, self._converse, [listener])
            self._nursery.start_soon(self._leave_with_directory)
            self._nursery.start_soon(self._leave_on_signal)
            on_listening()
            await self._down.wait()
            self._nursery.cancel_scope.cancel()

    # Requests.

    async def _converse(self, stream: trio.SocketStream) -> None:
        received = b""
        with contextlib.suppress(trio.BrokenResourceError):
            while b"\n" not in received and len(received) <= REQUEST_BYTES_MAX:
                data = await stream.receive_some()
                if not data:
                    return
                received += data
            answer, last = await self._answer(received.partition(b"\n")[0])
            await stream.send_all(json.dumps(answer).encode() + b"\n")
            if last:
                self._down.set()

    async def _answer(self, line: bytes) -> tuple[dict[str, Any], bool]:
        """The answer to one request, and whether the supervisor ends with it."""
        try:
            request = json.loads(line)
            name, words = request["op"], [str(word) for word in request.get("nodes", ["all"])]
            operation, deadline_s = self._operations[name], float(request.get("deadline_s", READY_S))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"error": f"not a request: {error!r}"}, False
        problems: list[str] = []
        try:
            chosen = [self.nodes[entry.name] for entry in self.manifest.find(words)]
            await operation(chosen, deadline_s)
        except* FolkmootError as group:
            problems = [str(error) for error in _leaves(group)]
        if problems:
            return {"error": "\n".join(problems)}, False
        return {"result": self._describe()}, name == "down"

    def _describe(self) -> dict[str, Any]:
        return {
            "name": self.manifest.name,
            "ca": self.manifest.ca,
            "directory": str(self.directory.path),
            "supervisor": os.getpid(),
            "nodes": [self._describe_node(node) for node in self.nodes.values()],
        }

    def _describe_node(self, node: NodeProcess) -> dict[str, Any]:
        described: dict[str, Any] = {
            "id": node.entry.id,
            "name": node.entry.name,
            "region": node.entry.region,
            "pid": node.pid,
            "address": node.ready.address if node.ready else None,
            "peers": node.ready.peers if node.ready else None,
            "data": str(self.directory.data(node.entry.name).path),
            "state": node.state,
        }
        return described if node.exit_code is None else described | {"exit_code": node.exit_code}

    # Operations.

    async def _status(self, nodes: Sequence[NodeProcess], deadline_s: float) -> None:
        """Nothing to do: every answer describes the cluster."""

    async def _start(self, nodes: Sequence[NodeProcess], deadline_s: float) -> None:
        """Start those that do not run: when none runs the first goes ahead, as the seed of the others."""
        async with self._changing:
            waiting = [node for node in nodes if node.pid is None]
            if waiting and not self._seeds():
                await self._start_one(waiting.pop(0), deadline_s)
            await self._each(waiting, lambda node: self._start_one(node, deadline_s))

    async def _start_one(self, node: NodeProcess, deadline_s: float) -> None:
        node.spawn(self._seeds())
        self._nursery.start_soon(node.watch)
        await node.wait_ready(deadline_s)

    async def _restart(self, nodes: Sequence[NodeProcess], deadline_s: float) -> None:
        async with self._changing:
            await self._each(nodes, NodeProcess.stop)
        await self._start(nodes, deadline_s)

    async def _kill(self, nodes: Sequence[NodeProcess], deadline_s: float) -> None:
        async with self._changing:
            await self._each(nodes, NodeProcess.kill)

    async def _pause(self, nodes: Sequence[NodeProcess], deadline_s: float) -> None:
        for node in nodes:
            node.pause()

    async def _resume(self, nodes: Sequence[NodeProcess], deadline_s: float) -> None:
        for node in nodes:
            node.resume()

    async def _stop_all(self, nodes: Sequence[NodeProcess], deadline_s: float) -> None:
        async with self._changing:
            await self._each(list(self.nodes.values()), NodeProcess.stop)

    async def _each(
        self, nodes: Sequence[NodeProcess], operation: Callable[[NodeProcess], Awaitable[None]]
    ) -> None:
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(operation, node)

    def _seeds(self) -> list[str]:
        running = [node.ready.peers for node in self.nodes.values() if node.ready and node.state == "running"]
        return running[:SEEDS_MAX]

    # Ends.

    async def _leave_with_directory(self) -> None:
        # Nobody tells us of a removed directory, so this looks.
        while self.directory.exists:  # noqa: ASYNC110
            await trio.sleep(DIRECTORY_CHECK_S)
        self._down.set()

    async def _leave_on_signal(self) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async for _number in signals:
                await self._stop_all((), READY_S)
                self._down.set()


def _leaves(group: BaseExceptionGroup[FolkmootError]) -> Iterator[FolkmootError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def _serve(cluster: ClusterDirectory, control: socket.socket) -> None:
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(control))
    await Supervisor(cluster).run(listener, _announce)


def _bind_control(cluster: ClusterDirectory) -> socket.socket:
    """The control socket; one that a killed supervisor left is replaced (its lock is free, so it is gone)."""
    with short_path(cluster.path) as path:
        Path(path).unlink(missing_ok=True)
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        control.bind(path)
        control.listen()
        return control


def main(directory: Path) -> None:
    """Supervise the cluster in `directory`; standard output says once that requests are taken.

    Args:
        directory: of a cluster that is laid out.
    """
    if os.fork() != 0:
        os._exit(0)  # so that the command that started us has no child left to wait for
    os.umask(0o077)
    cluster = ClusterDirectory(directory)
    # Never closed: the kernel frees the lock when the whole process is gone, which is what others wait for.
    lock = os.open(cluster.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another supervisor runs the cluster in {directory}")
    os.truncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    trio.run(_serve, cluster, _bind_control(cluster))


def _announce() -> None:
    os.write(sys.stdout.fileno(), LISTENING)
    # Whoever waited for that line may be gone before anything else is printed.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
