"""The watcher: who it says has come back, and what it does when it cannot remember where members are."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from folkmoot.node.actors.watcher import PAUSE_S, Watcher
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.gossip.members import Description, Endpoint, Member
from folkmoot.storage.errors import DiskFull


def member(number: int) -> Member:
    at = Endpoint("192.0.2.1", 7000 + number)
    return Member.alive(bytes((number,)) * 16, Description(f"node-{number}", "eu", at, at, at, {}), 1)


def addresses(*numbers: int) -> list[Address]:
    return [Address("192.0.2.1", 7000 + number) for number in numbers]


class Town:
    """Members that a test brings, and what the watcher makes of them."""

    def __init__(self) -> None:
        self.own = member(1)
        self.present = {self.own.node_id: self.own}
        self.returned: list[bytes] = []
        self.kept: list[list[Address]] = []
        self.refusals: list[Exception] = []
        self._changes = 0
        self._changed = trio.lowlevel.ParkingLot()

    def members(self) -> Mapping[bytes, Member]:
        return self.present

    async def wait_changed(self, seen: int) -> int:
        while seen == self._changes:
            await self._changed.park()
        return self._changes

    async def bring(self, number: int) -> None:
        """A member joins, and everyone who wants to has looked."""
        self.present[member(number).node_id] = member(number)
        self._changes += 1
        self._changed.unpark_all()
        with trio.move_on_after(10 * PAUSE_S):  # of virtual time
            await trio.sleep_forever()

    async def keep(self, where: Sequence[Address]) -> None:
        if self.refusals:
            raise self.refusals.pop()
        self.kept.append(list(where))


@asynccontextmanager
async def watched() -> AsyncIterator[Town]:
    town = Town()
    watcher = Watcher(
        town, on_roster=lambda node_id: True, returned=town.returned.append, keep_addresses=town.keep
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.run)
        yield town
        nursery.cancel_scope.cancel()


async def test_who_comes_is_told_once_and_remembered(autojump_clock: trio.testing.MockClock) -> None:
    async with watched() as town:
        await town.bring(2)
        await town.bring(3)
        assert town.returned == [member(2).node_id, member(3).node_id]
        assert town.kept == [addresses(2), addresses(2, 3)]


@pytest.mark.parametrize("refusal", [DiskFull("no room"), WireError(BUSY, "too many writes")], ids=repr)
async def test_a_store_that_refuses_ends_nothing_and_is_asked_again(
    refusal: Exception, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with watched() as town:
        town.refusals.append(refusal)
        await town.bring(2)
        assert town.kept == [] and "not remembered" in caplog.text
        await town.bring(3)
        assert town.returned == [member(2).node_id, member(3).node_id]
        assert town.kept == [addresses(2, 3)]
