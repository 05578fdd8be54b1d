"""`folkmoot status`: how a cluster is, as one of its nodes sees it."""

from __future__ import annotations

from typing import Any

import click
from folkmoot.cli.connection import Target, ask, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.output import Output, json_option, table

COLUMNS = ("name", "region", "state", "ranges", "address", "id")


@click.command(
    epilog=examples(
        "folkmoot status",
        "folkmoot status --cluster local --json",
        "folkmoot status --node 10.0.0.1:7000 --ca ca.crt",
    )
)
@target_options
@json_option
def command(target: Target, output: Output) -> int:
    """Show how a cluster is.

    Exit code 3 says that it is degraded: a node is not alive, a range has fewer copies than it should, or
    cells are damaged on the node that was asked.
    """
    status = ask(target, "cluster.status")
    reasons = _reasons(status)
    status["state"] = "degraded" if reasons else "healthy"
    status["reasons"] = reasons
    output.result(status, _text(status))
    return DEGRADED if reasons else OK


def _reasons(status: dict[str, Any]) -> list[str]:
    reasons = [f"{node['name']} is {node['state']}" for node in status["nodes"] if node["state"] != "alive"]
    under = status["ranges"]["under_replicated"]
    if under:
        reasons.append(f"{under} of {status['ranges']['count']} ranges lack a copy")
    damaged = status["node"]["store"]["damaged"]
    if damaged:
        reasons.append(f"{damaged} cells are damaged on the node that answers")
    return reasons


def _text(status: dict[str, Any]) -> list[str]:
    heading = f"cluster {status['cluster']}, epoch {status['epoch']}: {status['state'].upper()}"
    because = f" ({'; '.join(status['reasons'])})" if status["reasons"] else ""
    return [heading + because, *table(status["nodes"], COLUMNS)]
