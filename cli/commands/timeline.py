"""`folkmoot timeline`: home feeds, threads, tags, lists and bookmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.feeds import check_signers, described_post, post_lines
from folkmoot.cli.notices import unread_line
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.post_names import parse_post_name, post_name
from folkmoot.cli.users.who import Who, WhoType
from folkmoot.node.data_directory import read_key
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.limits import LIST_ITEM_BYTES, PAGE_ITEMS
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

LIMIT_MAX: Final = 10_000
_GAPS: Final = {
    "unknown": "a post that this cluster does not know",
    "deleted": "a post that was deleted",
    "unreachable": "a post none of whose nodes can be reached just now",
    "reply_control": "an answer that the author of the thread does not allow",
    "block": "a post of somebody who is blocked, or blocks you",
    "clock": "a post from a clock that is far ahead",
    "muted_account": "a post of somebody you have muted",
    "muted_word": "a post with a word you have muted",
    "muted_thread": "a post in a thread you have muted",
    "muted_reposts": "a repost of somebody you have muted",
}

limit_option = click.option(
    "--limit", type=click.IntRange(1, LIMIT_MAX), default=20, show_default=True, help="Posts at most."
)
cursor_option = click.option("--cursor", help="Where the previous page ended.")
viewer_option = click.option(
    "--as",
    "viewer",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Your key file: what you mute and block is left out. [default: as anybody sees it]",
)


@click.group()
def command() -> None:
    """Read home feeds, threads, tags, lists and bookmarks.

    Signatures are checked here, and whether the keys that made them are the authors', so that the node need
    not be trusted. It says how far behind it may be: what was posted a moment ago may not be there yet.
    """


@command.command(
    epilog=examples("folkmoot timeline home @marit", "folkmoot timeline home marit.key --as marit.key")
)
@click.argument("who", type=WhoType())
@viewer_option
@limit_option
@cursor_option
@target_options
@json_option
def home(
    who: Who, viewer: Path | None, limit: int, cursor: str | None, target: Target, output: Output
) -> None:
    """Read what those whom WHO follows posted and reposted, newest first.

    With --as your own key, it says how many notifications you have not seen.
    """

    async def asked(client: Client) -> dict[str, Any]:
        return {"account": await who.found(client)}

    _show("feed.home", asked, viewer, limit, cursor, target, output)


@command.command(
    epilog=examples("folkmoot timeline thread did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5 --limit 200")
)
@click.argument("post", metavar="ACCOUNT/ITEM")
@viewer_option
@limit_option
@cursor_option
@target_options
@json_option
def thread(
    post: str, viewer: Path | None, limit: int, cursor: str | None, target: Target, output: Output
) -> None:
    """Read the whole thread a post is in, in the order it was written; what is missing is said."""
    ref = parse_post_name(post)

    async def asked(client: Client) -> dict[str, Any]:
        return ref

    _show("feed.thread", asked, viewer, limit, cursor, target, output)


@command.command(epilog=examples("folkmoot timeline tag tea", "folkmoot timeline tag '#Tea' --json"))
@click.argument("tag")
@viewer_option
@limit_option
@cursor_option
@target_options
@json_option
def tag(
    tag: str, viewer: Path | None, limit: int, cursor: str | None, target: Target, output: Output
) -> None:
    """Read the posts with a tag, newest first. Case and the sign # make no difference."""

    async def asked(client: Client) -> dict[str, Any]:
        return {"tag": tag}

    _show("feed.tag", asked, viewer, limit, cursor, target, output)


@command.command("list", epilog=examples("folkmoot timeline list @marit 00112233445566778899aabbccddeeff"))
@click.argument("who", type=WhoType())
@click.argument("item", metavar="LIST")
@viewer_option
@limit_option
@cursor_option
@target_options
@json_option
def list_(
    who: Who,
    item: str,
    viewer: Path | None,
    limit: int,
    cursor: str | None,
    target: Target,
    output: Output,
) -> None:
    """Read what the members of WHO's LIST post, newest first; `folkmoot list` shows the lists."""
    named = _hex("LIST", item)
    if len(named) != LIST_ITEM_BYTES:
        raise click.UsageError(
            f"LIST is {2 * LIST_ITEM_BYTES} hexadecimal digits, as `folkmoot list` shows them"
        )

    async def asked(client: Client) -> dict[str, Any]:
        return {"account": await who.found(client), "item": named}

    _show("feed.list", asked, viewer, limit, cursor, target, output)


