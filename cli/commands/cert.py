"""`folkmoot cert`: the cluster's CA and its nodes' certificates."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from folkmoot.cli.examples import examples
from folkmoot.cli.output import Output, json_option
from folkmoot.node import certificates
from folkmoot.node.certificates import CA_DAYS, NODE_DAYS, read_certificate

DIRECTORY = click.Path(path_type=Path, file_okay=False)
DAYS = click.IntRange(1, 36_500)


@click.group()
def command() -> None:
    """Make the cluster's CA and its nodes' certificates.

    The CA signs nodes and nothing else: whoever holds a certificate of it is a node. Nothing is ever
    overwritten, and keys are readable by you only.
    """


@command.command(epilog=examples("folkmoot cert create-ca --cluster town --out ca"))
@click.option("--cluster", required=True, metavar="NAME", help="The cluster's id: a-z, 0-9 and -.")
@click.option("--out", required=True, type=DIRECTORY, help="Where ca.crt and ca.key go.")
@click.option("--days", type=DAYS, default=CA_DAYS, show_default=True, help="How long it is valid.")
@json_option
def create_ca(cluster: str, out: Path, days: int, output: Output) -> None:
    """Make a cluster's certificate authority.

    Copy ca.crt to every node and to every client; keep ca.key away from the nodes.
    """
    file = certificates.create_ca(out, cluster, days=days)
    _report(file, output, f"Next: folkmoot cert create-node --ca {out} --node-id ID --out tls")


@command.command(
    epilog=examples("folkmoot cert create-node --ca ca --node-id 0123456789abcdef0123456789abcdef --out tls")
)
@click.option("--ca", required=True, type=DIRECTORY, help="Where `create-ca` put the CA.")
@click.option("--node-id", required=True, metavar="HEX", help="The id `folkmoot init` printed.")
@click.option("--out", required=True, type=DIRECTORY, help="Where node.crt, node.key and ca.crt go.")
@click.option("--days", type=DAYS, default=NODE_DAYS, show_default=True, help="How long it is valid.")
@json_option
def create_node(ca: Path, node_id: str, out: Path, days: int, output: Output) -> None:
    """Make the certificate of one node."""
    file = certificates.create_node(ca, out, None, node_id, days=days)
    _report(file, output, f"Next: put the files of {out} where the node's configuration says, under [tls].")


@command.command(epilog=examples("folkmoot cert show tls/node.crt", "folkmoot cert show ca/ca.crt --json"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def show(file: Path, output: Output) -> None:
    """Say whose certificate FILE is and until when it is valid."""
    _report(file, output)


def _report(file: Path, output: Output, *next_steps: str) -> None:
    facts = read_certificate(file)
    node_id = facts.name.node_id if facts.name else None
    result: dict[str, Any] = {
        "file": str(file),
        "kind": "ca" if facts.is_ca else "node",
        "cluster": facts.name.cluster if facts.name else None,
        "node": node_id.hex() if node_id else None,
        "not_before": facts.not_before.isoformat(),
        "not_after": facts.not_after.isoformat(),
        "expired": facts.not_after < datetime.now(UTC),
        "fingerprint": facts.fingerprint,
    }
    lines = [f"{key:<12} {value}" for key, value in result.items() if value is not None]
    output.result(result, [*lines, *next_steps])
