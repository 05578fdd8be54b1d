"""Joins: the cells of many messages in one commit, and no message spoiled by another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.actors.peer_service import JOIN, PeerService
from folkmoot.node.actors.replica import Replica
from folkmoot.node.commits import ThreadCommits
from folkmoot.node.contracts import CellBatch, Joined, Put, PutResult
from folkmoot.node.rpc import TaskServer
from folkmoot.node.system import SystemWallClock
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell, encode_single
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import held_key, lane_of
from folkmoot.protocol.record import Record
from folkmoot.storage.interface import Table
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.store import Owner, Store

from tests.node.doubles import Counting, Everybody, InlineExecutor, Lanes, NoReplication
from tests.node.people import Author

JOINED = {"changed": 1, "damaged": [], "mark": [1, 1]}

HERE, THERE = b"here" * 4, b"ther" * 4


class Kept:
    """A replica on disk, with the service that peers ask."""

    def __init__(self, directory: Path) -> None:
        engine = LmdbEngine(directory, cap_bytes=1 << 26)
        store = Store(engine, owner=Owner(HERE, "test"), fresh_log_id=bytes(16))
        self.commits = ThreadCommits(store)
        self.topology = Lanes(lambda lane: (HERE, THERE))
        executor, everybody = InlineExecutor(), Everybody()
        self.replica = Replica(
            HERE,
            self.commits,
            self.topology,
            everybody,
            NoReplication(),
            executor,
            SystemWallClock(),
            frozenset,
        )
        self.service = PeerService(self.replica, self.replica, self.topology, executor, Counting(), {})

    @property
    def commit_count(self) -> int:
        return self.commits.store.engine.commits

    def cell(self, record: Record) -> bytes | None:
        return self.commits.store.get_cell(record.key)

    def damage(self, record: Record) -> None:
        """Flip a bit of a row behind the store's back."""
        with self.commits.store.engine.begin(write=True) as transaction:
            row = transaction.get(Table.CELLS, record.key)
            assert row is not None
            transaction.put(Table.CELLS, record.key, row[:-1] + bytes((row[-1] ^ 1,)))
            transaction.commit()


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    found = Kept(tmp_path)
    yield found
    await found.commits.aclose()


def batch(*records: Record, epoch: int = 1) -> CellBatch:
    return CellBatch(
        {lane_of(record.key): epoch for record in records},
        [record.key for record in records],
        [encode_single(record.payload, record.signature) for record in records],
    )


def names(answers: list[Joined | WireError]) -> list[int | str]:
    return [answer.kind.name if isinstance(answer, WireError) else answer.changed for answer in answers]


async def test_what_came_together_is_one_commit(kept: Kept) -> None:
    posts = [Author(number).post() for number in range(1, 6)]
    before = kept.commit_count
    answers = await kept.replica.join_all([batch(*posts[:2]), batch(posts[2]), batch(*posts[2:])])
    assert names(answers) == [2, 1, 2], "the third message repeats what the second said"
    assert kept.commit_count - before == 1
    assert all(kept.cell(post) is not None for post in posts)


async def test_a_forged_or_misplaced_cell_spoils_its_own_message_only(kept: Kept) -> None:
    good, other, forged, moved = (Author(number).post() for number in range(1, 5))
    wrong_signature = batch(other, Record(forged.payload, bytes(64)))
    wrong_key = CellBatch({lane_of(good.key): 1}, [good.key], [Cell.of(moved).encode()])
    garbage = CellBatch({lane_of(good.key): 1}, [good.key], [b"garbage"])
    answers = await kept.replica.join_all([wrong_signature, batch(good), wrong_key, garbage])
    assert names(answers) == ["bad_request", 1, "bad_request", "bad_request"]
    assert kept.cell(good) is not None
    assert kept.cell(other) is None, "of a message with a forged record nothing is kept"


async def test_where_a_damaged_cell_stands_nothing_is_kept_and_that_is_said(kept: Kept) -> None:
    damaged, good, other = Author(1).post(), Author(2).post(), Author(3).post()
    await kept.replica.join(batch(damaged))
    kept.damage(damaged)
    edit = Author(1).post("other words", item=damaged.item)
    answers = await kept.replica.join_all([batch(edit, good), batch(other)])
    assert answers == [Joined(1, [damaged.key]), Joined(1, [])]
    assert kept.cell(good) is not None and kept.cell(other) is not None
    assert kept.commits.store.damage.keys == [damaged.key]


