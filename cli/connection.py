"""Which nodes a command talks to, and one conversation with them.

In order: `--node` (with `--ca`, or `--tls off`), `--cluster NAME` (a local cluster), the node whose
configuration `--config` names, and otherwise the only local cluster there is.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from folkmoot.cli.config_option import ConfigChoice
from folkmoot.cli.errors import Unreachable

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client
    from folkmoot.protocol.identity import KeyPair

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")

PATIENCE_S: Final = 15.0
ATTEMPTS: Final = 4


@dataclass(frozen=True, slots=True)
class Target:
    """Nodes of one cluster.

    Args:
        addresses: clients' ports, `host:port`, tried in order.
        ca: the cluster's CA certificate; None with TLS off.
        directory: of the local cluster they belong to, if they do.
        hint: what to try when none of them answers.
    """

    addresses: tuple[str, ...]
    ca: Path | None
    directory: Path | None = None
    hint: str = "folkmoot cluster ls"


def target_options(command: Command) -> Command:
    """Give a command `--node`, `--ca`, `--tls`, `--cluster` and `--config`, and pass it a `target`."""

    @functools.wraps(command)
    def found(*args: Any, find_target: Callable[[], Target], **options: Any) -> Any:
        return command(*args, target=find_target(), **options)

    return lazy_target_options(found)  # type: ignore[return-value]  # the same command with its `target` filled in


def lazy_target_options(command: Command) -> Command:
    """`target_options` for a command that may need no cluster: it is passed `find_target`, to be called."""

    @click.option(
        "--node", "nodes", multiple=True, envvar="FOLKMOOT_NODE", metavar="HOST:PORT", help="A clients' port."
    )
    @click.option(
        "--ca",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        envvar="FOLKMOOT_CA",
        help="The cluster's CA certificate.",
    )
    @click.option("--tls", type=click.Choice(["on", "off"]), default="on", help="Whether --node speaks TLS.")
    @click.option("--cluster", metavar="NAME", help="A local cluster (see `folkmoot cluster ls`).")
    @click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="The configuration of a node on this machine.",
    )
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        nodes: tuple[str, ...],
        ca: Path | None,
        tls: str,
        cluster: str | None,
        config_file: Path | None,
        **options: Any,
    ) -> Any:
        def find_target() -> Target:
            if nodes:
                return _given(nodes, ca, tls)
            if cluster is not None:
                return local_target(cluster)
            return _only_local() if config_file is None else _configured(config_file)

        return command(*args, find_target=find_target, **options)

    return wrapped  # type: ignore[return-value]  # the same command with its `find_target` filled in


def _given(nodes: tuple[str, ...], ca: Path | None, tls: str) -> Target:
    if tls == "on" and ca is None:
        raise click.UsageError("--node needs --ca FILE, the cluster's CA certificate (or --tls off)")
    hint = "folkmoot doctor, on that machine; the address is to be the node's clients' port"
    return Target(nodes, ca if tls == "on" else None, hint=hint)


def local_target(name: str) -> Target:
    """The running nodes of a local cluster.

    Raises:
        OperatorError: there is none, or none of its nodes runs.
    """
    # Imported here because commands that name a node have no use for local clusters.
    from folkmoot.cli.cluster.control import LocalCluster

    described = LocalCluster.find(name).ask("status")
    return target_of(described)


def target_of(described: dict[str, Any]) -> Target:
    """The running nodes in a local cluster's description.

    Raises:
        Unreachable: none runs.
    """
    addresses = tuple(node["address"] for node in described["nodes"] if node["state"] == "running")
    if not addresses:
        raise Unreachable(
            f"no node of cluster {described['name']} runs", hint=f"folkmoot cluster up {described['name']}"
        )
    ca = Path(described["ca"]) if described["ca"] else None
    return Target(addresses, ca, Path(described["directory"]))


def _configured(file: Path) -> Target:
    from folkmoot.node.data_directory import DataDirectory

    config = ConfigChoice(file, ()).load().config
    ready = DataDirectory(config.node.data).previous()
    start = f"folkmoot start --config {file}"
    if ready is None:
        raise Unreachable(f"{config.node.name} has never run", hint=start)
    return Target((ready.address,), config.tls.ca if config.tls.mode == "mutual" else None, hint=start)


def _only_local() -> Target:
    from folkmoot.cli.cluster.control import local_clusters, several_run

    running = [cluster.manifest.name for cluster in local_clusters() if cluster.running()]
    if len(running) == 1:
        return local_target(running[0])
    if running:
        raise several_run(running)
    raise Unreachable(
        "no node was named and no local cluster runs",
        hint="folkmoot cluster up, or --node HOST:PORT --ca FILE",
    )


def converse(
    target: Target,
    talk: Callable[[Client], Awaitable[Result]],
    *,
    operator: KeyPair | None = None,
    patience_s: float = PATIENCE_S,
) -> Result:
    """Connect to one of the nodes, talk to it, and hang up.

    Args:
        target: who may be talked to.
        talk: what to say, given the client.
        operator: whose key to prove first.
        patience_s: for connecting, and for each call.

    Raises:
        Unreachable: no node answered.
        FolkmootError: from the node, or the CA file cannot be used.
    """
    # Imported here so that a command's help need not wait for the client.
    import trio
    from folkmoot.protocol import client as clients

    async def connect_and_talk() -> Result:
        settings = clients.ClientSettings(deadline_s=patience_s, attempts=ATTEMPTS, name="folkmoot-cli/1")
        async with clients.connect(
            target.addresses, ca=target.ca, tls=target.ca is not None, settings=settings
        ) as client:
            if operator is not None:
                await client.auth(operator)
            return await talk(client)

    try:
        return trio.run(connect_and_talk)
    except (clients.Unreachable, clients.LinkBroken) as error:
        raise Unreachable(str(error), hint=target.hint) from error


def ask(
    target: Target,
    method: str,
    params: dict[str, Any] | None = None,
    *,
    operator: KeyPair | None = None,
    patience_s: float = PATIENCE_S,
) -> Any:
    """One question; see `converse`."""
    return converse(
        target, lambda client: client.call(method, params or {}), operator=operator, patience_s=patience_s
    )
