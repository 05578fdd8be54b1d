"""A feed is the author's own word: whatever no key of the account has signed is refused, whoever sends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from folkmoot.cli.commands.feed import _pages
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.feeds import described_item, item_lines
from folkmoot.cli.users.who import Who
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.client import Client, History
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.record import Record

from tests.cli.travel import ADA, LIFE, LOST, OPERATOR, PHONE, chain, post


class Node:
    """Tells a feed, and what it knows of the account; the seats know more.

    Attributes:
        asked: how histories were asked for.
    """

    def __init__(self, records: Sequence[Record], known: Chain, decided: Chain) -> None:
        self.records = records
        self.known = known
        self.decided = decided
        self.asked: list[bool] = []

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        return {"items": [{"record": each.to_wire()} for each in self.records], "cursor": None}

    async def account_history(self, account: bytes, *, current: bool = False) -> History:
        self.asked.append(current)
        told = self.decided if current else self.known
        return History(account, told.number, told.entries)

    async def feed(self) -> int:
        _, items, _ = await _pages(cast("Client", self), Who(ADA.account), 10, None)
        return len(items)


def test_what_is_counted_is_one_or_several_and_cautions_come_first() -> None:
    counts = {"likes": 1, "reposts": 2, "replies": 1}
    cautions = [{"source": "warning", "text": "soup", "by": ADA.account}]
    item = {"record": post(1).to_wire(), "labels": [], "counts": counts, "cautions": cautions}
    told = described_item(item)
    told["body"] = {"text": "one\ntwo"}
    heading, *lines = item_lines(told)
    assert heading.endswith("(1 like, 2 reposts, 1 reply)")
    assert lines == ["  [soup]", "  one", "  two", ""]


WHOLE = chain(*LIFE)


@pytest.mark.parametrize(
    ("records", "known", "asked"),
    [
        ([post(1)], chain(), []),
        ([post(1), post(2, PHONE), post(3, LOST)], WHOLE, [False]),
        ([post(2, PHONE)], chain(), [False, True]),
    ],
)
async def test_what_keys_of_the_account_have_signed_is_shown(
    records: list[Record], known: Chain, asked: list[bool]
) -> None:
    node = Node(records, known, WHOLE)
    assert await node.feed() == len(records) and node.asked == asked


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        (post(1, OPERATOR), "which was never the account's"),
        (Record(post(1).payload, bytes(64)), "is not signed by its device's key"),
        (Record.sign(PHONE, kind="post", item=post(1).item, body={"text": "x"}, stamp=1), "instead"),
    ],
)
async def test_what_anybody_else_has_signed_is_refused(record: Record, complaint: str) -> None:
    with pytest.raises((OperatorError, WireError), match=complaint):
        await Node([record], WHOLE, WHOLE).feed()
