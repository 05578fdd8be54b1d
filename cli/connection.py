"""Which nodes a command talks to, and one conversation with them.

In order: `--node` (with `--ca`, or `--tls off`), `--cluster NAME` (a local cluster), the node whose
configuration `--config` names, and otherwise the only local cluster there is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from folkmoot.cli.config_option import ConfigChoice
from folkmoot.cli.errors import OperatorError, Unreachable

if TYPE_CHECKING:
    from folkmoot.protocol.identity import KeyPair

Command = TypeVar("Command", bound=Callable[..., Any])

ASK_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Target:
    """Nodes of one cluster.

    Args:
        addresses: clients' ports, `host:port`, tried in order.
        ca: the cluster's CA certificate; None with TLS off.
    """

    addresses: tuple[str, ...]
    ca: Path | None


def target_options(command: Command) -> Command:
    """Give a command `--node`, `--ca`, `--tls`, `--cluster` and `--config`, and pass it a `target`."""

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
        if nodes:
            target = _given(nodes, ca, tls)
        elif cluster is not None:
            target = local_target(cluster)
        elif config_file is not None:
            target = _configured(config_file)
        else:
            target = _only_local()
        return command(*args, target=target, **options)

    return wrapped  # type: ignore[return-value]  # the same command with its `target` filled in


def _given(nodes: tuple[str, ...], ca: Path | None, tls: str) -> Target:
    if tls == "on" and ca is None:
        raise click.UsageError("--node needs --ca FILE, the cluster's CA certificate (or --tls off)")
    return Target(nodes, ca if tls == "on" else None)


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
    return Target(addresses, Path(described["ca"]) if described["ca"] else None)


def _configured(file: Path) -> Target:
    from folkmoot.node.data_directory import DataDirectory

    config = ConfigChoice(file, ()).load().config
    ready = DataDirectory(config.node.data).previous()
    if ready is None:
        raise Unreachable(f"{config.node.name} has never run", hint=f"folkmoot start --config {file}")
    return Target((ready.address,), config.tls.ca if config.tls.mode == "mutual" else None)


def _only_local() -> Target:
    from folkmoot.cli.cluster.control import local_clusters

    running = [cluster.manifest.name for cluster in local_clusters() if cluster.running()]
    if len(running) == 1:
        return local_target(running[0])
    if running:
        raise OperatorError(
            f"several local clusters run ({', '.join(running)}); say which", hint=f"--cluster {running[0]}"
        )
    raise Unreachable(
        "no node was named and no local cluster runs",
        hint="folkmoot cluster up, or --node HOST:PORT --ca FILE",
    )


def ask(
    target: Target,
    method: str,
    params: Mapping[str, Any],
    *,
    operator: KeyPair | None = None,
    timeout_s: float = ASK_S,
) -> Any:
    """Ask the first node that answers.

    Args:
        target: who may be asked.
        method, params: what.
        operator: whose key to prove first.
        timeout_s: for each node.

    Raises:
        Unreachable: no node answered.
        WireError: the node's own error.
    """
    import trio
    from folkmoot.cli.session import ask_one

    silent: list[str] = []
    for address in target.addresses:
        try:
            return trio.run(ask_one, address, target.ca, method, params, operator, timeout_s)
        except Unreachable as error:
            silent.append(str(error))
    raise Unreachable("\n".join(silent), hint="folkmoot cluster ls")
