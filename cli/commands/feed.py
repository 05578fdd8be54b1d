"""`folkmoot feed`: read an account's posts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.feeds import check_signers, described_item, item_lines, viewer_option
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.users.who import Who, WhoType
from folkmoot.node.data_directory import read_key
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.limits import PAGE_ITEMS
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

LIMIT_MAX: Final = 10_000


@click.command(
    epilog=examples(
        "folkmoot feed did:key:z6Mk…",
        "folkmoot feed @marit",
        "folkmoot feed @marit --as me.key   (as you see it)",
        "folkmoot feed did:key:z6Mk… --limit 500 --json",
        "folkmoot feed did:key:z6Mk… --cursor 8201…   (the cursor of the previous page)",
    )
)
@click.argument("who", type=WhoType())
@viewer_option
@click.option(
    "--limit", type=click.IntRange(1, LIMIT_MAX), default=20, show_default=True, help="Posts at most."
)
@click.option("--cursor", help="Where the previous page ended.")
@target_options
@json_option
def command(
    who: Who, viewer: Path | None, limit: int, cursor: str | None, target: Target, output: Output
) -> None:
    """Read an account's posts.

    WHO is an account (did:key:z6Mk…), a handle, or a key file. The newest come first; what has a warning or a
    label is behind it. Signatures are checked here, and whether the keys that made them are the account's, so
    that the node need not be trusted.
    """
    start = _read_cursor(cursor)
    key = None if viewer is None else read_key(viewer)
    account, items, position = converse(
        target, lambda client: _pages(client, who, limit, start), operator=key
    )
    posts = [described_item(item) for item in items]
    value = {
        "account": account_to_text(account),
        "items": posts,
        "cursor": position.hex() if position else None,
    }
    none = "no posts" if viewer is None else "no posts that you are shown"
    output.result(value, [line for post in posts for line in item_lines(post)] or [none])


async def _pages(
    client: Client, who: Who, limit: int, position: bytes | None
) -> tuple[bytes, list[dict[str, Any]], bytes | None]:
    """Whose posts; at most `limit` items after `position`; and where they end (None at the end of all)."""
    author = await who.found(client)
    items: list[dict[str, Any]] = []
    while len(items) < limit:
        wanted: dict[str, Any] = {"account": author, "limit": min(limit - len(items), PAGE_ITEMS)}
        page = await client.call("feed.author", wanted | ({"cursor": position} if position else {}))
        items += page["items"]
        position = page["cursor"]
        if position is None:
            break
    await check_signers(client, author, [Record.from_wire(item["record"]) for item in items])
    return author, items, position


def _read_cursor(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError as error:
        raise click.UsageError("--cursor is not one that `feed --json` printed") from error
