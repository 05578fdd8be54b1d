"""Runs tell what any part of a heavy block comes to, whatever was added to it and in whatever order."""

from __future__ import annotations

from itertools import pairwise

from folkmoot.protocol.limits import SYNC_RUN_LEAVES
from folkmoot.protocol.sync.fingerprint import EMPTY, Fingerprint, Leaf, leaf_hash
from folkmoot.protocol.sync.runs import Runs
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sync.replicas import Replica

START, END = b"\x10", b"\x20"
# Batches of neighbouring keys, each so many from so far on: some fill a run, some hardly touch one.
BATCHES = st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 900)), max_size=6)


class Block:
    """A block that grows, and what was read of it."""

    def __init__(self) -> None:
        self.cells: dict[bytes, bytes] = {}
        self.read = 0

    def scan(self, start: bytes, end: bytes) -> list[Leaf]:
        found = [
            (key, leaf_hash(key, cell))
            for key, cell in sorted(self.cells.items())
            if start <= key and (end == b"" or key < end)
        ]
        self.read += len(found)
        return found

    def put(self, first: int, count: int, cell: bytes) -> list[bytes]:
        """Put some neighbouring cells; returns their keys."""
        keys = [key_at(number) for number in range(first, first + count)]
        self.cells.update(dict.fromkeys(keys, cell))
        return keys


def key_at(number: int) -> bytes:
    return START + number.to_bytes(2, "big")


def sizes(runs: Runs) -> list[int]:
    return [runs.total(range(number, number + 1)).count for number in range(len(runs))]


@settings(max_examples=50, deadline=None)
@given(BATCHES, BATCHES, st.sampled_from([END, b""]), st.integers(0, 4_000), st.integers(0, 4_000))
def test_renewed_runs_say_what_runs_read_anew_say(
    before: list[tuple[int, int]], after: list[tuple[int, int]], end: bytes, one: int, other: int
) -> None:
    block = Block()
    for first, count in before:
        block.put(first, count, b"old")
    runs = Runs.of(START, end, block.scan)
    for first, count in after:
        changed = block.put(first, count, b"new")
        runs = runs.renewed(runs.holding(changed), block.scan)
    assert sum(sizes(runs)) == len(block.cells)
    low, high = key_at(min(one, other)), key_at(max(one, other))
    whole = runs.inside(low, high)
    if whole:
        stretch = runs.bound(whole.start), runs.bound(whole.stop)
        assert low <= stretch[0] < stretch[1] <= high
        assert runs.total(whole) == Fingerprint.of(leaf for _, leaf in block.scan(*stretch))
    everything = runs.inside(START, end)
    assert (runs.bound(everything.start), runs.bound(everything.stop)) == (START, end)


@given(BATCHES)
@settings(max_examples=50, deadline=None)
def test_runs_become_neither_long_nor_many(batches: list[tuple[int, int]]) -> None:
    block = Block()
    runs = Runs.of(START, END, block.scan)
    for first, count in batches:
        runs = runs.renewed(runs.holding(block.put(first, count, b"")), block.scan)
    assert max(sizes(runs)) < 2 * SYNC_RUN_LEAVES
    assert len(runs) == 1 or min(sizes(runs)) >= SYNC_RUN_LEAVES


def test_of_an_empty_block_there_is_one_run() -> None:
    runs = Runs.of(START, END, Block().scan)
    assert (len(runs), runs.total(runs.inside(START, END))) == (1, EMPTY)


def test_only_runs_that_changed_are_read_again() -> None:
    block = Block()
    block.put(0, 20 * SYNC_RUN_LEAVES, b"old")
    runs = Runs.of(START, END, block.scan)
    assert block.read == 20 * SYNC_RUN_LEAVES
    changed = [*block.put(0, 1, b"new"), *block.put(5_000, 1, b"new"), b"\x0f\xff", b"\x20\x00"]
    block.read = 0
    holding = runs.holding(changed)
    assert holding == {0, 5_000 // SYNC_RUN_LEAVES}
    runs.renewed(holding, block.scan)
    assert block.read == 2 * SYNC_RUN_LEAVES


def test_keys_past_the_end_of_the_last_block_are_not_looked_for() -> None:
    runs = Runs([(b"\xff\xf0", EMPTY), (b"\xff\xf8", EMPTY)], b"")
    assert runs.holding([b"\xff\xef", b"\xff\xf7", b"\xff\xff\xff"]) == {0, 1}
    assert runs.inside(b"\xff\xf0", b"") == range(0, 2)
    assert runs.inside(b"\xff\xf1", b"") == range(1, 2)
    assert runs.inside(b"\xff\xf0", b"\xff\xf9") == range(0, 1)
    assert not runs.inside(b"\xff\xf1", b"\xff\xf2")


@settings(max_examples=50, deadline=None)
@given(
    st.sets(st.integers(0, 2_000), max_size=8),
    st.integers(1, 1_500),
    st.sampled_from([b"\x00\x07", b"\x07\x77", b"\xff\xf7"]),
)
def test_a_view_with_runs_reads_as_one_without(marks: set[int], count: int, place: bytes) -> None:
    # Light blocks lie on both sides of the heavy one, or it is the first or the last there is.
    cells = {place + number.to_bytes(2, "big"): b"" for number in range(count)}
    cells |= {b"\x06\x00a": b"", b"\x07\x80b": b"", b"\xff\xff\xff": b""}
    replica = Replica(cells)
    view, plain = replica.blocked(plain_cells=2), replica.plain()
    within = {place + mark.to_bytes(2, "big") for mark in marks}
    bounds = [b"", *sorted(within | {b"\x07\x80", b"\xff\xff"}), b""]
    for start, end in [*pairwise(bounds), *((bound, b"") for bound in bounds)]:
        assert view.fingerprint(start, end) == plain.fingerprint(start, end)
        cuts = view.split(start, end, 16)
        pieces = [plain.fingerprint(low, high).count for low, high in pairwise([start, *cuts, end])]
        assert len(cuts) < 16
        assert not cuts or min(pieces) >= 1
        assert bool(cuts) == (sum(pieces) >= 2)
