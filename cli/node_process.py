"""A node as a process: its signals and its `ready.json`. What runs inside is `node.daemon`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

import msgspec
import trio
from folkmoot.cli.config_option import ConfigChoice
from folkmoot.cli.output import Output
from folkmoot.cli.preflight import bind_trial, check_surroundings
from folkmoot.node.config import ConfigError, with_id
from folkmoot.node.config_values import read_address
from folkmoot.node.daemon import RunningNode, serve
from folkmoot.node.data_directory import DataDirectory
from folkmoot.node.settings import NodeConfig
from folkmoot.node.system import machine_environment
from folkmoot.node.transport.interface import Address

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
    config = _load(choice)
    check_surroundings(config)
    trio.run(_run, choice, prefer_previous_ports(config), output)


def _load(choice: ConfigChoice) -> NodeConfig:
    config = choice.load().config
    return config if config.node.id else with_id(config, DataDirectory(config.node.data).node_id())


async def _run(choice: ConfigChoice, config: NodeConfig, output: Output) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            node: RunningNode = await nursery.start(partial(serve, config, machine_environment(config)))
            DataDirectory(config.node.data).write_ready(node.ready)
            ready = msgspec.to_builtins(node.ready)
            output.result(ready, f"{node.ready.name} listens for clients on {node.ready.address}")
            sys.stdout.flush()
            nursery.start_soon(_obey, signals, choice, node, nursery.cancel_scope)


async def _obey(
    signals: AsyncIterator[int], choice: ConfigChoice, node: RunningNode, scope: trio.CancelScope
) -> None:
    """Turn signals into reloads and, at the first that ends, into a drain; the next one ends at once."""
    async for number in signals:
        if number == signal.SIGHUP:
            await _reload(choice, node)
            continue
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_second_signal, signals)
            with trio.move_on_after(DRAIN_S):
                await node.drain()
            nursery.cancel_scope.cancel()
        scope.cancel()
        return


async def _second_signal(signals: AsyncIterator[int]) -> None:
    async for number in signals:
        if number != signal.SIGHUP:
            # What is acknowledged is on disk, so leaving here loses nothing.
            os._exit(128 + number)


async def _reload(choice: ConfigChoice, node: RunningNode) -> None:
    """Apply a changed configuration whole, or say why not and keep the old one."""
    try:
        config = _load(choice)
    except ConfigError as error:
        print(f"folkmoot: reload refused, nothing changed:\n{error}", file=sys.stderr, flush=True)
    else:
        await node.reload(config)


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
