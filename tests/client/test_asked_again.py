"""What a client asks again by itself, since asking twice does nothing that asking once does not."""

from __future__ import annotations

import pytest
from folkmoot.protocol.client import connect
from folkmoot.protocol.errors import LEVEL_UNREACHABLE, WireError

from tests.client.stub import StubNode, stub_nodes
from tests.client.test_client import failing_once


@pytest.mark.parametrize("method", ["moderation.samples", "moderation.texts", "label.definitions"])
async def test_what_only_reads_is_asked_again(method: str) -> None:
    node = StubNode()
    node.answers[method] = failing_once(WireError(LEVEL_UNREACHABLE, "no", retry_after_ms=1), {"items": []})
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        assert await client.call(method, {}) == {"items": []}
        assert len(node.answered(method)) == 2
