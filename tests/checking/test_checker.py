"""The check over stand-ins for nodes, on virtual time: it waits, compares, tries again, and gives up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

import pytest
import trio
from folkmoot.cli.checking.checker import Checker, CheckResult, Promises, side_by_side
from folkmoot.cli.checking.replicas import Replica, Replicas
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.journal import Acknowledged
from folkmoot.protocol.client import Client, LinkBroken, Page, Unreachable
from folkmoot.protocol.client.link_terms import Ended
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import INTERNAL, WireError
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from hypothesis import given
from hypothesis import strategies as st

from tests.importing.making import entry, records

IDS = [bytes([number]) * 16 for number in (1, 2, 3)]
MIDDLE = b"\x80"


class StandIn:
    """Stands in for a client of one node.

    Args:
        cells: what it holds.
        ranges: the range map.
        page: cells a page.
        changes: applied to the cells, one more at each look at its status.
    """

    def __init__(
        self,
        cells: Mapping[bytes, bytes],
        ranges: Sequence[RangeDescriptor] = (),
        *,
        page: int = 3,
        changes: Sequence[tuple[bytes, bytes]] = (),
        hints: int = 0,
    ) -> None:
        self.held = dict(cells)
        self.ranges = ranges
        self.page = page
        self.changes = list(changes)
        self.hints = hints
        self.pages_read = 0
        self.fails_after: int | None = None
        self.failure: Exception = LinkBroken(Ended("gone"))

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        await trio.lowlevel.checkpoint()
        if method == "debug.ranges":
            return {"ranges": [each.to_wire() for each in self.ranges[params["first"] : params["first"] + 1]]}
        assert method == "debug.cells"
        if self.pages_read == self.fails_after:
            raise self.failure
        self.pages_read += 1
        if self.changes:
            key, cell = self.changes.pop()
            self.held[key] = cell
        found = [
            [key, self.held[key]]
            for key in sorted(self.held)
            if params["start"] <= key and (not params["end"] or key < params["end"])
        ]
        return {"cells": found[: self.page]}

    async def status(self) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        self.hints = max(0, self.hints - 1)
        hints = {each.hex(): self.hints for each in IDS}
        return {"node": {"hints": hints, "replication": {"queued": 0}, "store": {"sequence": len(self.held)}}}

    async def author_feed(self, account: bytes, *, limit: int) -> AsyncIterator[Page]:
        await trio.lowlevel.checkpoint()
        posts = [Cell.decode(data).winner for data in self.held.values()]
        shown = [
            post for post in posts if post.author == account and post.kind == "post" and not post.deleted
        ]
        yield Page([{"record": post.to_wire()} for post in shown], None)


def replica(number: int, stand_in: StandIn) -> Replica:
    return Replica(IDS[number], f"n{number}", cast(Client, stand_in))


def split_ranges(nodes: int) -> list[RangeDescriptor]:
    """The key space in two halves, each on all nodes."""
    slots = tuple(Slot("eu", (node_id,)) for node_id in IDS[:nodes])
    return [RangeDescriptor(0, 1, b"", MIDDLE, slots), RangeDescriptor(1, 1, MIDDLE, b"", slots)]


def cells_of(made: Sequence[Record]) -> dict[bytes, bytes]:
    return {record.key: Cell.of(record).encode() for record in made}


def promises(made: Sequence[Record]) -> Promises:
    return Promises(Acknowledged.of(each, held=False, level="quorum", time_us=1) for each in made)


async def check(
    stand_ins: Sequence[StandIn], made: Sequence[Record], *, silent: int = 0, deadline_s: float = 20.0
) -> CheckResult:
    reached = {IDS[number]: replica(number, each) for number, each in enumerate(stand_ins)}
    away = {IDS[len(stand_ins) + number]: f"away{number}" for number in range(silent)}
    for each in stand_ins:
        each.ranges = split_ranges(len(stand_ins) + silent)
    return await Checker(Replicas("c", reached, away), promises(made), deadline_s).run()


POSTS = records([entry(number, author=f"a{number}") for number in range(20)])


async def test_equal_replicas_pass_and_everything_is_compared(autojump_clock: Any) -> None:
    result = await check([StandIn(cells_of(POSTS), page=page) for page in (2, 3, 50)], POSTS)
    assert result.passed and result.compared == 20 and result.ranges == 2 and result.at_rest


async def test_it_waits_until_no_hints_are_left(autojump_clock: Any) -> None:
    result = await check([StandIn(cells_of(POSTS), hints=9), StandIn(cells_of(POSTS))], POSTS)
    assert result.passed and result.at_rest and result.seconds > 1.5


async def test_a_cluster_that_never_rests_is_compared_all_the_same(autojump_clock: Any) -> None:
    result = await check([StandIn(cells_of(POSTS), hints=10**6)], POSTS, deadline_s=5.0)
    assert not result.at_rest and result.passed


async def test_a_difference_that_repair_mends_in_time_is_none(autojump_clock: Any) -> None:
    whole = cells_of(POSTS)
    missing = sorted(whole)[7]
    late = StandIn({key: cell for key, cell in whole.items() if key != missing})
    late.page = 50
    late.changes = [(missing, whole[missing]), *[(sorted(whole)[0], whole[sorted(whole)[0]])] * 6]
    result = await check([StandIn(whole, page=50), late], POSTS)
    assert result.passed and late.pages_read > 4


async def test_a_difference_that_stays_has_diverged(autojump_clock: Any) -> None:
    whole = cells_of(POSTS)
    lacking = dict(list(whole.items())[1:])
    result = await check([StandIn(whole), StandIn(lacking)], POSTS)
    assert result.summary()["diverged"] == 1 and not result.passed and result.seconds >= 20


async def test_a_silent_replica_leaves_everything_uncompared(autojump_clock: Any) -> None:
    result = await check([StandIn(cells_of(POSTS)), StandIn(cells_of(POSTS))], POSTS, silent=1)
    assert (result.compared, result.could_not_compare, result.passed) == (0, 20, False)
    assert result.silent == ["away0"]


@pytest.mark.parametrize(
    ("failure", "silent"),
    [
        (LinkBroken(Ended("gone")), ["n1"]),
        (Unreachable("gone"), ["n1"]),
        (WireError(INTERNAL, "damaged"), []),
    ],
)
async def test_a_replica_that_fails_in_the_middle_leaves_the_rest_uncompared(
    autojump_clock: Any, failure: Exception, silent: list[str]
) -> None:
    failing = StandIn(cells_of(POSTS), page=50)
    failing.fails_after, failing.failure = 2, failure
    result = await check([StandIn(cells_of(POSTS), page=50), failing], POSTS)
    assert result.silent == silent and not result.passed
    assert 0 < result.compared < 20 and result.compared + result.could_not_compare == 20


async def test_a_silent_replica_of_empty_ranges_still_counts(autojump_clock: Any) -> None:
    result = await check([StandIn({})], POSTS[:1], silent=1)
    assert result.could_not_compare == 2


async def test_ranges_with_a_hole_are_not_believed() -> None:
    stand_in = StandIn({})
    stand_in.ranges = split_ranges(1)[:1]
    with pytest.raises(OperatorError, match="ranges changed"):
        await replica(0, stand_in).ranges()


KEYS = st.sampled_from([cell_key(POSTS[0].author, "post", bytes([number] * 16)) for number in range(12)])


@given(
    st.lists(
        st.tuples(st.dictionaries(KEYS, st.binary(min_size=1, max_size=2), max_size=12), st.integers(1, 5)),
        min_size=1,
        max_size=3,
    )
)
def test_side_by_side_gives_every_replicas_cells_once_and_in_order(
    held: list[tuple[dict[bytes, bytes], int]],
) -> None:
    async def walk() -> None:
        replicas = [replica(number, StandIn(cells, page=page)) for number, (cells, page) in enumerate(held)]
        gathered: dict[str, list[tuple[bytes, bytes]]] = {each.name: [] for each in replicas}
        ends: list[bytes | None] = []
        async for end, cells in side_by_side(replicas, b"", b""):
            ends.append(end)
            for name, found in cells.items():
                gathered[name] += found.items()
        assert gathered == {f"n{number}": sorted(cells.items()) for number, (cells, _) in enumerate(held)}
        whole = [end for end in ends if end is not None]
        assert ends == [*sorted(whole), None]

    trio.run(walk)
