"""Clients for commands that ask a lot: kept open, failing over, and the operator's where a key is at hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from folkmoot.cli.cluster.layout import ClusterDirectory, state_home
from folkmoot.cli.connection import Target
from folkmoot.cli.errors import Unreachable
from folkmoot.node.data_directory import read_key
from folkmoot.protocol.client import Client, ClientSettings, connect
from folkmoot.protocol.client import Unreachable as NoNodeAnswers
from folkmoot.protocol.client.link import OnNotification
from folkmoot.protocol.identity import KeyPair


def operator_of(target: Target, given: Path | None) -> KeyPair | None:
    """The operator's key: the one in the file given, or a local cluster's own; None when there is neither.

    Raises:
        DataDirectoryError: the file is no key, or readable by others.
    """
    if given is not None:
        return read_key(given)
    return None if target.directory is None else ClusterDirectory(target.directory).operator()


def journals_of(target: Target, cluster: str) -> Path:
    """Where the journals of a cluster's acknowledgements are kept on this machine.

    Args:
        target: a local cluster keeps them in its own directory, so that they end with it.
        cluster: the cluster's id.
    """
    if target.directory is not None:
        return target.directory / "journals"
    return state_home().parent / "journals" / cluster


@asynccontextmanager
async def open_client(
    target: Target,
    operator: KeyPair | None = None,
    settings: ClientSettings | None = None,
    on_notification: OnNotification | None = None,
) -> AsyncIterator[Client]:
    """A client that carries no token, and has proven to be the operator's if there is one.

    Raises:
        Unreachable: no node answered.
        WireError: a node does not believe the operator's key.
    """
    settings = settings or ClientSettings(name="folkmoot-cli/1", carry_token=False)
    try:
        async with connect(
            target.addresses,
            ca=target.ca,
            tls=target.ca is not None,
            settings=settings,
            on_notification=on_notification,
        ) as client:
            if operator is not None:
                await client.auth(operator)
            yield client
    except NoNodeAnswers as error:
        raise Unreachable(str(error), hint=target.hint) from error
