"""`folkmoot notifications`: what others did that concerns you, and of whose doings you want to hear."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.durations import Duration
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import OK
from folkmoot.cli.notices import checked, lines, unread_line
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.social.flags import Speaker, speaker_options
from folkmoot.cli.social.own_key import key_option, own_key
from folkmoot.cli.social.said import cells_of
from folkmoot.cli.social.writing import Statement, report, report_stated, state
from folkmoot.cli.watching import SINCE_MAX_S, Line, gap_line, read_cursor, since_ms, watch
from folkmoot.protocol.feed.preferences import DAYS_MAX, POLICY, SORTS, Whom, policy_of
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.limits import PAGE_ITEMS

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client, Event, PutResult
    from folkmoot.protocol.record import Record

LIMIT_MAX: Final = 10_000
_ABOUT: Final = {
    "reply": "answers to your posts",
    "mention": "posts that name you",
    "quote": "posts that quote yours",
    "thread": "other posts in threads you began",
    "follow": "new followers",
    "like": "likes of your posts",
    "repost": "reposts of your posts",
}


@click.group()
def command() -> None:
    """Show what others did that concerns you.

    That is answers, mentions, quotes, likes, reposts, follows, and what moderation did to your posts. What
    strangers did may stand among the requests instead: `policy` says whose doings you want to hear of.
    Notifications are private: only you, and those who run nodes, can see them.
    """


@command.command(epilog=examples("folkmoot notifications show", "folkmoot notifications show --requests"))
@click.option("--requests", is_flag=True, help="What strangers did, instead.")
@click.option(
    "--limit", type=click.IntRange(1, LIMIT_MAX), default=20, show_default=True, help="Notices at most."
)
@click.option("--cursor", help="Where the previous page ended.")
@key_option
@target_options
@json_option
def show(
    requests: bool, limit: int, cursor: str | None, key_file: Path | None, target: Target, output: Output
) -> int:
    """Show your notifications, the newest first.

    Those you have not seen have a star.
    """
    position, signer = read_cursor(cursor), own_key(key_file, output, make=False)

    async def talk(client: Client) -> dict[str, Any]:
        return await _pages(client, signer, requests, limit, position)

    told = converse(target, talk, operator=signer)
    said = [line for each in told["items"] for line in lines(each)]
    output.result(told, [*(said or ["nothing has happened"]), *unread_line(told["unread"], requests)])
    return OK


async def _pages(
    client: Client, signer: KeyPair, requests: bool, limit: int, position: bytes | None
) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "account": signer.owner,
        "tab": "requests" if requests else "notifications",
    }
    items: list[dict[str, Any]] = []
    unread: int | None = None
    while len(items) < limit:
        more = {"limit": min(limit - len(items), PAGE_ITEMS)} | ({"cursor": position} if position else {})
        page = await client.call("notice.list", asked | more)
        items += page["items"]
        unread = page.get("unread", unread)
        position, lag_ms = page["cursor"], page["lag_ms"]
        if position is None:
            break
    end = position.hex() if position else None
    return {"items": await checked(client, items), "cursor": end, "unread": unread, "lag_ms": lag_ms}


@command.command(
    epilog=examples("folkmoot notifications follow", "folkmoot notifications follow --json --limit 10")
)
@click.option(
    "--since", "since_s", type=Duration(0, SINCE_MAX_S), help="Begin with what came so long ago, such as 1h."
)
@click.option("--cursor", help="Begin after a line that `notifications follow --json` printed.")
@click.option("--limit", type=click.IntRange(1), help="End after so many lines.  [default: at Ctrl-C]")
@key_option
@target_options
@json_option
def follow(
    since_s: float | None,
    cursor: str | None,
    limit: int | None,
    key_file: Path | None,
    target: Target,
    output: Output,
) -> int:
    """Watch your notifications as they come.

    Those that stand among the requests are not told. When a node goes, the next one goes on; where something
    may be missing, that is said. Ctrl-C ends it.
    """
    begin: dict[str, Any] = {"cursor": read_cursor(cursor), "since_ms": since_ms(since_s, cursor)}
    signer = own_key(key_file, output, make=False)

    async def talk(client: Client) -> None:
        async def told(event: Event) -> list[Line]:
            if event.gap is not None:
                return [gap_line(event.gap, event.cursor)]
            notices = await checked(client, event.items)
            return [({**each, "cursor": event.cursor.hex()}, lines(each)) for each in notices]

        await watch(client.follow({"notifications": signer.owner}, **begin), told, limit, output)

    converse(target, talk, operator=signer)
    return OK


@command.command("mark-read", epilog=examples("folkmoot notifications mark-read"))
@speaker_options
def mark_read(speaker: Speaker) -> int:
    """Have all there is now count as seen.

    That is so on all your devices, and for requests, too.
    """
    signer = own_key(speaker.key_file, speaker.output, make=False)

    async def talk(client: Client) -> tuple[Record, PutResult] | None:
        from folkmoot.protocol.client import mark_read as moved_on

        newest = read_until = 0
        for tab in ("notifications", "requests"):
            page = await client.call("notice.list", {"account": signer.owner, "tab": tab, "limit": 1})
            newest = max([newest, *(item["notice"]["time"] for item in page["items"] if "notice" in item)])
            read_until = max(read_until, page["read_until"])
        if newest <= read_until:
            return None
        return await moved_on(client, signer, newest, time.time_ns() // 1000, speaker.level)

    moved = converse(speaker.target, talk, operator=signer)
    if moved is None:
        speaker.output.result({"changed": False}, "nothing was left to do: you have seen all there is")
        return OK
    record, result = moved
    value = {"changed": True, "until": record.body["until"]}
    return report(speaker.output, value, record, result, lambda status: f"{status}: all is seen")


def _sort_options(command: Any) -> Any:
    """An option for each sort of notice."""
    for sort in reversed(SORTS):
        help_text = f"Of {_ABOUT[sort]}."
        command = click.option(f"--{sort}", type=click.Choice([str(each) for each in Whom]), help=help_text)(
            command
        )
    return command


@command.command(
    epilog=examples(
        "folkmoot notifications policy",
        "folkmoot notifications policy --mention following --like nobody",
        "folkmoot notifications policy --min-age-days 7",
    )
)
@_sort_options
@click.option(
    "--min-age-days",
    type=click.IntRange(0, DAYS_MAX),
    help="Accounts that are not known to be so old are strangers. 0 for no matter.",
)
@speaker_options
def policy(speaker: Speaker, min_age_days: int | None, **whom: str | None) -> int:
    """Show or change of whose doings you want to be told.

    `everyone`; `known`, those you follow and your followers; `following`, those you follow; or `nobody`,
    which switches a sort off. Who is not meant is a stranger, and what strangers do stands among the
    requests. Whom you follow is never a stranger.
    """
    changes: dict[str, Any] = {sort: said for sort, said in whom.items() if said is not None}
    if min_age_days is not None:
        changes["min_age_days"] = min_age_days
    signer = own_key(speaker.key_file, speaker.output, make=bool(changes))

    async def talk(client: Client) -> tuple[dict[str, Any], Any]:
        cells = await cells_of(client, signer.owner, "preference", signer)
        body = next((dict(cell.winner.body) for cell in cells if cell.winner.item == POLICY), {})
        if not changes:
            return body, None
        body = {name: value for name, value in body.items() if name != "erase"} | changes
        return body, await state(client, signer, Statement("preference", POLICY, body), speaker.level)

    body, stated = converse(speaker.target, talk)
    said = policy_of(body)
    value = {"policy": {sort: str(said.of(sort)) for sort in SORTS}, "min_age_days": said.min_age_days}
    rules = [f"{_ABOUT[sort]}: {said.of(sort)}" for sort in SORTS]
    if said.min_age_days:
        rules.append(f"strangers are all who are not known to be {said.min_age_days} days old")
    if stated is None:
        speaker.output.result(value, rules)
        return OK
    return report_stated(speaker.output, stated, value, "; ".join(rules))
