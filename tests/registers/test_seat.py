"""A seat on its disk: durable before it answers, and another once its store is not what it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import trio
from folkmoot.node.actors.acceptor import Acceptor
from folkmoot.protocol.consensus import wire
from folkmoot.protocol.consensus.ballot import ZERO, Ballot
from folkmoot.protocol.consensus.configuration import Configuration, Seat
from folkmoot.protocol.consensus.messages import Accept, Accepted, Outdated, Prepare, Query, Refused, Told
from folkmoot.protocol.consensus.value import Value
from folkmoot.protocol.errors import NO_QUORUM, STALE_TOPOLOGY, WireError
from folkmoot.storage.interface import Table

from tests.node.alone import Commits

NODE = b"n" * 16
ANN = b"a" * 16
VALUE = Value(1, b"body", [bytes(16)])


class Sat:
    """A seat alone, on a disk that outlives it."""

    def __init__(self, commits: Commits) -> None:
        self.commits = commits
        self.announced: list[int] = []
        self.random = Random(1)
        self.acceptor = self._new()

    def _new(self) -> Acceptor:
        return Acceptor(NODE, self.commits, self.random, lambda seat: 7, self.announced.append)

    async def boot(self, *, forget: bool = False) -> Acceptor:
        """Start anew from the disk."""
        self.acceptor = self._new()
        await self.acceptor.open(forget=forget)
        self.acceptor.prove()
        return self.acceptor

    @property
    def alone(self) -> Configuration:
        return Configuration(1, [self.acceptor.seat])

    async def prepare(self, counter: int, seen: int = 0) -> wire.AskResult:
        ask = Prepare(self.acceptor.seat.id, self.alone, "roster", Ballot(counter, ANN))
        return await self.acceptor.answer(ask, seen)

    async def accept(self, counter: int) -> wire.AskResult:
        ask = Accept(self.acceptor.seat.id, self.alone, "roster", Ballot(counter, ANN), VALUE, ZERO)
        return await self.acceptor.answer(ask)


@asynccontextmanager
async def sat() -> AsyncIterator[Sat]:
    async with trio.open_nursery() as nursery:
        one = Sat(Commits(NODE, nursery))
        await one.boot()
        yield one
        nursery.cancel_scope.cancel()


async def test_promises_and_values_outlive_the_process(autojump_clock: trio.abc.Clock) -> None:
    async with sat() as one:
        seat = one.acceptor.seat
        assert await one.prepare(5) == wire.AskResult(Told(ZERO, None), 1)
        assert await one.accept(5) == wire.AskResult(Accepted(), 2)
        await one.boot()
        assert (one.acceptor.seat, one.acceptor.configuration) == (seat, one.alone)
        assert await one.prepare(5) == wire.AskResult(Refused(Ballot(5, ANN)), 2)
        query = Query(seat.id, one.alone, "roster")
        assert (await one.acceptor.answer(query)).answer == Told(Ballot(5, ANN), VALUE)
        assert one.announced == [1, 1], "told when it was learned, and at the start"


async def test_it_answers_nothing_before_it_is_proven(autojump_clock: trio.abc.Clock) -> None:
    async with sat() as one:
        unproven = one._new()
        await unproven.open(forget=False)
        params = wire.plain(wire.AskParams(Query(unproven.seat.id, one.alone, "roster")))
        with pytest.raises(WireError) as refused:
            await unproven.methods()[wire.ASK](ANN, params)
        assert refused.value.kind is STALE_TOPOLOGY


async def test_a_seat_that_is_behind_what_it_told_is_another_and_keeps_its_values(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with sat() as one:
        before = one.acceptor.seat
        await one.accept(5)
        with pytest.raises(WireError) as refused:
            await one.prepare(6, seen=2)
        assert refused.value.kind is STALE_TOPOLOGY
        assert one.acceptor.seat.id != before.id
        later = Configuration(2, [one.acceptor.seat])
        query = Query(one.acceptor.seat.id, later, "roster")
        assert (await one.acceptor.answer(query)).answer == Told(Ballot(5, ANN), VALUE)


async def test_a_seat_that_many_find_to_be_behind_is_given_up_once(autojump_clock: trio.abc.Clock) -> None:
    async with sat() as one:
        await one.accept(5)
        lost, drawn = one.acceptor.seat, set()

        async def find() -> None:
            with pytest.raises(WireError):
                await one.acceptor.answer(Prepare(lost.id, one.alone, "roster", Ballot(6, ANN)), 9)
            drawn.add(one.acceptor.seat.id)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(find)
        assert drawn == {one.acceptor.seat.id} and lost.id not in drawn
        later = Configuration(2, [one.acceptor.seat])
        assert await one.acceptor.learn(later) and one.acceptor.configuration == later
        await one.boot()
        assert {one.acceptor.seat.id} == drawn, "the one on disk"


ROWS = pytest.mark.parametrize(
    "row", [(Table.REGISTERS, b"roster"), (Table.META, b"seat")], ids=["register", "seat"]
)


def damage(one: Sat, row: tuple[Table, bytes]) -> None:
    with one.commits.store.engine.begin(write=True) as transaction:
        transaction.put(*row, b"damaged!")
        transaction.commit()


@ROWS
async def test_what_is_damaged_makes_another_seat_of_one_of_three(
    autojump_clock: trio.abc.Clock, row: tuple[Table, bytes]
) -> None:
    async with sat() as one:
        before = one.acceptor.seat
        three = Configuration(1, [before, *(Seat(bytes((n,)) * 16, bytes((n,)) * 16) for n in (1, 2))])
        for name in ("range/1", "roster"):
            ask = Accept(before.id, three, name, Ballot(5, ANN), VALUE, ZERO)
            assert (await one.acceptor.answer(ask)).answer == Accepted()
        damage(one, row)
        with pytest.raises(WireError) as refused:
            await one.acceptor.answer(Prepare(before.id, three, "roster", Ballot(6, ANN)))
        assert refused.value.kind is STALE_TOPOLOGY
        assert one.acceptor.seat.id != before.id
        assert one.commits.store.register_names("", 10) == ["range/1"], "what is whole is kept"


@ROWS
async def test_the_only_seat_keeps_what_is_whole_when_some_is_damaged(
    autojump_clock: trio.abc.Clock, row: tuple[Table, bytes]
) -> None:
    async with sat() as one:
        before = one.acceptor.seat
        other = Accept(before.id, one.alone, "range/1", Ballot(5, ANN), VALUE, ZERO)
        await one.acceptor.answer(other)
        await one.accept(5)
        damage(one, row)
        for _ in range(2):
            with pytest.raises(WireError) as refused:
                await one.prepare(6)
            assert refused.value.kind is NO_QUORUM and "'roster' is damaged" in refused.value.message
        assert one.acceptor.seat == before and one.acceptor.damaged
        query = Query(before.id, one.alone, "range/1")
        assert (await one.acceptor.answer(query)).answer == Told(Ballot(5, ANN), VALUE)
        await one.acceptor.forget_damaged()
        assert one.acceptor.seat == before and not one.acceptor.damaged
        held = VALUE if row[0] is Table.META else None
        assert (await one.prepare(6)).answer == Told(Ballot(5, ANN) if held else ZERO, held)
        assert (await one.acceptor.answer(query)).answer == Told(Ballot(5, ANN), VALUE)
        await one.boot()
        assert (one.acceptor.seat, one.acceptor.configuration) == (before, one.alone)


async def test_founding_again_forgets_everything(autojump_clock: trio.abc.Clock) -> None:
    async with sat() as one:
        before = one.acceptor.seat
        await one.accept(5)
        await one.boot(forget=True)
        assert one.acceptor.seat != before and one.acceptor.configuration is None
        assert one.commits.store.register_names("", 10) == []


async def test_configurations_only_go_up_and_never_leap(autojump_clock: trio.abc.Clock) -> None:
    async with sat() as one:
        others = [Seat(bytes((number,)) * 16, bytes((number,)) * 16) for number in (1, 2, 3)]
        assert await one.acceptor.learn(Configuration(5, others))
        assert await one.acceptor.learn(Configuration(4, others[:1]))
        assert not await one.acceptor.learn(Configuration(2**25, others))
        assert one.acceptor.configuration == Configuration(5, others)
        asked = Prepare(one.acceptor.seat.id, Configuration(4, [one.acceptor.seat]), "roster", Ballot(1, ANN))
        assert (await one.acceptor.answer(asked)).answer == Outdated(Configuration(5, others))


async def test_it_lists_its_registers_page_by_page(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("folkmoot.protocol.limits.REGISTER_NAMES", 2)
    async with sat() as one:
        for name in ("range/1", "range/2", "roster"):
            seat = one.acceptor.seat.id
            await one.acceptor.answer(Prepare(seat, one.alone, name, Ballot(1, ANN)))
        pages: list[Any] = []
        for after in ("", "range/2"):
            asked = wire.plain(wire.NamesParams(one.acceptor.seat.id, one.alone, after))
            pages.append((await one.acceptor.methods()[wire.NAMES](ANN, asked))["names"])
        assert pages == [["range/1", "range/2"], ["roster"]]
        told = await one.acceptor.methods()[wire.SEAT](ANN, {"seat": bytes(16)})
        assert wire.read_seat(told) == wire.SeatResult(one.acceptor.seat.id, one.alone, 7)


async def test_seats_keep_so_many_registers(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from folkmoot.storage import registers
    from folkmoot.storage.errors import DiskFull

    monkeypatch.setattr(registers, "REGISTERS", 1)
    async with sat() as one:
        await one.accept(5)
        seat = one.acceptor.seat.id
        with pytest.raises(DiskFull):
            await one.acceptor.answer(Prepare(seat, one.alone, "another", Ballot(1, ANN)))
        assert (await one.prepare(6)).answer == Told(Ballot(5, ANN), VALUE)
