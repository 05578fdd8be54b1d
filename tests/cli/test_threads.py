"""Finding out what a thread begins with, from what a node tells and where it tells nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.social.threads import answering, first_post
from folkmoot.protocol.client import Client
from folkmoot.protocol.errors import LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.feed.threads import Ref
from folkmoot.protocol.record import Record

from tests.feed.people import ANN, BOB, post, ref

FIRST = post(ANN, number=1)
REPLY = post(BOB, number=2, reply_to=ref(FIRST))
FURTHER = post(ANN, number=3, reply_to=ref(REPLY), root=ref(REPLY))


def named(record: Record) -> Ref:
    return record.author, record.item


class Node:
    """Tells some posts, one in the other's place if need be, and cannot reach others."""

    def __init__(self, *posts: Record, unreached: Sequence[Record] = (), quorum: bool = False) -> None:
        self.posts = {named(each): each for each in posts}
        self.unreached = set(map(named, unreached))
        self.quorum = quorum

    async def get(self, keys: Sequence[Any], *, level: str) -> list[dict[str, Any] | None]:
        refs = [(place, item) for place, _, item in keys]
        if self.unreached & set(refs):
            raise WireError(LEVEL_UNREACHABLE, "no replica can be reached")
        told = self.posts if level == "quorum" or not self.quorum else {}
        return [{"records": [told[ref].to_wire()]} if ref in told else None for ref in refs]

    async def first(self, of: Record) -> Ref:
        return await first_post(cast("Client", self), named(of))


async def test_the_first_post_is_found_from_any() -> None:
    for quorum in (False, True):
        node = Node(FIRST, REPLY, quorum=quorum)
        assert await node.first(FIRST) == await node.first(REPLY) == named(FIRST)
    assert await Node(FIRST, REPLY, FURTHER).first(FURTHER) == named(FIRST)


async def test_what_is_above_and_out_of_reach_ends_the_search() -> None:
    assert await Node(REPLY, FURTHER, unreached=[FIRST]).first(FURTHER) == named(FIRST)
    assert await Node(FURTHER, unreached=[REPLY]).first(FURTHER) == named(REPLY)


async def test_what_cannot_be_looked_at_is_not_answered() -> None:
    gone = Record.sign(ANN, kind="post", item=FIRST.item, body={"deleted": True}, stamp=FIRST.stamp)
    other = Node()
    other.posts[named(FIRST)] = REPLY
    for node, said in (
        (Node(), "there is no post"),
        (Node(gone), "none any more"),
        (Node(unreached=[FIRST]), "cannot be read just now"),
        (other, "told another post"),
    ):
        with pytest.raises(OperatorError, match=said):
            await answering(cast("Client", node), named(FIRST))
