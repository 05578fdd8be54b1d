"""Dialling below the client, where an endpoint may be one that nobody read from text."""

from __future__ import annotations

import pytest
from folkmoot.protocol.client.dialing import Dialler, Endpoint
from folkmoot.protocol.client.errors import Unreachable


@pytest.mark.parametrize("host", ["nodes..example", "a" * 64 + ".example", "a\0b"])
async def test_a_host_that_is_none_is_unreachable(host: str) -> None:
    with pytest.raises(Unreachable):
        await Dialler(None).dial(Endpoint(host, 1))
