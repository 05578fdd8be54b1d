"""Posts as commands show them, once their signatures were checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.post_names import post_name
from folkmoot.cli.users.who import ShortText
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.limits import POST_TAG_CODE_POINTS
from folkmoot.protocol.projections.entries import tag_form
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

_GAPS: Final = {
    "unknown": "a post that this cluster does not know",
    "further": "more of the thread, which is told when one asks for that post",
    "deleted": "a post that was deleted",
    "unreachable": "a post none of whose nodes can be reached just now",
    "reply_control": "an answer that the author of the thread does not allow",
    "block": "a post of somebody who is blocked, or blocks you",
    "clock": "a post from a clock that is far ahead",
    "muted_account": "a post of somebody you have muted",
    "muted_word": "a post with a word you have muted",
    "muted_thread": "a post in a thread you have muted",
    "muted_reposts": "a repost of somebody you have muted",
    "label": "a post with a label that hides it",
}

_ONE: Final = {"likes": "like", "reposts": "repost", "replies": "reply"}

viewer_option = click.option(
    "--as",
    "viewer",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Your key file: what you mute and block is left out. [default: as anybody sees it]",
)


class TagType(click.ParamType[str]):
    """A tag, with or without its sign."""

    name = "tag"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The tag.

        Raises:
            click.BadParameter: it can be no post's.
        """
        tag = ShortText().convert(value, param, ctx)
        if not tag_form(tag):
            self.fail("a tag has characters besides its sign #", param, ctx)
        if len(tag.removeprefix("#")) > POST_TAG_CODE_POINTS:
            self.fail(f"a tag has at most {POST_TAG_CODE_POINTS} characters", param, ctx)
        return tag


async def check_signers(client: Client, author: bytes, records: Sequence[Record]) -> None:
    """Refuse what is not signed by a key that is, or once was, the author's.

    Args:
        author: 34 bytes.

    Raises:
        OperatorError: a record is somebody else's, or no key of the account has signed it.
        WireError: a signature does not hold.
    """
    for record in records:
        if record.author != author:
            raise OperatorError(f"the node sent a post of {account_to_text(record.author)} instead")
    devices = {record.device for record in records}
    keys = {author}
    for current in (False, True):  # what the node has heard may be behind what it keeps
        if not devices <= keys:
            keys = set((await client.account_history(author, current=current)).chain().state.keys)
    for record in records:
        record.verify()
        if record.device not in keys:
            raise OperatorError(
                f"the node sent a post that a key signed which was never the account's: {record.id.hex()}",
                hint="folkmoot user keys list, or ask another node",
            )


async def check_items(client: Client, items: Sequence[dict[str, Any]]) -> None:
    """`check_signers` for the items of a feed with posts of many authors.

    Raises:
        OperatorError, WireError: see there.
    """
    by_author: dict[bytes, list[Record]] = {}
    for record in (Record.from_wire(item["record"]) for item in items if "record" in item):
        by_author.setdefault(record.author, []).append(record)
    for author, records in by_author.items():
        await check_signers(client, author, records)


def when(record: Record) -> str:
    """A record's own time, in UTC."""
    return datetime.fromtimestamp(record.stamp / 1e6, UTC).isoformat(timespec="seconds")


def described_post(item: Mapping[str, Any]) -> dict[str, Any]:
    """A post, as JSON tells it."""
    record = Record.from_wire(item["record"])
    return {
        "post": post_name(record.author, record.item),
        "id": record.id.hex(),
        "time": when(record),
        "body": record.body,
        "labels": item.get("labels", []),
        "counts": item.get("counts", {}),
    }


def post_lines(post: dict[str, Any]) -> list[str]:
    """What `described_post` gives, as lines of text."""
    counts = ", ".join(
        f"{count} {_ONE.get(name, name) if count == 1 else name}"
        for name, count in post["counts"].items()
        if count
    )
    heading = f"{post['time']}  {post['post']}" + (f"  ({counts})" if counts else "")
    body = post["body"]
    words = "(deleted)" if body.get("deleted") else body.get("text", "")
    # Only at line ends: other characters that break lines are shown for what they are.
    lines = [*words.removesuffix("\n").split("\n"), *_media_lines(post)]
    return [heading, *(f"  {line}" for line in lines), ""]


def _media_lines(post: dict[str, Any]) -> list[str]:
    """What a post shows, in words, and the name by which `media get` fetches it."""
    account = post["post"].partition("/")[0]
    return [
        f"[{each['mime']}: {each.get('alt') or 'not described'}] {account}/{each['hash'].hex()}"
        for each in post["body"].get("media") or ()
    ]


def described_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of a feed, or a gap in it, as JSON tells it."""
    if "gap" in item:
        gap = item["gap"]
        if "item" not in gap:
            return {"gap": {"author": account_to_text(gap["author"]), "reason": gap["reason"]}}
        return {"gap": {"post": post_name(gap["author"], gap["item"]), "reason": gap["reason"]}}
    more: dict[str, Any] = {}
    if "reposter" in item:
        more["reposter"] = account_to_text(item["reposter"])
    if "cautions" in item:
        more["cautions"] = [{**each, "by": account_to_text(each["by"])} for each in item["cautions"]]
    more |= {key: item[key] for key in ("quote_hidden", "reposted_ms") if key in item}
    return {**described_post(item), **more}


def caution_words(told: Mapping[str, Any]) -> str:
    """A caution for people: what a label is called, and of others what they say."""
    words: str = told.get("name", told["text"])
    return words


def item_lines(told: dict[str, Any]) -> list[str]:
    """What `described_item` gives, as lines of text; what has a caution is behind it."""
    if "gap" in told:
        reason = told["gap"]["reason"]
        if "author" in told["gap"]:
            return [f"[posts may be missing, {reason}: those of {told['gap']['author']}]", ""]
        return [f"[{_GAPS.get(reason, reason)}: {told['gap']['post']}]", ""]
    lines = post_lines(told)
    if "cautions" in told:
        lines.insert(1, "  [" + ", ".join(map(caution_words, told["cautions"])) + "]")
    if "reposter" in told:
        lines.insert(0, f"reposted by {told['reposter']}")
    return lines