@command.command(epilog=examples("folkmoot timeline bookmarks marit.key"))
@click.argument("key_file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="KEY")
@limit_option
@cursor_option
@target_options
@json_option
def bookmarks(key_file: Path, limit: int, cursor: str | None, target: Target, output: Output) -> None:
    """Read the posts that the owner of the KEY file has bookmarked, the latest first."""
    account = read_key(key_file).owner

    async def asked(client: Client) -> dict[str, Any]:
        return {"account": account}

    _show("feed.bookmarks", asked, key_file, limit, cursor, target, output)


def _show(
    method: str,
    asked: Any,
    viewer: Path | None,
    limit: int,
    cursor: str | None,
    target: Target,
    output: Output,
) -> None:
    """Read a feed, check what it says, and print it."""
    position = None if cursor is None else _hex("--cursor", cursor)

    key = None if viewer is None else read_key(viewer)

    async def talk(client: Client) -> tuple[list[dict[str, Any]], bytes | None, int, int | None]:
        of = await asked(client)
        pages = await _pages(client, method, of, limit, position)
        is_own = method == "feed.home" and key is not None and key.owner == of["account"]
        return *pages, await _unread(client, key.owner) if key is not None and is_own else None

    items, end, lag_ms, unread = converse(target, talk, operator=key)
    told = [_described(item) for item in items]
    value: dict[str, Any] = {"items": told, "cursor": end.hex() if end else None, "lag_ms": lag_ms}
    if unread is not None:
        value["unread"] = unread
    lines = [line for each in told for line in _lines(each)] or ["no posts"]
    output.result(value, [*lines, *unread_line(unread)])


async def _unread(client: Client, account: bytes) -> int | None:
    """How many notifications an account has not seen; None when the node does not tell."""
    try:
        page = await client.call("notice.list", {"account": account, "limit": 1})
    except WireError:
        return None
    unread: int | None = page.get("unread")
    return unread


async def _pages(
    client: Client, method: str, asked: dict[str, Any], limit: int, position: bytes | None
) -> tuple[list[dict[str, Any]], bytes | None, int]:
    """At most `limit` items after a position, where they end (None at the end of all), and the lag."""
    items: list[dict[str, Any]] = []
    lag_ms = 0
    while len(items) < limit:
        wanted: dict[str, Any] = {**asked, "limit": min(limit - len(items), PAGE_ITEMS)}
        page = await client.call(method, wanted | ({"cursor": position} if position else {}))
        items += page["items"]
        position, lag_ms = page["cursor"], max(lag_ms, page["lag_ms"])
        if position is None:
            break
    by_author: dict[bytes, list[Record]] = {}
    for record in (Record.from_wire(item["record"]) for item in items if "record" in item):
        by_author.setdefault(record.author, []).append(record)
    for author, records in by_author.items():
        await check_signers(client, author, records)
    return items, position, lag_ms


def _described(item: dict[str, Any]) -> dict[str, Any]:
    """An item, as JSON tells it."""
    if "gap" in item:
        gap = item["gap"]
        return {"gap": {"post": post_name(gap["author"], gap["item"]), "reason": gap["reason"]}}
    more: dict[str, Any] = {}
    if "reposter" in item:
        more["reposter"] = account_to_text(item["reposter"])
    if "cautions" in item:
        more["cautions"] = [{**each, "by": account_to_text(each["by"])} for each in item["cautions"]]
    if "quote_hidden" in item:
        more["quote_hidden"] = item["quote_hidden"]
    return {**described_post(item), **more}


def _lines(told: dict[str, Any]) -> list[str]:
    """An item, for people; what has a caution is behind it."""
    if "gap" in told:
        reason = told["gap"]["reason"]
        return [f"[{_GAPS.get(reason, reason)}: {told['gap']['post']}]", ""]
    lines = post_lines(told)
    if "reposter" in told:
        lines.insert(0, f"reposted by {told['reposter']}")
    if "cautions" in told:
        lines.insert(-2, "  [" + ", ".join(each["text"] for each in told["cautions"]) + "]")
    return lines


def _hex(what: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise click.UsageError(f"{what} is hexadecimal, as --json prints it") from error
