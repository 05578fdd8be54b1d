"""`folkmoot trends`: which tags surprise just now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.output import Output, json_option, table
from folkmoot.protocol.search.bounds import TRENDS

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

COLUMNS = ("tag", "people", "times usual", "surprise")


@click.command(epilog=examples("folkmoot trends", "folkmoot trends --limit 30 --json"))
@click.option("--limit", type=click.IntRange(1, TRENDS), default=10, show_default=True, help="Tags at most.")
@target_options
@json_option
def command(limit: int, target: Target, output: Output) -> int:
    """Show which tags more people use just now than on a usual day.

    People are counted, not posts. Posts that wait for review, bear a label or warn of themselves do not
    count, nor do those of accounts that do not want to be found. Exit code 3 says that not all of the cluster
    could be asked.
    """

    async def talk(client: Client) -> dict[str, Any]:
        told: dict[str, Any] = await client.call("feed.trends", {"limit": limit})
        return told

    told = converse(target, talk)
    rows = [
        {
            "tag": f"#{each['tag']}",
            "people": each["authors"],
            "times usual": f"{each['times'] / 1000:.1f}",
            "surprise": f"{each['score'] / 1000:.1f}",
        }
        for each in told["trends"]
    ]
    covered = told["covered"]
    whole = covered["ranges"] == covered["of"]
    lines = table(rows, COLUMNS) if rows else ["nothing trends"]
    if not whole:
        lines.append(f"only {covered['ranges']} of {covered['of']} ranges could be asked in time")
    output.result(told, lines)
    return OK if whole else DEGRADED
