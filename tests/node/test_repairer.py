"""The repairer against another over its own store: what damage, refusals and nonsense may cost."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.protocol import codec
from folkmoot.protocol.errors import BUSY, INTERNAL, SHUTTING_DOWN, STALE_TOPOLOGY, WireError
from folkmoot.protocol.key import block_of
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.interface import Table
from folkmoot.storage.rows import block_key, row_cell
from folkmoot.storage.store import Store
from folkmoot.storage.verify import verify

from tests.node.alone import damage
from tests.node.sides import ACCOUNTS, HERE, INTERVAL_S, OTHER, ROUNDS_S, THERE, Side, pair
from tests.storage.making import person, post
from tests.waiting import until


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def test_what_differs_is_made_equal(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with pair() as two:
        await two.until_equal()
        found = two.here.repairer.statistics().equal_at
        await until(lambda: THERE in found, what="to be found equal", within_s=ROUNDS_S)
        statistics = two.here.repairer.statistics()
        assert (statistics.mismatches, statistics.fetched, statistics.pushed) == (4, 12, 12)
        assert two.topology.refreshed == [] and errors_in(caplog) == []


@pytest.mark.parametrize("where", ["here", "there"])
@pytest.mark.parametrize("damaged", [0, 2])
async def test_a_damaged_cell_keeps_no_other_from_being_repaired(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture, where: str, damaged: int
) -> None:
    async with pair() as two:
        side = two.here if where == "here" else two.there
        key = post(person(ACCOUNTS[damaged][2]), 1).key
        damage(side.commits.store, Table.CELLS, key)
        await until(
            lambda: rows_but(key, two.here) == rows_but(key, two.there),
            what="all other cells to be equal",
            within_s=ROUNDS_S,
        )
        assert two.wire.count("sync.compare") == 1, "in the first round already"
        await two.until_compared(2)
        assert side.commits.store.damage.keys == [key]
    assert errors_in(caplog) == []


def rows_but(key: bytes, side: Side) -> dict[bytes, bytes]:
    """The cells of a side, without the one at `key`."""
    with side.commits.store.engine.begin() as transaction:
        return {at: row_cell(at, row) for at, row in transaction.scan(Table.CELLS) if at != key}


async def test_sums_that_differ_where_cells_do_not_are_worked_out_anew(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with pair() as two:
        await two.until_equal()
        store, lost = two.here.commits.store, post(person(ACCOUNTS[1][0]), 1)
        with store.engine.begin(write=True) as transaction:
            transaction.delete(Table.CELLS, lost.key)
            transaction.commit()
        await two.there.keep(post(person(ACCOUNTS[1][0]), 1, "edited", stamp=2))
        await until(
            lambda: bool(errors_in(caplog)) and sums_are_right(store),
            what="the sums to be right",
            within_s=ROUNDS_S,
        )
        await two.until_equal()
        mismatches = two.here.repairer.statistics().mismatches
        await two.until_compared(2)
        assert two.here.repairer.statistics().mismatches == mismatches
    [told] = errors_in(caplog)
    assert told == "1 sums of range 1 were wrong and are worked out anew"


def sums_are_right(store: Store) -> bool:
    return all(finding.table != "blocks" for finding in verify(store.engine).findings)


async def test_damaged_sums_are_told_and_end_nothing(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with pair() as two:
        key = post(person(ACCOUNTS[1][0]), 1).key
        damage(two.here.commits.store, Table.BLOCKS, block_key(block_of(key)))
        await until(lambda: len(errors_in(caplog)) >= 2, what="two rounds", within_s=ROUNDS_S)
    assert all("nothing can be repaired with 74747474" in each for each in errors_in(caplog))


@pytest.mark.parametrize("method", ["sync.compare", "sync.step", "sync.fetch", "replica.join"])
@pytest.mark.parametrize(
    "error",
    [
        WireError(BUSY, "too much to do"),
        WireError(SHUTTING_DOWN, "going"),
        WireError(STALE_TOPOLOGY, "range 0 is at epoch 2 here"),
        PeerUnreachable("nobody there"),
    ],
    ids=repr,
)
async def test_a_peer_that_refuses_is_tried_again(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture, method: str, error: Exception
) -> None:
    """And asked for its topology, when that was why."""
    async with pair() as two:
        two.wire.errors[method].extend([error] * 2)
        await until(lambda: not two.wire.errors[method], what="two refusals", within_s=ROUNDS_S)
        assert not two.equal()
        await two.until_equal()
        stale = isinstance(error, WireError) and error.kind is STALE_TOPOLOGY
        assert two.topology.refreshed == ([THERE] * 2 if stale else [])
    assert errors_in(caplog) == [], "a peer's refusal is no error of this node"


@pytest.mark.parametrize("refusal", [WireError(BUSY, "too many writes"), DiskFull("no room")], ids=repr)
async def test_a_store_here_that_refuses_is_tried_again(
    autojump_clock: trio.testing.MockClock, refusal: Exception
) -> None:
    async with pair() as two:
        two.here.commits.refusals.extend([refusal] * 2)
        await until(lambda: not two.here.commits.refusals, what="two refusals", within_s=ROUNDS_S)
        assert not two.equal()
        await two.until_equal()


JUNK: tuple[Any, ...] = (None, b"", b"junk")
FRAMES: tuple[Any, ...] = ([1, []], [99, [[0]]], [1, [[7]]], {})
RANGES: tuple[Any, ...] = (None, "all", [[1]], [b"1"])
CELLS: tuple[Any, ...] = (None, [], 7, [7], ["text"], [[b"cell"]], [b"junk"])
NONSENSE: dict[str, list[Any]] = {
    "sync.compare": [{}, None, [], *({"different": told} for told in RANGES)],
    "sync.step": [{}, None, 7, *({"frame": told} for told in (*JUNK, *map(codec.pack, FRAMES)))],
    "sync.fetch": [{}, None, [], *({"cells": told} for told in CELLS)],
}


@pytest.mark.parametrize(
    ("method", "nonsense"), [(method, told) for method in NONSENSE for told in NONSENSE[method]], ids=repr
)
async def test_a_peer_that_talks_nonsense_fails_in_so_many_words(
    autojump_clock: trio.testing.MockClock, method: str, nonsense: Any
) -> None:
    """Nothing is joined of it, nothing ends, and once the peer talks sense again they become equal."""
    async with pair() as two:
        before = two.here.cells()
        two.wire.tampers[method] = lambda answer: nonsense
        await two.until_compared(2)
        assert two.here.cells() == before
        del two.wire.tampers[method]
        await two.until_equal()


@pytest.mark.parametrize("nonsense", NONSENSE["sync.compare"], ids=repr)
async def test_nonsense_about_all_ranges_is_a_typed_failure(
    autojump_clock: trio.testing.MockClock, nonsense: Any
) -> None:
    async with pair(running=False) as two:
        two.wire.tampers["sync.compare"] = lambda answer: nonsense
        with pytest.raises(WireError, match=r"the answer to sync\.compare"):
            await two.here.repairer.repair(THERE)
        assert two.here.repairer.statistics().comparisons == 0, "nothing was compared"


@pytest.mark.parametrize("method", ["sync.step", "sync.fetch"])
async def test_nonsense_about_one_range_keeps_no_other_from_being_repaired(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    spoilt = 0

    async with pair(running=False) as two:

        def once(answer: Any) -> Any:
            del two.wire.tampers[method]
            return {}

        two.wire.tampers[method] = once
        assert await two.here.repairer.repair(THERE) == 4
        assert two.equal(spoilt) and not two.equal()
    assert ["range 0 cannot be repaired" in told for told in errors_in(caplog)] == [True]


async def test_ranges_that_nobody_asked_about_do_not_count(autojump_clock: trio.testing.MockClock) -> None:
    async with pair(running=False) as two:
        two.wire.tampers["sync.compare"] = lambda answer: {"different": [*answer["different"], 4, 99, -1]}
        assert await two.here.repairer.repair(THERE) == 4
        assert two.equal()
        assert await two.here.repairer.repair(THERE) == 0
        assert two.here.repairer.statistics().mismatches == 4
        assert THERE in two.here.repairer.statistics().equal_at


async def test_a_peer_without_the_cells_it_listed(autojump_clock: trio.testing.MockClock) -> None:
    """It may have erased them since; what it lacks is sent all the same, and the repair comes to its end."""
    async with pair(running=False) as two:
        ours = two.here.cells()
        two.wire.tampers["sync.fetch"] = lambda answer: {"cells": [None] * len(answer["cells"])}
        assert await two.here.repairer.repair(THERE) == 4
        assert two.here.cells() == ours
        assert two.here.repairer.statistics().fetched == 0
        assert set(ours) <= set(two.there.cells())


async def test_a_peer_that_gives_one_cell_at_a_time(autojump_clock: trio.testing.MockClock) -> None:
    async with pair(running=False) as two:
        two.wire.tampers["sync.fetch"] = lambda answer: {"cells": answer["cells"][:1]}
        await two.here.repairer.repair(THERE)
        assert two.equal()
        assert two.wire.count("sync.fetch") == 12


@pytest.mark.parametrize("returning", [OTHER, THERE], ids=["another", "the same"])
async def test_who_returns_during_a_repair_is_compared_with_right_after_it(
    autojump_clock: trio.testing.MockClock, returning: bytes
) -> None:
    async with pair() as two:
        times: list[tuple[float, bytes]] = []

        async def before(node_id: bytes, method: str) -> None:
            if method == "sync.compare":
                times.append((trio.current_time(), node_id))
            elif len(times) == 1 and two.wire.count("sync.step") == 1:
                two.gossip.gone.discard(returning)
                two.here.repairer.has_returned(returning)

        two.wire.before = before
        await two.until_equal()
        await until(lambda: len(times) >= 5, what="the next comparisons", within_s=ROUNDS_S)
        (first_s, first), (next_s, then) = times[:2]
        assert (first, then) == (THERE, returning)
        assert next_s - first_s < INTERVAL_S / 10, "not when its turn comes: now"
        pauses_s = [later - sooner for (sooner, _), (later, _) in pairwise(times[1:])]
        assert min(pauses_s) > INTERVAL_S / 10, "and only once"
        assert two.wire.asked.index((THERE, "replica.join")) < max(
            at for at, asked in enumerate(two.wire.asked) if asked[1] == "sync.compare"
        ), "the repair under way was not given up"


async def test_who_returned_and_is_gone_again_is_not_asked(autojump_clock: trio.testing.MockClock) -> None:
    async with pair() as two:
        two.here.repairer.has_returned(OTHER)
        await two.until_equal()
        assert all(node_id == THERE for node_id, _ in two.wire.asked)


async def test_a_repairer_answers_what_is_malformed_with_a_typed_error(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with pair(running=False) as two:
        for method, handler in two.there.repairer.methods().items():
            for params in (
                {},
                {"ranges": 7},
                {"range": "0", "epoch": 1},
                {"range": 0, "epoch": 1, "keys": [1]},
            ):
                with pytest.raises(WireError, match=method):
                    await handler(HERE, params)
        for method in ("sync.step", "sync.fetch"):
            with pytest.raises(WireError) as unknown:
                await two.there.repairer.methods()[method](
                    HERE, {"range": 99, "epoch": 1, "frame": b"", "keys": []}
                )
            assert unknown.value.kind is not INTERNAL
