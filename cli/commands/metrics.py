"""`folkmoot metrics`: what a node measures of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from folkmoot.cli.connection import Target, ask, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import OK
from folkmoot.cli.members import operator_option
from folkmoot.cli.output import Output, json_option


@click.command(
    epilog=examples(
        "folkmoot metrics --cluster local",
        "folkmoot metrics --cluster local --json",
        "folkmoot metrics --node 10.0.0.1:7000 --ca ca.crt --operator operator.key",
    )
)
@operator_option
@target_options
@json_option
def command(operator: Path | None, target: Target, output: Output) -> int:
    """Show what a node measures of itself.

    Prints OpenMetrics text, as Prometheus reads it: caches, the store, writes, replication, what is derived,
    live streams and members, of the node that answers and since it was started. With --json each figure is
    an object with its samples.
    """
    # Imported here so that a command's help need not wait for the client.
    from folkmoot.cli.clients import operator_of

    told = ask(target, "cluster.metrics", operator=operator_of(target, operator))
    text: str = told["text"]
    output.result(
        {"content_type": told["content_type"], "metrics": _parsed(text)} if output.as_json else {},
        text.splitlines(),
    )
    return OK


def _parsed(text: str) -> list[dict[str, Any]]:
    """The figures of OpenMetrics text."""
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return [
        {
            "name": family.name,
            "type": family.type,
            "help": family.documentation,
            "samples": [
                {"name": each.name, "labels": dict(each.labels), "value": each.value}
                for each in family.samples
            ],
        }
        for family in families
    ]
