"""`folkmoot init`: everything a node needs before it first starts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from folkmoot.cli.config_option import CONFIG_NAME, home
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.joining.new_node import POLICY_NAME, check_document, host_name, new_document, write_policy
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.toml_text import render, render_value
from folkmoot.node.data_directory import DataDirectory, write_private
from folkmoot.protocol.identity import account_to_text


@click.command(
    epilog=examples(
        "folkmoot init --cluster alpha --name one --region eu",
        "folkmoot init --cluster alpha --name two --region us --seed 10.0.0.1:7100 --gossip-ring ring",
        "folkmoot init --directory try --cluster try --tls off",
    )
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="The data directory; the configuration is written into it. [default: the node's home]",
)
@click.option("--cluster", required=True, metavar="ID", help="The cluster to found or to join.")
@click.option("--name", help="The node's name. [default: this host's]")
@click.option("--region", default="local", show_default=True, help="Where the node stands.")
@click.option(
    "--seed", "seeds", multiple=True, metavar="HOST:PORT", help="The peers' port of a node to join."
)
@click.option(
    "--gossip-ring",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The cluster's gossip key ring, to copy. [default: a new one]",
)
@click.option("--clients", default="127.0.0.1:0", show_default=True, help="Where clients connect.")
@click.option("--peers", default="127.0.0.1:0", show_default=True, help="Where other nodes connect.")
@click.option(
    "--tls",
    type=click.Choice(["mutual", "off"]),
    default="mutual",
    show_default=True,
    help="Certificates, or plain connections on loopback.",
)
@json_option
def command(
    directory: Path | None,
    cluster: str,
    name: str | None,
    region: str,
    seeds: tuple[str, ...],
    gossip_ring: Path | None,
    clients: str,
    peers: str,
    tls: str,
    output: Output,
) -> None:
    """Prepare a data directory and a configuration.

    Makes the node's id, its service key and its gossip keys, readable by their owner only, a configuration,
    and the policy that it names: one to begin with, commented. Never overwrites any of them.
    """
    target = (directory or home()).absolute()
    document = new_document(cluster, name or host_name(), region, seeds, clients, peers, tls)
    file = target / CONFIG_NAME
    if file.exists():
        raise OperatorError(
            f"{file} exists; `init` never overwrites one", hint=f"folkmoot config check --config {file}"
        )
    check_document(document)
    data = DataDirectory(target)
    if data.id_file.exists():
        raise OperatorError(f"{target} holds a node without a configuration; `init` never overwrites one")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _all_or_nothing() as made:
        # Before the node: one that is made and has no room for its configuration could not be made again.
        made += [policy] if (policy := write_policy(target)) else []
        write_private(file, render(document))
        made.append(file)
        data.create(random.SystemRandom(), gossip_ring)
    founder = {
        "id": data.node_id(),
        "name": document["node"]["name"],
        "region": region,
        "service_account": account_to_text(data.service_key().account),
    }
    output.result(
        {"config": str(file), "policy": str(target / POLICY_NAME), "data": str(target), **founder},
        _told(file, founder, tls),
    )


@contextmanager
def _all_or_nothing() -> Iterator[list[Path]]:
    """Files that were made are removed again when what follows fails."""
    made: list[Path] = []
    try:
        yield made
    except BaseException:
        for file in made:
            file.unlink(missing_ok=True)
        raise


def _told(file: Path, founder: dict[str, str], tls: str) -> list[str]:
    lines = [f"wrote {file}", f"its policy is {file.with_name(POLICY_NAME)}", f"node id {founder['id']}", ""]
    lines += [
        "As a founding member it is listed in every founder's configuration as",
        "",
        "[[cluster.founders]]",
    ]
    lines += [f"{key} = {render_value(value)}" for key, value in founder.items()]
    if tls == "mutual":
        lines += ["", "next: folkmoot cert --help"]
    return [*lines, f"next: folkmoot start --config {file}"]
