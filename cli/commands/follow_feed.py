"""`folkmoot follow-feed`: watch posts as they are written, edited and deleted."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.durations import Duration
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import OK
from folkmoot.cli.feeds import TagType, check_signers, described_post, post_lines, when
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.users.who import Who, WhoType
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.limits import EPOCH_MAX
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client, Event, Follow, Gap

SINCE_MAX_S: Final = 100 * 365 * 86_400.0


@click.command(
    epilog=examples(
        "folkmoot follow-feed did:key:z6Mk…",
        "folkmoot follow-feed @marit --since 1h",
        "folkmoot follow-feed marit.key --home",
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
    since_s: float | None,
    cursor: str | None,
    limit: int | None,
    target: Target,
    output: Output,
) -> int:
    """Watch posts as they are written, edited and deleted.

    WHO is an account (did:key:z6Mk…), a handle, or a key file. Each change is shown once, as one line of JSON
    with --json. When a node goes, the next one goes on; where something may be missing, that is said. Ctrl-C
    ends it.
    """
    if sum(each is not None for each in (who, range_id, tag)) != 1:
        raise click.UsageError("name an account, or a range (--range N) or a tag (--tag TAG); not both")
    if home and who is None:
        raise click.UsageError("--home needs an account: whose home feed is it?")
    if since_s is not None and cursor is not None:
        raise click.UsageError("--since and --cursor each say where to begin; give one of them")
    since_ms = None if since_s is None else max(0, int((time.time() - since_s) * 1000))
    begin = {"cursor": _read_cursor(cursor), "since_ms": since_ms}
    other = {"range": range_id} if tag is None else {"tag": tag}
    converse(target, lambda client: _watch(client, who, home, other, begin, limit, output))
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
    import trio

    account = None if who is None else await who.found(client)
    author = None if home else account
    what = other if account is None else {"home" if home else "author": account}
    stream = client.follow(what, **begin)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_at_signal, nursery.cancel_scope)
        try:
            await _show(client, author, stream, limit, output)
        except BrokenPipeError:
            # Whoever read has had enough, as `head` has; nothing is to be flushed there at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        nursery.cancel_scope.cancel()


async def _end_at_signal(scope: Any) -> None:
    """Ctrl-C is how watching ends, and no failure."""
    import trio

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


async def _show(
    client: Client, author: bytes | None, stream: Follow, limit: int | None, output: Output
) -> None:
    from folkmoot.protocol.client import Unreachable

    shown = 0
    while limit is None or shown < limit:
        try:
            event = await anext(stream)
        except Unreachable as error:
            output.note(f"{error}; trying again")
            continue
        for value, lines in await _told(client, author, event):
            output.result(value, lines, paged=False)
            shown += 1
            if shown == limit:
                break
    with suppress(Unreachable):
        await stream.aclose()


async def _told(client: Client, author: bytes | None, event: Event) -> list[tuple[dict[str, Any], list[str]]]:
    """What to show of an event: as JSON, and as lines."""
    cursor = event.cursor.hex()
    if event.gap is not None:
        return [({"gap": _gap(event.gap), "cursor": cursor}, [_gap_line(event.gap), ""])]
    records = [Record.from_wire(item["record"]) for item in event.items]
    if author is not None:
        await check_signers(client, author, records)
    else:
        for each in dict.fromkeys(record.author for record in records):
            await check_signers(client, each, [record for record in records if record.author == each])
    told = []
    for record, item in zip(records, event.items, strict=True):
        record.verify()
        if record.kind == "post":
            post = described_post(item)
            told.append(({"kind": "post", **post, "cursor": cursor}, post_lines(post)))
        else:
            other = _other(record)
            told.append(({**other, "cursor": cursor}, [_other_line(other), ""]))
    return told


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


def _gap(gap: Gap) -> dict[str, Any]:
    told: dict[str, Any] = {"from_ms": gap.begin_ms, "to_ms": gap.end_ms, "reason": gap.reason}
    return told if gap.range is None else {**told, "range": gap.range}


def _gap_line(gap: Gap) -> str:
    if gap.reason == "split":
        rest = "" if gap.range is None else f"; watch range {gap.range} as well"
        return f"-- part of this range is another one by now{rest} --"
    return f"-- something may be missing here ({gap.reason}); `folkmoot feed` shows all there is --"


def _read_cursor(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError as error:
        raise click.UsageError("--cursor is not one that `follow-feed --json` printed") from error
