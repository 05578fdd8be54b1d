"""Back-pressure: what is derived does not fall behind without end, and what is broken slows nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.node.actors.projector import Projector
from folkmoot.node.configuration.feeds_section import FeedsSection
from folkmoot.node.projections import pressure
from folkmoot.node.projections.pressure import STUCK_S, Behind, Pressure, Throttle
from folkmoot.protocol.errors import BUSY, WireError
from trio.testing import MockClock

from tests.node.harness import founded
from tests.node.people import Author
from tests.projections.people import tagged
from tests.projections.test_projector import equal_their_recomputation
from tests.waiting import until

BOUND_S = 10.0


class Shop:
    """A node in numbers: clients who bring records, and a projection that applies so many a second.

    Attributes:
        stored, applied: changes.
        made_at: of each change, when it was made.
    """

    def __init__(self, clock: MockClock, capacity: float) -> None:
        self._clock = clock
        self.capacity = capacity
        self.stored = 0
        self.applied = 0
        self.made_at: list[float] = []
        self.pressure = Pressure(lambda: self.stored, {"shop": self}, BOUND_S)
        self._done = 0.0

    def unread(self) -> Iterator[tuple[int, float]]:
        if self.applied < self.stored:
            yield self.applied, 0.0

    @property
    def age_s(self) -> float:
        """What it is really."""
        return trio.current_time() - self.made_at[self.applied] if self.applied < self.stored else 0.0

    def second(self, offered: int, joined: int = 0) -> int:
        """One passes; how many records were admitted of those that clients brought, ten at a time."""
        admitted = sum(10 for _ in range(offered // 10) if not self.pressure.admit(10))
        self.stored += admitted + joined
        self.made_at += [trio.current_time()] * (admitted + joined)
        self._done = min(self._done + self.capacity, self.stored)
        self.applied = int(self._done)
        self._clock.jump(1.0)
        self.pressure.look()
        return admitted


async def test_more_than_can_be_applied_is_turned_away(mock_clock: MockClock) -> None:
    shop = Shop(mock_clock, capacity=100)
    ages, admitted = [], []
    for _ in range(600):
        admitted.append(shop.second(offered=300))
        ages.append(shop.age_s)
    assert max(ages) <= 4 * BOUND_S, "what was taken before it was noticed"
    assert max(ages[120:]) <= 1.5 * BOUND_S, "and three times as much as it can for ten minutes"
    assert sum(admitted[60:]) >= 0.8 * 100 * 540, "and what it can is used"
    for _ in range(60):
        shop.second(offered=50)
    assert shop.pressure.status()["admitted_per_s"] is None and shop.age_s == 0
    assert shop.second(offered=90) == 90


async def test_what_others_send_leaves_clients_less(mock_clock: MockClock) -> None:
    """Joins are never refused, so clients give way to them; but not to nothing."""
    shop = Shop(mock_clock, capacity=100)
    ages, admitted = [], 0
    for _ in range(600):
        admitted += shop.second(offered=300, joined=70)
        ages.append(shop.age_s)
    assert max(ages[300:]) <= 1.5 * BOUND_S and admitted >= 15 * 600


async def test_what_does_not_get_on_slows_nobody(mock_clock: MockClock) -> None:
    shop = Shop(mock_clock, capacity=100)
    for _ in range(60):
        shop.second(offered=300)
    assert shop.pressure.status()["admitted_per_s"] is not None
    shop.capacity = 0
    for _ in range(int(STUCK_S) + 120):
        admitted = shop.second(offered=300)
    assert admitted == 300 and shop.pressure.status()["stuck"] == ["shop"]
    shop.capacity = 100
    for _ in range(10):
        admitted = shop.second(offered=300)
    assert admitted < 300 and shop.pressure.status()["stuck"] == [], "it gets on again, and is waited for"


async def test_what_was_there_before_the_start_leaves_clients_their_share(mock_clock: MockClock) -> None:
    """A node that reads everything anew for minutes is no reason to stop writing."""
    shop = Shop(mock_clock, capacity=100)
    shop.stored, shop.made_at = 20_000, [trio.current_time()] * 20_000
    admitted = [shop.second(offered=300) for _ in range(900)]
    assert sum(admitted[60:600]) >= 0.5 * 100 * 540 and shop.age_s <= 1.5 * BOUND_S


async def test_what_is_not_behind_is_free(mock_clock: MockClock) -> None:
    shop = Shop(mock_clock, capacity=1000)
    for _ in range(100):
        assert shop.second(offered=900) == 900
    assert shop.pressure.status()["refused"] == 0


def test_who_is_turned_away_is_told_when_to_come() -> None:
    throttle = Throttle(BOUND_S)
    throttle.judge(Behind(BOUND_S + 1, 100.0), now=0.0)
    assert throttle.rate == 70.0
    assert throttle.admit(210, now=1.0) == 0, "however much one request has, it comes through"
    assert throttle.admit(1, now=1.0) == 2000
    assert throttle.admit(1, now=2.99) > 0
    assert throttle.admit(1, now=3.01) == 0


async def test_a_projector_that_waits_slows_clients_until_it_has_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pressure, "TICK_S", 0.05)
    gate = trio.Event()
    apply = Projector._apply

    async def waits(*args: Any) -> None:
        await gate.wait()
        await apply(*args)

    async with founded(tmp_path, nodes=1, replicas=1, feeds=FeedsSection(lag_max_s=0.2)) as town:
        slowed = town[0].parts.projections.pressure.status
        people = [Author(number) for number in range(1, 40)]
        async with town.client(town[0]) as client:
            monkeypatch.setattr(Projector, "_apply", waits)
            refused: list[WireError] = []

            async def is_turned_away() -> bool:
                try:
                    await client.put(*(tagged(each, "tea") for each in people))
                except WireError as error:
                    refused.append(error)
                return bool(refused)

            await until(is_turned_away, what="clients to be slowed", within_s=30)
            assert refused[0].kind == BUSY and refused[0].retry_after_ms
            assert slowed()["admitted_per_s"] is not None and slowed()["behind_ms"] > 200
            gate.set()
            await until(lambda: slowed()["admitted_per_s"] is None, what="them to be let in", within_s=30)
            await client.put(people[0].post("again"))
        await equal_their_recomputation(town)
