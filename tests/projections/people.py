"""What people do to each other's posts in these tests, and what they then see."""

from __future__ import annotations

import time
from typing import Any

from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.record import Record

from tests.node.harness import Client
from tests.node.people import Author
from tests.waiting import until

SEEN_S = 15.0

_stamps: list[int] = [0]


def _later() -> int:
    """A stamp after everything that was posted so far, and after the last of these, in another millisecond:
    within one they stand in an order that nobody chooses."""
    _stamps.append(max(_stamps[-1] + 1_000, time.time_ns() // 1000 + 1_000_000))
    return _stamps[-1]


def follow(who: Author, whom: Author, *, on: bool = True) -> Record:
    return who.record("follow", whom.account, {"on": on})


def repost(who: Author, post: Record, *, on: bool = True) -> Record:
    """Made after everything that was posted so far."""
    return Record.sign(
        who.device,
        kind="repost",
        item=post.item + who.account,
        body={"on": on},
        place=post.author,
        stamp=_later(),
    )


def bookmark(who: Author, post: Record, *, on: bool = True) -> Record:
    return who.record("bookmark", post.author + post.item, {"on": on})


def ref(post: Record) -> dict[str, Any]:
    return {"author": post.author, "item": post.item}


def reply(who: Author, post: Record, root: Record | None = None, text: str = "indeed") -> Record:
    body: dict[str, Any] = {"text": text, "reply_to": ref(post)}
    return who.record("post", who.item(), body if root is None else {**body, "root": ref(root)})


def tagged(who: Author, *tags: str) -> Record:
    return who.record("post", who.item(), {"text": "look", "tags": list(tags)})


async def pages(client: Client, method: str, **params: Any) -> list[dict[str, Any]]:
    """All items of a feed, page by page."""
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await client.call(method, **params, **({} if cursor is None else {"cursor": cursor}))
        items += page["items"]
        cursor = page["cursor"]
        if cursor is None:
            return items


def said(items: list[dict[str, Any]]) -> list[Any]:
    """Of each item the id of its record; of reposts with who made them, and of gaps the reason, with the post
    or the account that is missing."""
    told: list[Any] = []
    for item in items:
        if "gap" in item:
            gap = item["gap"]
            told.append((gap.get("item", gap["author"]), gap["reason"]))
            continue
        record = Record.from_wire(item["record"])
        told.append((record.id, item["reposter"]) if "reposter" in item else record.id)
    return told


async def sees(client: Client, expected: list[Any], method: str, **params: Any) -> None:
    """Wait until a feed is these items and no others."""
    seen: list[Any] = []

    async def is_so() -> bool:
        try:
            seen[:] = said(await pages(client, method, **params))
        except WireError as error:
            assert error.kind is BUSY, "a node that has just started has yet to read all ranges"
            return False
        return seen == expected

    try:
        await until(is_so, what=f"{method} to be as expected", within_s=SEEN_S)
    except AssertionError as error:
        raise AssertionError(f"{error}\nseen {seen}\nexpected {expected}") from None
