"""Pages that a node tells: all of them are gathered, no more are asked for, what is missing is said once."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio
from folkmoot.cli.auditing.gathering import gather as audit
from folkmoot.cli.moderating.pages import all_pages
from folkmoot.cli.moderating.queue import Queue, waiting
from folkmoot.protocol.moderation.bounds import QUEUE_ITEMS


class Node:
    """Tells numbers, two a page unless another limit is asked for.

    Attributes:
        asked: what was asked, in order.
    """

    def __init__(self, items: int, missing: list[list[int]]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._items, self._missing = [{"number": each} for each in range(items)], missing

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        missing = self._missing[len(self.asked) % len(self._missing)]
        self.asked.append(params)
        first = int.from_bytes(params.get("cursor", b"\0"), "big")
        after = first + params.get("limit", 2)
        items = self._items[first:after]
        cursor = None if after >= len(self._items) else after.to_bytes(2, "big")
        told = {"items": items, "numbers": [["sw", "", {"posts": 1}]]}
        return {**told, "missing": missing, "cursor": cursor}


def test_what_is_missing_is_said_once() -> None:
    missing = [[7, 7], [7], [8, 7]]
    node = cast("Any", Node(6, missing))
    gathered = trio.run(lambda: all_pages(node, "any"))
    assert [each["number"] for each in gathered.items] == list(range(6)) and gathered.missing == [7, 8]
    tally, silent = trio.run(lambda: audit(node, "language", 9, b""))
    assert silent == [7, 8] and tally.of("sw").posts == 3
    whole = trio.run(lambda: waiting(cast("Any", Node(3 * QUEUE_ITEMS, missing)), 1_000))
    assert whole.missing == [7, 8] and not whole.has_more


@pytest.mark.parametrize(
    ("items", "most", "found", "has_more", "asked"),
    [
        (0, 5, 0, False, 1),
        (5, 5, 5, False, 1),
        (6, 5, 5, True, 1),
        (QUEUE_ITEMS + 3, QUEUE_ITEMS + 5, QUEUE_ITEMS + 3, False, 2),
        (QUEUE_ITEMS + 3, QUEUE_ITEMS + 2, QUEUE_ITEMS + 2, True, 2),
        (9 * QUEUE_ITEMS, 2 * QUEUE_ITEMS, 2 * QUEUE_ITEMS, True, 2),
    ],
)
def test_no_more_of_what_waits_is_asked_for_than_is_wanted(
    items: int, most: int, found: int, has_more: bool, asked: int
) -> None:
    node = Node(items, [[]])
    queue: Queue = trio.run(lambda: waiting(cast("Any", node), most, b"a" * 34))
    assert [each["number"] for each in queue.items] == list(range(found)) and queue.has_more == has_more
    assert len(node.asked) == asked and all(each["limit"] <= QUEUE_ITEMS for each in node.asked)
    assert {each["author"] for each in node.asked} == {b"a" * 34}
