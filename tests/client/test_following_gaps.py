"""Following with a client: posts that a node could ask nobody for, among those it tells."""

from __future__ import annotations

from tests.client.stub import StubNode, stub_nodes
from tests.client.test_following import Streams, client_of, post, wire


async def test_a_gap_among_items_is_given_out_with_what_comes_with_it() -> None:
    one, two = post(1), post(2)
    gap = {"gap": {"author": one.author, "item": one.item, "reason": "unreachable"}}
    node = StubNode()
    Streams(node, lambda tell, link: tell(cursor=b"one", items=[gap, *wire(two)]))
    async with stub_nodes(node), client_of(node) as client:
        event = await anext(client.follow({"home": one.author}, credit=10))
        assert event.items == [gap, *wire(two)] and event.cursor == b"one"
