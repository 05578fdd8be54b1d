"""What waits for review, as commands go through it: all of it, one account's, or how much each has."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

from folkmoot.cli.moderating.pages import add_missing, pages
from folkmoot.cli.moderating.subjects import Named
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.moderation.bounds import QUEUE_ITEMS
from folkmoot.protocol.moderation.decision import Subject

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


class Queue(NamedTuple):
    """Some of what waits.

    Args:
        items: as `moderation.held` tells of them.
        missing: the numbers of ranges that did not answer.
        has_more: whether more may wait in those that did.
    """

    items: list[dict[str, Any]]
    missing: list[int]
    has_more: bool

    def named(self) -> list[Named]:
        """What the items are about."""
        return [named_in(each) for each in self.items]


def named_in(item: dict[str, Any]) -> Named:
    """What an item of `moderation.held` is about."""
    place, kind, rest = item["key"]
    return Named(place, Subject(kind, rest))


async def waiting(client: Client, most: int, author: bytes | None = None) -> Queue:
    """What waits for review.

    Args:
        client: connected, as somebody who may decide.
        most: at most so many; one or more.
        author: of which account (34 bytes); None for all.
    """
    items: list[dict[str, Any]] = []
    missing: list[int] = []
    asked: dict[str, Any] = {"limit": min(most, QUEUE_ITEMS)} | ({} if author is None else {"author": author})
    async with aclosing(pages(client, "moderation.held", **asked)) as told:
        async for page in told:
            items += page["items"]
            add_missing(missing, page["missing"])
            if len(items) >= most:
                has_more = len(items) > most or page["cursor"] is not None
                return Queue(items[:most], missing, has_more)
    return Queue(items, missing, has_more=False)


def by_author(queue: Queue) -> list[dict[str, Any]]:
    """How much of it each account has, those with the most first."""
    counted = Counter(each.author for each in queue.named())
    ordered = sorted(counted.items(), key=lambda each: (-each[1], each[0]))
    return [{"author": account_to_text(author), "waiting": count} for author, count in ordered]
