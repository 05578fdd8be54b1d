"""`folkmoot history`: the versions of a post."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.output import Output, json_option, utc_text
from folkmoot.cli.posts import PostCell, PostRef, PostType, read_post
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.limits import CELL_HISTORY
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import LEVELS

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

SHOWN: Final = "shown"
BESIDE: Final = "beside it"
EARLIER: Final = "earlier"
FULL: Final = f"only the {CELL_HISTORY} newest earlier versions are kept: there may have been older ones"
CONFLICT: Final = (
    "versions stand beside each other, because their devices had not seen each other's: an edit joins them"
)


@click.command(
    epilog=examples(
        "folkmoot history did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5",
        "folkmoot history did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5 --json",
    )
)
@click.argument("post", type=PostType())
@click.option(
    "--level", type=click.Choice(LEVELS), default="quorum", show_default=True, help="What the read asks."
)
@target_options
@json_option
def command(post: PostRef, level: str, target: Target, output: Output) -> None:
    """Show a post and its earlier versions, the newest first.

    POST is the post as `feed` shows it. Times are by the clocks of the devices that wrote; signatures are
    checked here. The 16 newest earlier versions are kept. Of a deleted post nothing is.
    """

    async def talk(client: Client) -> PostCell:
        return await read_post(client, post, level)

    cell = converse(target, talk)
    versions = [_version(cell, record) for record in (*cell.shown, *cell.earlier)]
    full = len(cell.earlier) >= CELL_HISTORY
    value = {
        "post": str(post),
        "deleted": cell.deleted,
        "conflict": len(cell.shown) > 1,
        "versions": versions,
        "older_dropped": full,
    }
    output.result(value, _lines(cell, versions, full=full))


def _version(cell: PostCell, record: Record) -> dict[str, Any]:
    state = SHOWN if record == cell.shown[0] else BESIDE if record in cell.shown else EARLIER
    return {
        "id": record.id.hex(),
        "time": utc_text(record.stamp),
        "state": state,
        "device": account_to_text(record.device),
        "body": record.body,
    }


def _lines(cell: PostCell, versions: Sequence[dict[str, Any]], *, full: bool) -> list[str]:
    lines: list[str] = []
    for version in versions:
        words = "(deleted)" if version["body"].get("deleted") else version["body"].get("text", "")
        lines.append(f"{version['time']}  {version['state']}  by {version['device']}")
        lines += [f"  {line}" for line in words.removesuffix("\n").split("\n")]
        lines.append("")
    if len(cell.shown) > 1:
        lines.append(CONFLICT)
    if full:
        lines.append(FULL)
    if len(versions) == 1 and not cell.deleted:
        lines.append("it was never edited")
    return lines
