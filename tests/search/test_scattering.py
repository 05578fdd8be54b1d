"""Whom a search asks, and what it does about those who do not answer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest
import trio
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.search.assigning import assigned
from folkmoot.node.search.gathering import Gathering, Wanted
from folkmoot.node.search.methods import Search
from folkmoot.node.search.scattering import Epochs, Scatter
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.key import kind_prefix, place_prefix
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap, Slot
from folkmoot.protocol.search.bounds import SEARCH_ASK_TIMEOUT_S, SEARCH_TIMEOUT_S
from folkmoot.protocol.search.documents import TIME_MS_MAX
from folkmoot.storage.search.finding import Asked, Found, Hit, member_of
from hypothesis import given
from hypothesis import strategies as st

from tests.node.people import Author

A, B, C = (name * 16 for name in (b"a", b"b", b"c"))


def test_this_node_is_asked_for_all_it_keeps_and_then_whoever_keeps_most() -> None:
    candidates = {1: [A, B], 2: [B, A], 3: [B, C], 4: [B, C], 5: []}
    assert assigned(candidates, A) == {A: [1, 2], B: [3, 4]}
    assert assigned({1: [B], 2: [C]}, A) == {C: [2], B: [1]}
    assert assigned({1: []}, A) == {}


@given(st.dictionaries(st.integers(0, 30), st.lists(st.sampled_from([A, B, C]), unique=True)))
def test_every_range_is_asked_of_one_node_that_keeps_it(candidates: dict[int, list[bytes]]) -> None:
    found = assigned(candidates, A)
    asked = [range_id for ranges in found.values() for range_id in ranges]
    assert sorted(asked) == sorted(range_id for range_id, nodes in candidates.items() if nodes)
    assert all(node in candidates[range_id] for node, ranges in found.items() for range_id in ranges)


class _Slot:
    def __init__(self, reader: bytes) -> None:
        self.reader = reader


class _Range:
    """Stands for a descriptor."""

    def __init__(self, range_id: int, *readers: bytes) -> None:
        self.id, self.epoch, self.slots = range_id, 7, tuple(_Slot(reader) for reader in readers)


class _Ranges:
    def __init__(self, *ranges: _Range) -> None:
        self.ranges = ranges


class _Router:
    node_id = A
    counts_itself = True

    def candidates(self, slots: Sequence[_Slot], exclude: Collection[bytes]) -> list[bytes]:
        return sorted({slot.reader for slot in slots} - set(exclude))


def scatter(*ranges: _Range) -> Scatter:
    router: Any = _Router()
    peers: Any = None
    known: Any = _Ranges(*ranges)
    return Scatter(router, peers, lambda: known)


async def test_who_fails_has_its_ranges_asked_of_others(autojump_clock: Any) -> None:
    asked: list[tuple[bytes, Epochs]] = []

    async def ask(node_id: bytes, some: Epochs) -> Collection[int]:
        asked.append((node_id, some))
        if node_id == B:
            raise PeerUnreachable("gone")
        return [range_id for range_id, _ in some]

    failed: set[bytes] = set()
    covered = await scatter(_Range(1, A), _Range(2, B, C), _Range(3, B)).over_ranges(ask, failed)
    assert covered == {1, 2}
    assert failed == {B}
    assert sorted(asked[:2]) == [(A, [(1, 7)]), (B, [(2, 7), (3, 7)])], "at once, in any order"
    assert asked[2:] == [(C, [(2, 7)])]


async def test_nobody_is_waited_for_long(autojump_clock: Any) -> None:
    async def ask(node_id: bytes, some: Epochs) -> Collection[int]:
        if node_id != A:
            await trio.sleep_forever()
        return [range_id for range_id, _ in some]

    began_s = trio.current_time()
    assert await scatter(_Range(1, A), _Range(2, B, C)).over_ranges(ask, set()) == {1}
    assert trio.current_time() - began_s <= SEARCH_TIMEOUT_S
    assert 2 * SEARCH_ASK_TIMEOUT_S <= SEARCH_TIMEOUT_S


async def test_what_was_not_answered_for_is_not_covered(autojump_clock: Any) -> None:
    async def ask(node_id: bytes, some: Epochs) -> Collection[int]:
        return [1, 99]

    failed: set[bytes] = set()
    assert await scatter(_Range(1, B), _Range(2, B)).over_ranges(ask, failed) == {1}
    assert failed == {B}


class _Read:
    def __init__(self, cells: list[bytes | None]) -> None:
        self.cells = cells


class _Reading:
    """Tells what profiles say; `missing` have none."""

    def __init__(self, *said: Record) -> None:
        self.said = {record.key: record for record in said}

    async def get(self, keys: Sequence[bytes], level: str, token: Any) -> Any:
        return _Read([Cell.of(self.said[key]).encode() if key in self.said else None for key in keys])


@pytest.mark.parametrize("split", [True, False])
async def test_whose_profile_lies_elsewhere_is_looked_up(split: bool) -> None:
    ann, ben = Author(1), Author(2)
    post, other = ann.post(), ben.post()

    slots = (Slot("eu", (A,)),)
    between = kind_prefix(ann.account, "profile") if split else place_prefix(ann.account)
    ranges = RangeMap(
        (RangeDescriptor(0, 1, b"", between, slots), RangeDescriptor(1, 1, between, b"", slots))
    )
    anything: Any = None
    reading: Any = _Reading(ann.record("profile", b"searchable", {"value": False}))
    search = Search(anything, lambda: ranges, anything, anything, reading, anything, anything)
    hits = [Hit(0, member_of(each.key)) for each in (post, other)]
    assert await search.hidden(hits) == (frozenset({ann.account}) if split else frozenset())


class _Index:
    """Answers with what it is told to, one look after the other, each of which takes a while."""

    def __init__(self, *looks: Found, takes_s: float = 0.0) -> None:
        self.looks = list(looks)
        self.asked: list[Asked] = []
        self._takes_s = takes_s

    async def find(self, asked: Asked, keeps: Any) -> Found:
        self.asked.append(asked)
        with trio.move_on_after(self._takes_s):
            await trio.sleep_forever()
        return self.looks[min(len(self.asked), len(self.looks)) - 1]

    def lag_s(self) -> float:
        return 0.0


def _reached(time_ms: int) -> Hit:
    return Hit(0, time_ms.to_bytes(6, "big") + b"\xff" * 42)


def _hit(time_ms: int) -> Hit:
    return Hit(0, make_uuid7(time_ms, 1) + bytes(32))


async def _gathered(index: _Index, *, best: bool = False, limit: int = 5) -> tuple[list[Hit], set[int]]:
    gathering = Gathering(scatter(_Range(1, A)), index)
    found = await gathering.gather(Wanted("tea", {}, best, TIME_MS_MAX), None, limit, set())
    return found.hits, found.covered


async def test_looking_goes_on_past_what_is_in_the_way(autojump_clock: Any) -> None:
    hits = [_hit(90), _hit(70), _hit(60)]
    index = _Index(Found(hits[:1], _reached(80)), Found([], _reached(75)), Found(hits[1:]))
    assert await _gathered(index) == (hits, {1})
    assert [(each.after, each.limit) for each in index.asked] == [
        (None, 5),
        (_reached(80), 4),
        (_reached(75), 4),
    ]


@pytest.mark.parametrize(
    ("index", "best"),
    [
        (_Index(Found([], _reached(80))), False),
        (_Index(*(Found([], _reached(999 - number)) for number in range(99)), takes_s=0.1), False),
        (_Index(Found([], _reached(80))), True),
    ],
    ids=["stuck", "slow", "best"],
)
async def test_what_was_not_looked_through_is_not_covered(
    autojump_clock: Any, index: _Index, best: bool
) -> None:
    began_s = trio.current_time()
    assert await _gathered(index, best=best) == ([], set())
    assert trio.current_time() - began_s < SEARCH_ASK_TIMEOUT_S and len(index.asked) < 20
