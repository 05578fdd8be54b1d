"""Posts as commands show them, once their signatures were checked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.post_names import post_name
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


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


def when(record: Record) -> str:
    """A record's own time, in UTC."""
    return datetime.fromtimestamp(record.stamp / 1e6, UTC).isoformat(timespec="seconds")


def described_post(item: dict[str, Any]) -> dict[str, Any]:
    """An item of a feed, as JSON tells it."""
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
    counts = ", ".join(f"{count} {name}" for name, count in post["counts"].items() if count)
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
