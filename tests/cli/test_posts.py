"""Posts with their versions, as a node tells them: what is not the author's word is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.posts import PostCell, PostRef, read_post, stamp_after
from folkmoot.protocol.client import Client, History
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.record import Record

from tests.cli.travel import ADA, LIFE, OPERATOR, PHONE, chain, post

FIRST, SECOND, THIRD = (post(7, key, text) for key, text in ((ADA, "a"), (PHONE, "b"), (ADA, "c")))
REF = PostRef(ADA.account, FIRST.item)
CLOCK = {ADA.account.hex(): THIRD.stamp, PHONE.account.hex(): SECOND.stamp}


class Node:
    """Tells one cell, and Ada's history."""

    def __init__(self, cell: dict[str, Any] | None) -> None:
        self.cell = cell

    async def get(self, keys: Sequence[Any], *, level: str, history: bool) -> list[dict[str, Any] | None]:
        assert keys == [(ADA.account, "post", REF.item)] and history
        return [self.cell]

    async def account_history(self, account: bytes, *, current: bool = False) -> History:
        whole = chain(*LIFE)
        return History(account, whole.number, whole.entries)

    async def read(self) -> PostCell:
        return await read_post(cast("Client", self), REF, "quorum")


def cell(*records: Record, **more: Any) -> dict[str, Any]:
    return {"records": [each.to_wire() for each in records], "clock": CLOCK, **more}


async def test_versions_are_told_apart_by_how_many_are_earlier() -> None:
    read = await Node(cell(THIRD, SECOND, FIRST, earlier=1)).read()
    assert (list(read.shown), list(read.earlier)) == ([THIRD, SECOND], [FIRST])
    assert read.clock == {ADA.account: THIRD.stamp, PHONE.account: SECOND.stamp}
    assert not read.deleted


async def test_what_is_said_next_is_newer_than_what_the_device_has_said() -> None:
    ahead = cell(THIRD) | {"clock": {ADA.account.hex(): 2**62}}
    assert stamp_after(await Node(ahead).read(), ADA) == 2**62 + 1
    assert stamp_after(await Node(ahead).read(), PHONE) < 2**62


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        (None, "there is no post"),
        (cell(post(7, OPERATOR)), "never the account's"),
        (cell(post(8)), "another post"),
        (cell(), "another post"),
        (cell(THIRD) | {"clock": {"phone": 1}}, "names no devices"),
        (cell(Record.sign(PHONE, kind="post", item=REF.item, body={"text": "x"}, stamp=1)), "instead"),
    ],
)
async def test_what_is_not_the_post_is_refused(told: dict[str, Any] | None, complaint: str) -> None:
    with pytest.raises(OperatorError, match=complaint):
        await Node(told).read()


@pytest.mark.parametrize(
    "told",
    [
        {"records": "none", "clock": {}},
        {"records": [[b"1", b"2", b"3"]], "clock": {}},
        cell(THIRD, earlier="one"),
        cell(Record(THIRD.payload, bytes(64))),
        {"omitted": True},
    ],
)
async def test_what_is_no_cell_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        await Node(told).read()


@pytest.mark.parametrize("earlier", [5, -3])
async def test_a_count_that_cannot_be_shows_something(earlier: int) -> None:
    assert (await Node(cell(THIRD, FIRST, earlier=earlier)).read()).shown[0] == THIRD
