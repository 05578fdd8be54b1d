"""The networks that tests of transports run on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from folkmoot.node.transport.tcp import TcpNetwork

from tests.transport.sockets import (
    Authority,
    plain,
)


@pytest.fixture
def town(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "town")


@pytest.fixture(params=["tls", "off"])
def network(request: pytest.FixtureRequest, town: Authority) -> Callable[[bytes], TcpNetwork]:
    return town.network if request.param == "tls" else plain
