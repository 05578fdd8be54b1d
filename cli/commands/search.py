"""`folkmoot search`: find posts by their words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.commands.timeline import cursor_option, limit_option
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.feeds import check_items, described_item, item_lines, viewer_option
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.snippets import snippet
from folkmoot.node.data_directory import read_key
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.limits import PAGE_ITEMS
from folkmoot.protocol.search.query import Query, parse

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


@click.command(
    epilog=examples(
        "folkmoot search 'green tea'",
        "folkmoot search '\"in a row\" -not #tag from:@marit lang:pt since:2026-05-01'",
        "folkmoot search 'kett*' --best --limit 50 --json",
    )
)
@click.argument("query")
@click.option("--best", is_flag=True, help="The best of the newest first, not the newest.")
@viewer_option
@limit_option
@cursor_option
@target_options
@json_option
def command(
    query: str,
    best: bool,
    viewer: Path | None,
    limit: int,
    cursor: str | None,
    target: Target,
    output: Output,
) -> int:
    """Find posts by their words.

    All words of QUERY must be there; case and accents make no difference. "Words in a row" stand between
    quotation marks, kett* is how a word begins, - excludes what follows it, and #tag, from:WHO, lang:xx,
    since:DATE and until:DATE (not included) narrow it down. Signatures are checked here. Exit code 3 says
    that not all of the cluster could be searched.
    """
    try:
        asked = parse(query)
        position = None if cursor is None else bytes.fromhex(cursor)
    except WireError as error:
        raise click.UsageError(error.message) from error
    except ValueError as error:
        raise click.UsageError("--cursor is hexadecimal, as --json prints it") from error

    async def talk(client: Client) -> dict[str, Any]:
        return await _pages(client, {"query": query, "best": best}, limit, position)

    found = converse(target, talk, operator=None if viewer is None else read_key(viewer))
    covered, told = found["covered"], [described_item(item) for item in found["items"]]
    end = found["cursor"]
    value = {**found, "items": told, "cursor": end.hex() if end else None}
    lines = [line for each in told for line in item_lines(_marked(each, asked))] or ["no posts"]
    whole = covered["ranges"] == covered["of"]
    if not whole:
        lines.append(f"only {covered['ranges']} of {covered['of']} ranges could be searched in time")
    output.result(value, lines)
    return OK if whole else DEGRADED


async def _pages(client: Client, asked: dict[str, Any], limit: int, position: bytes | None) -> dict[str, Any]:
    """At most `limit` items after a position, where they end, and how much was searched for them."""
    items: list[dict[str, Any]] = []
    while True:
        wanted = {**asked, "limit": min(limit - len(items), PAGE_ITEMS)}
        page = await client.call("search.posts", wanted | ({"cursor": position} if position else {}))
        items += page["items"]
        position = page["cursor"]
        covered = page["covered"]
        if position is None or len(items) >= limit or covered["ranges"] < covered["of"]:
            break
    await check_items(client, items)
    told = {name: page[name] for name in ("lag_ms", "as_of_ms", "covered")}
    return {"items": items, "cursor": position, **told}


def _marked(told: dict[str, Any], query: Query) -> dict[str, Any]:
    """An item for people, with what was looked for marked in its text."""
    if "gap" in told or "text" not in told["body"]:
        return told
    return {**told, "body": {**told["body"], "text": snippet(told["body"]["text"], query)}}
