"""A node as a process: its signals and its `ready.json`. What runs inside is `node.daemon`."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final

import msgspec
import trio
from folkmoot.cli import logs, service_manager
from folkmoot.cli.config_option import ConfigChoice
from folkmoot.cli.output import Output
from folkmoot.cli.preflight import bind_trial, check_surroundings
from folkmoot.node.configuration.reading import with_id
from folkmoot.node.configuration.settings import LogSection, NodeConfig
from folkmoot.node.configuration.values import read_address
from folkmoot.node.daemon import RunningNode, serve
from folkmoot.node.data_directory import DataDirectory, DataDirectoryError, Ready
from folkmoot.node.system import machine_environment
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.errors import FolkmootError

log = logging.getLogger(__name__)

DRAIN_S: Final = 30.0


def run(choice: ConfigChoice, output: Output) -> None:
    """Run a node until a signal ends it.

    Args:
        choice: where its configuration is; read again on SIGHUP.
        output: where the ready line goes.

    Raises:
        ConfigError: it cannot start like this; everything wrong is reported.
        FolkmootError: from the node.
    """
    loaded = choice.load()
    config = loaded.config
    with logs.to_standard_error(config.log) as choose_log:
        check_surroundings(loaded)
        trio.run(_Process(choice, output, choose_log).run, prefer_previous_ports(_with_id(config)))


def _with_id(config: NodeConfig) -> NodeConfig:
    return config if config.node.id else with_id(config, DataDirectory(config.node.data).node_id())


class _Process:
    """The running node and the signals that steer it, from before it is ready to its end."""

    def __init__(
        self, choice: ConfigChoice, output: Output, choose_log: Callable[[LogSection], None]
    ) -> None:
        self._choice = choice
        self._output = output
        self._choose_log = choose_log
        self._node: RunningNode | None = None

    async def run(self, config: NodeConfig) -> None:
        try:
            await self._run(config)
        except Exception:
            if self._node is not None:
                # Before it was ready a sentence is enough; what ends a running node is worth its traceback.
                log.exception("the node ended because a part of it failed")
            raise

    async def _run(self, config: NodeConfig) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey, signals, nursery.cancel_scope)
                self._node = await nursery.start(partial(serve, config, machine_environment(config)))
                # What is alive now stays so; looking through it again and again stops the loop for 20 ms.
                gc.collect()
                gc.freeze()
                self._tell_ready(DataDirectory(config.node.data), self._node.ready)
                nursery.start_soon(service_manager.feed_watchdog)

    def _tell_ready(self, data: DataDirectory, ready: Ready) -> None:
        try:
            data.write_ready(ready)
        except DataDirectoryError as error:
            # Whoever looks there for the node misses it, but its clients have no use for that file.
            log.warning("this node serves, but does not say where: %s", error)
        self._output.result(
            msgspec.to_builtins(ready),
            f"{ready.name} listens for clients on {ready.address}, peers on {ready.peers}",
        )
        sys.stdout.flush()
        service_manager.notify("READY=1", f"STATUS=clients at {ready.address}, peers at {ready.peers}")

    async def _obey(self, signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
        """Reload at SIGHUP; drain and end at the first other signal, end at once at the next."""
        async for number in signals:
            if number != signal.SIGHUP:
                break
            await self._reload()
        service_manager.notify("STOPPING=1")
        if self._node is not None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_end_at_once, signals)
                with trio.move_on_after(DRAIN_S):
                    await self._node.drain()
                nursery.cancel_scope.cancel()
        scope.cancel()

    async def _reload(self) -> None:
        """Apply a changed configuration whole, or say why not and keep the old one."""
        if self._node is None:
            return
        service_manager.notify_reloading()
        try:
            config = _with_id(self._choice.load().config)
            await self._node.reload(config)
        except FolkmootError as error:
            log.error("reload refused, nothing changed: %s", error)
        else:
            self._choose_log(config.log)
        service_manager.notify("READY=1")


async def _end_at_once(signals: AsyncIterator[int]) -> None:
    async for number in signals:
        if number != signal.SIGHUP:
            # What is acknowledged is on disk, so leaving here loses nothing.
            os._exit(128 + number)


def prefer_previous_ports(config: NodeConfig) -> NodeConfig:
    """Where the kernel may choose a port, ask for the one of the last run if nobody took it meanwhile.

    Peers and clients that remember a restarted node then find it where it was.
    """
    previous = DataDirectory(config.node.data).previous()
    if previous is None:
        return config
    listen = config.listen
    return msgspec.structs.replace(
        config,
        listen=msgspec.structs.replace(
            listen,
            clients=_settled(listen.clients, previous.address, socket.SOCK_STREAM),
            peers=_settled(listen.peers, previous.peers, socket.SOCK_STREAM),
            datagrams=_settled(
                listen.datagrams or Address(listen.peers.host, 0), previous.datagrams, socket.SOCK_DGRAM
            ),
        ),
    )


def _settled(wanted: Address, previous: str, kind: socket.SocketKind) -> Address:
    if wanted.port != 0:
        return wanted
    with contextlib.suppress(OSError, ValueError):
        candidate = Address(wanted.host, read_address(previous).port)
        bind_trial(candidate, kind)
        return candidate
    return wanted
