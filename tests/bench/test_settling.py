"""A run begins once every node that answers has made home feeds of the follows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.cli.bench import settling
from folkmoot.cli.bench.settling import settled
from folkmoot.cli.connection import Target
from folkmoot.cli.errors import OperatorError, Unreachable
from folkmoot.cli.output import Output
from folkmoot.protocol.errors import BUSY, WireError

OUTPUT = Output(as_json=True)


class Nodes:
    """Nodes by their addresses, each of which is up to date after some seconds.

    Args:
        late_s: of each node; None for one that does not answer.
    """

    def __init__(self, **late_s: float | None) -> None:
        self.late_s = late_s
        self.seen: list[str] = []

    @asynccontextmanager
    async def open(self, target: Target) -> AsyncIterator[Any]:
        [address] = target.addresses
        if self.late_s[address] is None:
            raise Unreachable(f"{address} does not answer")
        yield _Client(self, address)

    @property
    def target(self) -> Target:
        return Target(addresses=tuple(self.late_s), ca=None, hint="")


class _Client:
    def __init__(self, nodes: Nodes, address: str) -> None:
        self._nodes = nodes
        self._late_s = nodes.late_s[address] or 0.0
        self._address = address
        self._began = trio.current_time()

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        assert method == "cluster.status"
        left_s = self._late_s - (trio.current_time() - self._began)
        if left_s > 20:
            raise WireError(BUSY, "not now")
        if left_s > 15:
            told: dict[str, Any] = {"lag_ms": None}
        elif left_s > 10:
            told = {"lag_ms": 0, "widening": 0.5}
        elif left_s > 5:
            told = {"lag_ms": 60_000}
        elif left_s > 0:
            told = {"lag_ms": 10, "backfills": 3}
        else:
            told = {"lag_ms": 10, "backfills": 0}
            self._nodes.seen.append(self._address)
        return {"node": {"projections": told}}


async def test_it_waits_for_the_last_of_those_that_answer(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = Nodes(a=2.0, b=25.0, c=None)
    monkeypatch.setattr(settling, "open_client", nodes.open)
    took_s = await settled(nodes.target, 60.0, OUTPUT)
    assert took_s is not None and 25.0 <= took_s < 27.0
    assert nodes.seen == ["a", "b"]


async def test_what_was_acknowledged_a_moment_ago_is_waited_for(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = Nodes(a=0.0)
    monkeypatch.setattr(settling, "open_client", nodes.open)
    took_s = await settled(nodes.target, 60.0, OUTPUT)
    assert took_s is not None and took_s > settling.MOMENT_S


async def test_it_gives_up_and_says_for_whom_it_waited(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = Nodes(a=1.0, b=34.0)
    monkeypatch.setattr(settling, "open_client", nodes.open)
    with pytest.raises(OperatorError, match="b has 3 home feeds or more to fill") as raised:
        await settled(nodes.target, 30.0, OUTPUT)
    assert "a has" not in str(raised.value)


async def test_nobody_has_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "open_client", None)
    assert await settled(Nodes(a=9.0).target, 0.0, OUTPUT) is None