async def test_a_held_cell_stands_under_its_held_key(kept: Kept) -> None:
    post = Author(1).post()
    held = CellBatch({lane_of(post.key): 1}, [held_key(post.key)], [Cell.of(post).encode()])
    assert (await kept.replica.join(held)).changed == 1


Ask = Callable[[dict[str, Any]], Awaitable[Any]]


@asynccontextmanager
async def asked_over_a_link(kept: Kept) -> AsyncIterator[Ask]:
    """Speak to the service as the node behind a link does."""
    ours, theirs = trio.testing.memory_stream_pair()

    async def answer(link: Link, method: str, params: Params) -> Any:
        return await kept.service.answer(THERE, method, params)

    async with trio.open_nursery() as nursery:
        await nursery.start(kept.service.run)
        server = TaskServer(nursery, answer, take_batch=kept.service.take_joins)
        serving = Link(theirs, on_requests=server)
        asking = Link(ours)
        nursery.start_soon(serving.run)
        nursery.start_soon(asking.run)

        async def ask(params: dict[str, Any]) -> Any:
            return await asking.call(JOIN, params)

        yield ask
        nursery.cancel_scope.cancel()


async def test_messages_of_one_read_share_a_commit(kept: Kept) -> None:
    posts = [Author(number).post() for number in range(1, 9)]
    before = kept.commit_count
    answers: list[Any] = []

    async def ask_for(ask: Ask, post: Record) -> None:
        answers.append(await ask(batch(post).to_wire()))

    async with asked_over_a_link(kept) as ask, trio.open_nursery() as nursery:
        for post in posts:
            nursery.start_soon(ask_for, ask, post)
    assert answers == [JOINED] * len(posts)
    assert kept.commit_count - before < len(posts) / 2


async def test_an_older_epoch_is_told_ours(kept: Kept) -> None:
    kept.topology.epoch = 3
    async with asked_over_a_link(kept) as ask:
        with pytest.raises(WireError) as refused:
            await ask(batch(Author(1).post(), epoch=2).to_wire())
    assert refused.value.kind.name == "stale_topology"
    assert refused.value.details is not None and refused.value.details["epoch"] == 3
    assert kept.topology.refreshed == []


async def test_a_newer_epoch_is_caught_up_with(kept: Kept) -> None:
    post = Author(1).post()
    async with asked_over_a_link(kept) as ask:
        assert await ask(batch(post, epoch=2).to_wire()) == JOINED
    assert kept.topology.refreshed == [THERE]
    assert kept.cell(post) is not None


async def test_a_message_of_the_wrong_shape_is_refused(kept: Kept) -> None:
    async with asked_over_a_link(kept) as ask:
        with pytest.raises(WireError, match=r"replica\.join"):
            await ask({"ranges": "all of them", "cells": []})


async def test_what_is_fenced_while_a_join_waits_for_its_commit_is_not_kept(kept: Kept) -> None:
    """Its epochs held when it came."""
    record = Author(1).post()
    late = batch(record, epoch=kept.topology.epoch)
    kept.replica.check_epochs(late.ranges, late.keys)
    kept.topology.epoch += 1
    with pytest.raises(WireError, match="is at epoch"):
        await kept.replica.join(late)
    assert kept.cell(record) is None


async def test_what_is_fenced_while_a_put_waits_for_its_commit_is_not_kept(kept: Kept) -> None:
    record = Author(1).post()
    run = kept.commits.run

    async def fenced_first(*args: Any, **kwargs: Any) -> Any:
        kept.topology.epoch += 1
        return await run(*args, **kwargs)

    kept.commits.run = fenced_first  # type: ignore[method-assign]
    results: dict[int, PutResult] = {}
    await kept.replica.put([Put(record)], "one", "eu", results.update)
    assert results[0].status == "refused"
    assert results[0].error is not None and results[0].error["name"] == "stale_topology"
    assert kept.cell(record) is None
