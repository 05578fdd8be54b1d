"""Quotes of what is there no more, as pages show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.record import Record

from tests.node.harness import Client, founded
from tests.node.people import Author
from tests.projections.people import SEEN_S, follow, ref
from tests.projections.test_home import SHAPES, Shape
from tests.waiting import until


async def quotes(client: Client, method: str, **params: Any) -> list[tuple[bytes, str | None]]:
    """The posts on a page, and what they say of what they quote; none before the node has read all ranges."""
    try:
        items = (await client.call(method, **params))["items"]
    except WireError as error:
        assert error.kind is BUSY
        return []
    posts = [item for item in items if "record" in item]
    return [(Record.from_wire(item["record"]).id, item.get("quote_hidden")) for item in posts]


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_quote_of_a_deleted_post_says_so(tmp_path: Path, shape: Shape) -> None:
    ann, ben, cleo = Author(1), Author(2), Author(3)
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        quoted = ann.post("look at this")
        quoting = ben.record("post", ben.item(), {"text": "look", "quote": ref(quoted)})
        await client.put(quoted, quoting, follow(cleo, ben), level="all")
        for reason in (None, "deleted"):
            if reason:
                await client.put(ann.deletion(quoted), level="all")
            for method, params in (
                ("feed.home", {"account": cleo.account}),
                ("feed.author", {"account": ben.account}),
                ("feed.thread", {"author": ben.account, "item": quoting.item}),
            ):

                async def is_said(method: str = method, params: Any = params, reason: Any = reason) -> bool:
                    return await quotes(client, method, **params) == [(quoting.id, reason)]

                await until(is_said, what=f"{method} to say {reason}", within_s=SEEN_S)
