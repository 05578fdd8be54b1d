"""Reconciliation finds exactly the difference, in few rounds and bounded frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random

import pytest
from folkmoot.protocol import limits
from folkmoot.protocol.key import block_start
from folkmoot.protocol.sync.reconcile import Initiator, Query, respond
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sync.replicas import Read, Replica, differing, exchange, reconcile

READS = [Replica.plain, Replica.blocked]

# Runs of near neighbours and lone keys, so that sets are uneven.
KEYS = st.one_of(
    st.integers(0, 400).map(lambda number: b"\x33\x33" + number.to_bytes(2, "big")),
    st.binary(min_size=2, max_size=6),
)
CELLS = st.dictionaries(KEYS, st.sampled_from([b"", b"1", b"2"]), max_size=150)


def many(count: int, seed: int, place: bytes = b"") -> dict[bytes, bytes]:
    """Keys of the size real ones have; all under one place, if one is given."""
    random = Random(seed)
    return {(place or random.randbytes(40)) + b"\x01" + random.randbytes(16): b"cell" for _ in range(count)}


@pytest.mark.parametrize("read", READS)
@given(one=CELLS, other=CELLS)
def test_two_arbitrary_sets_come_to_know_their_difference(
    read: Read, one: dict[bytes, bytes], other: dict[bytes, bytes]
) -> None:
    needs, pushes, _ = reconcile(Replica(one), Replica(other), read)
    assert len(needs) == len(set(needs))
    assert len(pushes) == len(set(pushes))
    assert (set(needs), set(pushes)) == differing(Replica(one), Replica(other))


@given(CELLS, CELLS, st.tuples(KEYS, KEYS).filter(lambda pair: pair[0] < pair[1]))
def test_only_the_range_is_compared(
    one: dict[bytes, bytes], other: dict[bytes, bytes], bounds: tuple[bytes, bytes]
) -> None:
    start, end = bounds

    def inside(cells: Mapping[bytes, bytes]) -> Replica:
        return Replica({key: cell for key, cell in cells.items() if start <= key < end})

    needs, pushes, _ = reconcile(Replica(one), Replica(other), start=start, end=end)
    assert (set(needs), set(pushes)) == differing(inside(one), inside(other))


@pytest.mark.parametrize("place", [b"", b"\x77" * 40], ids=["spread", "one account"])
@pytest.mark.parametrize("count", [1, 31, 33, 600, 20_000])
def test_rounds_grow_with_the_logarithm(count: int, place: bytes) -> None:
    cells = many(count, 1, place)
    other = dict(cells)
    changed = Random(2).choice(sorted(cells))
    other[changed] = b"newer"
    needs, pushes, rounds = reconcile(Replica(cells), Replica(other))
    assert needs == pushes == [changed]
    # One level a factor of 16, one more because blocks are not quite equal, and one for the lists.
    assert rounds <= math.ceil(math.log(max(count / limits.SYNC_LIST_ITEMS, 1), limits.SYNC_BUCKETS)) + 2


def test_equal_sets_cost_one_round_and_no_scan() -> None:
    one, other = Replica(many(5_000, 3)), Replica(many(5_000, 3))
    assert reconcile(one, other) == ([], [], 1)
    assert one.leaves_scanned == other.leaves_scanned == 0


@pytest.mark.parametrize(("mine", "theirs"), [(0, 6_000), (6_000, 0), (10, 6_000), (6_000, 10)])
def test_one_side_nearly_empty(mine: int, theirs: int) -> None:
    one, other = Replica(many(mine, 4)), Replica(many(theirs, 5))
    needs, pushes, rounds = reconcile(one, other)
    assert (set(needs), set(pushes)) == differing(one, other)
    # What must be listed fills frames; narrowing comes on top.
    listed = theirs * (57 + 40) / limits.SYNC_FRAME_BYTES + mine / limits.SYNC_PAGE_ITEMS
    assert rounds <= 2 * listed + 12


def test_many_scattered_differences_in_a_large_set() -> None:
    cells = many(20_000, 6)
    other = dict(cells)
    random = Random(7)
    for key in random.sample(sorted(cells), 300):
        del other[key]
    for key in random.sample(sorted(other), 300):
        other[key] = b"newer"
    needs, pushes, rounds = reconcile(Replica(cells), Replica(other))
    assert (set(needs), set(pushes)) == differing(Replica(cells), Replica(other))
    assert rounds <= 80


def play(one: Replica, other: Replica, random: Random, *, changes: int = 0) -> None:
    """Reconcile with several queries under way, replies lost or late, and sets that change meanwhile."""
    initiator = Initiator(one.blocked(), b"", b"")
    window: list[Query] = []
    while not initiator.done:
        query = initiator.next_query() if len(window) < 3 else None
        if query is not None:
            window.append(query)
            continue
        query = window.pop(random.randrange(len(window)))
        fate = random.random()
        if fate < 0.2:
            initiator.retry(query)
            continue
        found = exchange(initiator, query, one.blocked(), other.blocked())
        for key in found.needs:
            one.cells[key] = max(one.cells.get(key, b""), other.cells.get(key, b""))
        for key in found.pushes:
            other.cells[key] = max(one.cells.get(key, b""), other.cells.get(key, b""))
        if changes:
            changes -= 1
            random.choice((one, other)).cells[random.randbytes(3)] = random.randbytes(1)
    assert initiator.statistics().pending == initiator.statistics().asking == 0


@settings(max_examples=50)
@given(CELLS, CELLS, st.integers(0, 2**32), st.integers(0, 40))
def test_loss_reordering_and_change_only_make_it_later(
    one: dict[bytes, bytes], other: dict[bytes, bytes], seed: int, changes: int
) -> None:
    left, right = Replica(one), Replica(other)
    play(left, right, Random(seed), changes=changes)
    play(left, right, Random(seed + 1))
    assert left.cells == right.cells


def test_replies_are_one_pass_over_the_data() -> None:
    one, other = Replica(many(4_000, 8)), Replica(many(4_000, 9))
    mine = one.blocked()
    initiator = Initiator(mine, b"", b"")
    while (query := initiator.next_query()) is not None:
        view = other.blocked()
        other.leaves_scanned = 0
        reply = respond(view, b"", b"", query.frame)
        # Fingerprint, split, and the buckets' fingerprints: at most three readings of any leaf.
        assert other.leaves_scanned <= 3 * len(other.cells)
        initiator.receive(mine, query, reply)
    assert initiator.done


@pytest.mark.parametrize(
    ("mine", "theirs"), [(1, 1), (1, 8), (8, 1)], ids=["alike", "less there", "less here"]
)
def test_no_frame_is_about_more_leaves_than_it_may(mine: int, theirs: int) -> None:
    # Blocks that are read, being just too light for runs, of which one side may have an eighth.
    blocks, each = 30, limits.STORE_BLOCK_PLAIN_CELLS
    cells = [
        (number, block_start(number % blocks) + key) for number, key in enumerate(many(blocks * each, 12))
    ]
    one = Replica({key: b"one" for number, key in cells if number // blocks % mine == 0})
    other = Replica({key: b"other" for number, key in cells if number // blocks % theirs == 0})
    views = one.blocked(), other.blocked()
    initiator = Initiator(views[0], b"", b"")
    most_asking = most_answering = 0
    while (query := initiator.next_query()) is not None:
        one.leaves_scanned = other.leaves_scanned = 0
        exchange(initiator, query, *views)
        most_asking = max(most_asking, one.leaves_scanned)
        most_answering = max(most_answering, other.leaves_scanned)
    # Beside what a frame may be about, the range that passed it. The side that asks sums up buckets; the
    # other sums up the range, cuts it, and sums up the buckets.
    bound = limits.SYNC_FRAME_LEAVES + len(cells) // limits.SYNC_BUCKETS
    assert 0 < most_asking <= bound
    assert 0 < most_answering <= 3 * bound


def test_what_comes_in_while_a_listing_is_under_way_is_compared_too() -> None:
    cells = many(6_000, 13)
    one, other = Replica({}), Replica(cells)
    initiator = Initiator(one.blocked(), b"", b"")
    query = initiator.next_query()
    assert query is not None
    reply = respond(other.blocked(), b"", b"", query.frame)
    one.cells = {key: b"newer" for number, key in enumerate(sorted(cells)) if number % 2}
    mine = one.blocked()
    found = initiator.receive(mine, query, reply)
    needs, pushes = found.needs, found.pushes
    while (query := initiator.next_query()) is not None:
        found = exchange(initiator, query, mine, other.blocked())
        needs, pushes = needs + found.needs, pushes + found.pushes
    assert sorted(needs) == sorted(cells)
    assert sorted(pushes) == sorted(one.cells)


def test_what_is_pending_is_bounded() -> None:
    one, other = Replica(many(30_000, 10)), Replica(many(30_000, 11))
    mine, theirs = one.blocked(), other.blocked()
    initiator = Initiator(mine, b"", b"")
    most = 0
    while (query := initiator.next_query()) is not None:
        exchange(initiator, query, mine, theirs)
        most = max(most, initiator.statistics().pending)
    assert 0 < most <= limits.SYNC_PENDING_RANGES
    stats = initiator.statistics()
    assert (stats.needs, stats.pushes) == (30_000, 30_000)
