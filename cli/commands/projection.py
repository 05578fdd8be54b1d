"""`folkmoot projection`: what a node derives from posts for feeds, and making it anew."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.members import operator_option
from folkmoot.cli.output import Output, json_option, table
from folkmoot.cli.progress import progress_bar
from folkmoot.protocol.projections.entries import Projection

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

NAMES = (*(each.word for each in Projection), "search")
COLUMNS = ("name", "generation", "rebuilding")
LAG_MS_FINE = 10_000
POLL_S = 0.2
PARTS = 1_000


@click.group()
def command() -> None:
    """Show and rebuild what a node derives for feeds.

    Followers, threads, tags, reposts, bookmarks, home feeds and the search index are projections: each node
    works them out from the posts, follows and reposts themselves, and can do so again from nothing.
    """


@command.command(
    epilog=examples(
        "folkmoot projection ls --cluster local", "folkmoot projection ls --node 127.0.0.1:7400 --json"
    )
)
@operator_option
@target_options
@json_option
def ls(operator: Path | None, target: Target, output: Output) -> int:
    """List the projections of the node that is asked, and how far behind they are.

    Exit code 3 says that something may have changed more than 10 seconds ago that feeds do not show yet, or
    that not all ranges have been read once.
    """
    from folkmoot.cli.clients import operator_of

    async def talk(client: Client) -> dict[str, Any]:
        told: dict[str, Any] = await client.call("projection.list", {})
        return told

    told = converse(target, talk, operator=operator_of(target, operator))
    rows = [{**one, "rebuilding": _share(one)} for one in told["projections"]]
    lag_ms = told["lag_ms"]
    behind = "not all ranges were read yet" if lag_ms is None else f"at most {lag_ms / 1000:.1f} s behind"
    if "widening" in told:
        behind += f"; {told['widening']:.0%} read for what this node has come to keep"
    if told.get("backfills"):
        behind += f"; {told['backfills']:,} home feeds or more to be filled for new follows"
    if (search := told.get("search")) is not None and search["enabled"]:
        behind += f"; search {_search_lag(search)}"
    lines = [behind, f"{told['applied']:,} changes applied since the node started", *table(rows, COLUMNS)]
    output.result(told, lines)
    return DEGRADED if lag_ms is None or lag_ms > LAG_MS_FINE else OK


@command.command(
    epilog=examples(
        "folkmoot projection rebuild home --cluster local",
        "folkmoot projection rebuild tags --no-wait --json",
    )
)
@click.argument("name", type=click.Choice(NAMES), metavar="NAME")
@click.option("--wait/--no-wait", default=True, help="Wait until it is done. [default: --wait]")
@operator_option
@target_options
@json_option
def rebuild(name: str, wait: bool, operator: Path | None, target: Target, output: Output) -> None:
    """Make a projection anew on the node that is asked, from the beginning of all logs.

    NAME is one of those that `folkmoot projection ls` lists. What there is of it is read meanwhile, so nobody
    notices. Other nodes keep their own.
    """
    from folkmoot.cli.clients import operator_of

    async def talk(client: Client) -> dict[str, Any]:
        started: dict[str, Any] = await client.call("projection.rebuild", {"name": name})
        if wait:
            with progress_bar("parts of 1,000", quiet=output.as_json) as progress:
                await _watch(client, name, started["generation"], progress)
        return started

    began = time.monotonic()
    started = converse(target, talk, operator=operator_of(target, operator))
    took_s = round(time.monotonic() - began, 3)
    value = {**started, "done": wait, **({"took_s": took_s} if wait else {})}
    said = (
        f"{name} has been rebuilt in {took_s} s"
        if wait
        else f"{name} is being rebuilt: folkmoot projection ls"
    )
    output.result(value, [said])


async def _watch(client: Client, name: str, generation: int, progress: Any) -> None:
    """Wait until a generation is the one that is read.

    Raises:
        OperatorError: it was begun once more by somebody else.
    """
    import trio

    while True:
        told = await client.call("projection.list", {})
        [one] = [each for each in told["projections"] if each["name"] == name]
        if one["generation"] == generation:
            return
        if "rebuilding" not in one:
            raise OperatorError(
                f"{name} was begun once more meanwhile, and that has ended", hint="folkmoot projection ls"
            )
        progress(int(one["rebuilding"] * PARTS), PARTS)
        await trio.sleep(POLL_S)


def _search_lag(search: dict[str, Any]) -> str:
    """How far the search index is behind, in words."""
    if search["lag_ms"] is None:
        return "is being made"
    return f"at most {search['lag_ms'] / 1000:.1f} s, in {search['bytes'] / 1e6:.1f} MB"


def _share(one: dict[str, Any]) -> str:
    return f"{one['rebuilding']:.0%}" if "rebuilding" in one else ""
