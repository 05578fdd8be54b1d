"""`folkmoot timeline`: home feeds, threads, tags, lists and bookmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.feeds import TagType, check_items, described_item, item_lines, viewer_option
from folkmoot.cli.moderating.telling import decision_in, statement
from folkmoot.cli.notices import unread_line
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.post_names import parse_post_name
from folkmoot.cli.social.algorithms import Called, CalledType, why_lines
from folkmoot.cli.social.lists import list_called
from folkmoot.cli.users.who import Who, WhoType
from folkmoot.node.data_directory import read_key
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.limits import PAGE_ITEMS
from folkmoot.protocol.ranking.shipped import LATEST

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

LIMIT_MAX: Final = 10_000
limit_option = click.option(
    "--limit", type=click.IntRange(1, LIMIT_MAX), default=20, show_default=True, help="Posts at most."
)
cursor_option = click.option("--cursor", help="Where the previous page ended.")


@click.group()
def command() -> None:
    """Read home feeds, threads, tags, lists and bookmarks.

    Signatures are checked here, and whether the keys that made them are the authors', so that the node need
    not be trusted. It says how far behind it may be: what was posted a moment ago may not be there yet.
    """


@command.command(
    epilog=examples(
        "folkmoot timeline home @marit",
        "folkmoot timeline home marit.key --as marit.key",
        "folkmoot timeline home @marit --by best --why",
    )
)
@click.argument("who", type=WhoType())
@viewer_option
@click.option("--by", "algorithm", type=CalledType(), help="In the order of best, discover, or ACCOUNT/NAME.")
@click.option("--why", is_flag=True, help="Say of each post why it is there: what its score is made of.")
@limit_option
@cursor_option
@target_options
@json_option
def home(
    who: Who,
    viewer: Path | None,
    algorithm: Called | None,
    why: bool,
    limit: int,
    cursor: str | None,
    target: Target,
    output: Output,
) -> None:
    """Read what those whom WHO follows posted and reposted, newest first, or by an algorithm.

    With --as your own key, it says how many notifications you have not seen.
    """
    ranked: dict[str, Any] = {}
    if algorithm is not None or why:
        ranked = {"algorithm": (algorithm or Called(LATEST)).to_wire(), "explain": why}

    async def asked(client: Client) -> dict[str, Any]:
        return {"account": await who.found(client), **ranked}

    _show("feed.ranked" if ranked else "feed.home", asked, viewer, limit, cursor, target, output)


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
@click.argument("tag", type=TagType())
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


@command.command(
    "list",
    epilog=examples(
        "folkmoot timeline list me.key Neighbours --as me.key",
        "folkmoot timeline list @marit 00112233445566778899aabbccddeeff",
    ),
)
@click.argument("who", type=WhoType())
@click.argument("name", metavar="LIST")
@viewer_option
@limit_option
@cursor_option
@target_options
@json_option
def list_(
    who: Who,
    name: str,
    viewer: Path | None,
    limit: int,
    cursor: str | None,
    target: Target,
    output: Output,
) -> None:
    """Read what the members of WHO's LIST post, newest first; `folkmoot list show` shows the lists.

    LIST is a list's name, its item, or both its owner and item.
    """

    async def asked(client: Client) -> dict[str, Any]:
        account = await who.found(client)
        named = await list_called(client, name, account)
        if named.owner != account:
            raise Usage(f"{name!r} is a list of another account than WHO")
        return {"account": account, "item": named.item}

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

    async def talk(client: Client) -> tuple[_Read, int | None]:
        of = await asked(client)
        read = await _pages(client, method, of, limit, position)
        is_own = method == "feed.home" and key is not None and key.owner == of["account"]
        return read, await _unread(client, key.owner) if key is not None and is_own else None

    read, unread = converse(target, talk, operator=key)
    told = [_described(item) for item in read.items]
    value = {"items": told, "cursor": read.end.hex() if read.end else None, "lag_ms": read.lag_ms}
    value |= _described_ranking(read.more) | ({} if unread is None else {"unread": unread})
    if "unreached" in read.more:
        output.note(f"not all could be asked: {', '.join(read.more['unreached'])}")
    lines = [line for each in told for line in _lines(each)] or ["no posts"]
    output.result(value, [*lines, *unread_line(unread)])


class _Read(NamedTuple):
    """What was read of a feed.

    Args:
        items: at most so many as were asked for.
        end: the position after them; None at the end of all.
        lag_ms: of the page that was furthest behind.
        more: what else the first page said.
    """

    items: list[dict[str, Any]]
    end: bytes | None
    lag_ms: int
    more: dict[str, Any]


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
) -> _Read:
    """Read pages, and check whose posts they have."""
    items: list[dict[str, Any]] = []
    lag_ms = 0
    more: dict[str, Any] = {}
    while len(items) < limit:
        wanted: dict[str, Any] = {**asked, "limit": min(limit - len(items), PAGE_ITEMS)}
        page = await client.call(method, wanted | ({"cursor": position} if position else {}))
        items += page["items"]
        position, lag_ms = page["cursor"], max(lag_ms, page["lag_ms"])
        more = more or page
        if position is None:
            break
    await check_items(client, items)
    return _Read(items, position, lag_ms, more)


def _described_ranking(page: dict[str, Any]) -> dict[str, Any]:
    """What a page of a ranked feed says of the ranking, as JSON tells it; of another feed, nothing."""
    names = ("as_of_ms", "left_out", "unreached")
    told: dict[str, Any] = {name: page[name] for name in names if name in page}
    if "algorithm" in page:
        named = dict(page["algorithm"])
        if "account" in named:
            named["account"] = account_to_text(named["account"])
        if "decisions" in named:
            named["decisions"] = [statement(*decision_in(frame), None) for frame in named["decisions"]]
        told["algorithm"] = {**named, "version": named["version"].hex()}
    return told


def _described(item: dict[str, Any]) -> dict[str, Any]:
    """An item, as JSON tells it."""
    return {**described_item(item), **({"why": item["why"]} if "why" in item else {})}


def _lines(told: dict[str, Any]) -> list[str]:
    """An item, for people; why it is there comes last."""
    lines = item_lines(told)
    if "why" in told:
        lines[-1:-1] = why_lines(told["why"])
    return lines


def _hex(what: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise click.UsageError(f"{what} is hexadecimal, as --json prints it") from error
