"""`folkmoot follow-feed`: watch posts as they are written, edited and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.durations import Duration
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import OK
from folkmoot.cli.feeds import TagType, check_signers, described_item, item_lines, viewer_option, when
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.users.who import Who, WhoType
from folkmoot.cli.watching import SINCE_MAX_S, Line, gap_line, read_cursor, since_ms, watch
from folkmoot.node.data_directory import read_key
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.limits import EPOCH_MAX
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client, Event


@click.command(
    epilog=examples(
        "folkmoot follow-feed did:key:z6Mk…",
        "folkmoot follow-feed @marit --since 1h",
        "folkmoot follow-feed marit.key --home --as marit.key",
        "folkmoot follow-feed --tag tea",
        "folkmoot follow-feed --range 17 --json",
        "folkmoot follow-feed @marit --cursor 0110…   (the cursor of an earlier line of --json)",
    )
)
@click.argument("who", type=WhoType(), required=False)
@click.option(
    "--range", "range_id", type=click.IntRange(0, EPOCH_MAX), help="Watch a whole range instead, by number."
)
@click.option("--tag", type=TagType(), help="Watch the posts with a tag instead.")
@click.option("--home", is_flag=True, help="Watch WHO's home feed: what those whom they follow post.")
@viewer_option
@click.option(
    "--since", "since_s", type=Duration(0, SINCE_MAX_S), help="Begin with what came so long ago, such as 1h."
)
@click.option("--cursor", help="Begin after a line that `follow-feed --json` printed.")
@click.option("--limit", type=click.IntRange(1), help="End after so many lines.  [default: at Ctrl-C]")
@target_options
@json_option
def command(
    who: Who | None,
    range_id: int | None,
    tag: str | None,
    home: bool,
    viewer: Path | None,
    since_s: float | None,
    cursor: str | None,
    limit: int | None,
    target: Target,
    output: Output,
) -> int:
    """Watch posts as they are written, edited and deleted.

    WHO is an account (did:key:z6Mk…), a handle, or a key file. Each change is shown once, as one line of JSON
    with --json. When a node goes, the next one goes on; where something may be missing, that is said. Ctrl-C
    ends it. With --as your own key, what you mute and block is left out of a home feed or a tag.
    """
    if sum(each is not None for each in (who, range_id, tag)) != 1:
        raise click.UsageError("name an account, or a range (--range N) or a tag (--tag TAG); not both")
    if home and who is None:
        raise click.UsageError("--home needs an account: whose home feed is it?")
    if viewer is not None and not home and tag is None:
        raise click.UsageError(
            "--as is for --home and --tag: an account's or a range's own log is told whole"
        )
    begin = {"cursor": read_cursor(cursor), "since_ms": since_ms(since_s, cursor)}
    other = {"range": range_id} if tag is None else {"tag": tag}
    key = None if viewer is None else read_key(viewer)
    converse(target, lambda client: _watch(client, who, home, other, begin, limit, output), operator=key)
    return OK


async def _watch(
    client: Client,
    who: Who | None,
    home: bool,
    other: Mapping[str, Any],
    begin: Mapping[str, Any],
    limit: int | None,
    output: Output,
) -> None:
    account = None if who is None else await who.found(client)
    author = None if home else account
    what = other if account is None else {"home" if home else "author": account}
    await watch(client.follow(what, **begin), lambda event: _told(client, author, event), limit, output)


async def _told(client: Client, author: bytes | None, event: Event) -> list[Line]:
    """What to show of an event: as JSON, and as lines."""
    cursor = event.cursor.hex()
    if event.gap is not None:
        return [gap_line(event.gap, event.cursor)]
    records = [Record.from_wire(item["record"]) for item in event.items if "gap" not in item]
    if author is not None:
        await check_signers(client, author, records)
    else:
        for each in dict.fromkeys(record.author for record in records):
            await check_signers(client, each, [record for record in records if record.author == each])
    for record in records:
        record.verify()
    return [({**value, "cursor": cursor}, lines) for value, lines in map(_line, event.items)]


def _line(item: Mapping[str, Any]) -> Line:
    """One item, whose signature was checked."""
    record = None if "gap" in item else Record.from_wire(item["record"])
    if record is not None and record.kind != "post":
        other = _other(record)
        return other, [_other_line(other), ""]
    told = described_item(item)
    return told if record is None else {"kind": "post", **told}, item_lines(told)


def _other(record: Record) -> dict[str, Any]:
    """What is no post, as JSON tells it."""
    return {
        "kind": record.kind,
        "author": account_to_text(record.author),
        "place": account_to_text(record.place),
        "item": record.item.hex(),
        "id": record.id.hex(),
        "time": when(record),
        "body": record.body,
    }


def _other_line(told: Mapping[str, Any]) -> str:
    return f"{told['time']}  {told['kind']} by {told['author']}: {told['body']}"
