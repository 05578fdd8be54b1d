"""Repairing one large account hashes each of its cells about once, however many frames it takes.

Counted, not timed: what is bounded is the work, on the side that asks and on the one that answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from folkmoot.protocol import limits
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.crdt.cell import encode_single
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import block_of, block_start, cell_key
from folkmoot.protocol.record import Record
from folkmoot.protocol.sync.fingerprint import Fingerprint, leaf_hash
from folkmoot.protocol.sync.reconcile import Initiator, respond
from folkmoot.storage import view as store_view
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.store import Owner, Store

POSTS = 12_000
AUTHOR = KeyPair(bytes(31) + b"\x01")
# What ends of ranges that cut a run add: two runs at most for each bound of a split, three levels deep.
EDGES = 3 * limits.SYNC_BUCKETS * 2 * limits.SYNC_RUN_LEAVES // 4


def cells_of_author(count: int) -> dict[bytes, bytes]:
    """Cells of posts; nobody looks into them here, so that one record is signed for all."""
    one = Record.sign(
        AUTHOR, kind="post", item=make_uuid7(0, 0), body={"text": "hello"}, stamp=1_790_000_000_000_000
    )
    return {
        cell_key(AUTHOR.account, "post", make_uuid7(1_790_000_000_000 + number, number)): encode_single(
            one.payload, one.signature[:60] + number.to_bytes(4, "big")
        )
        for number in range(count)
    }


CELLS = cells_of_author(POSTS)
KEYS = sorted(CELLS)
BLOCK = block_of(KEYS[0])
START, END = block_start(BLOCK // 64 * 64), block_start(BLOCK // 64 * 64 + 64)


class Hashes:
    """Counts leaf hashes while it stands in for `leaf_hash`."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, key: bytes, cell: bytes) -> bytes:
        self.count += 1
        return leaf_hash(key, cell)

    def of(self, work: Callable[[], object]) -> int:
        """How many a piece of work takes."""
        before = self.count
        work()
        return self.count - before


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hashes]:
    counting = Hashes()
    monkeypatch.setattr(store_view, "leaf_hash", counting)
    yield counting


def store_of(cells: dict[bytes, bytes]) -> Store:
    store = Store(MemoryEngine(), owner=Owner(bytes(16), "test"), fresh_log_id=bytes(16))
    join(store, cells)
    return store


def join(store: Store, cells: dict[bytes, bytes]) -> None:
    with store.write() as transaction:
        for key, cell in cells.items():
            transaction.join_cell(key, cell)
        transaction.commit()


@dataclass
class Repaired:
    """What a repair took: leaf hashes in all and in the dearest frame, on each side; and frames."""

    asking: int = 0
    asking_most: int = 0
    answering: int = 0
    answering_most: int = 0
    frames: int = 0

    def asked(self, count: int) -> None:
        self.asking += count
        self.asking_most = max(self.asking_most, count)

    def answered(self, count: int) -> None:
        self.answering += count
        self.answering_most = max(self.answering_most, count)


def repair(one: Store, other: Store, hashes: Hashes) -> Repaired:
    """What the repairer does, whole."""
    took = Repaired()
    before = hashes.count
    initiator = Initiator(one.view, START, END)
    took.asked(hashes.count - before)
    while (query := initiator.next_query()) is not None:
        took.frames += 1
        before = hashes.count
        reply = respond(other.view, START, END, query.frame)
        took.answered(hashes.count - before)
        before = hashes.count
        found = initiator.receive(one.view, query, reply)
        took.asked(hashes.count - before)
        join(one, copied(other, found.needs))
        join(other, copied(one, found.pushes))
    assert initiator.done
    assert one.view.fingerprint(START, END) == other.view.fingerprint(START, END)
    return took


def copied(store: Store, keys: list[bytes]) -> dict[bytes, bytes]:
    cells = store.get_cells(keys)
    return {key: cell for key, cell in zip(keys, cells, strict=True) if cell is not None}


def without(*numbers: int) -> dict[bytes, bytes]:
    lacking = {KEYS[number] for number in numbers}
    return {key: cell for key, cell in CELLS.items() if key not in lacking}


@pytest.mark.parametrize("full_asks", [True, False], ids=["to push it", "to fetch it"])
def test_one_missing_post_costs_one_reading_and_the_next_hardly_any(hashes: Hashes, full_asks: bool) -> None:
    full, less = store_of(CELLS), store_of(without(5_000, 9_000))
    join(less, {KEYS[9_000]: CELLS[KEYS[9_000]]})
    sides = (full, less) if full_asks else (less, full)
    took = repair(*sides, hashes)
    assert POSTS - 1 <= took.asking <= POSTS + EDGES
    assert POSTS - 1 <= took.answering <= POSTS + EDGES

    join(full, {KEYS[0] + b"x": CELLS[KEYS[0]]})
    took = repair(*sides, hashes)
    assert took.frames > 1
    assert took.asking + took.answering <= 2 * EDGES


def test_an_empty_replica_that_asks_is_given_everything_in_one_reading(hashes: Hashes) -> None:
    took = repair(store_of({}), store_of(CELLS), hashes)
    # What it lists is all that the full side reads but for the leaf that did not fit; the empty one reads
    # nothing, because what it has lies before what it asks about.
    assert POSTS <= took.answering <= POSTS + took.frames
    assert took.answering_most <= limits.SYNC_PAGE_ITEMS
    assert took.asking == 0


def test_an_empty_replica_that_is_asked_is_given_everything_in_one_reading(hashes: Hashes) -> None:
    took = repair(store_of(CELLS), store_of({}), hashes)
    assert took.asking == POSTS
    assert took.asking_most <= limits.SYNC_PAGE_ITEMS
    # Each page it was given, and the last run it went into.
    pages = POSTS // limits.SYNC_PAGE_ITEMS + 1
    assert took.answering <= POSTS + pages * 2 * limits.SYNC_RUN_LEAVES
    assert took.answering_most <= 2 * limits.SYNC_PAGE_ITEMS + 2 * limits.SYNC_RUN_LEAVES


def test_a_part_of_a_heavy_block_is_read_once_while_nothing_changes(hashes: Hashes) -> None:
    store = store_of(CELLS)
    middle = KEYS[POSTS // 2]
    assert hashes.of(lambda: store.view.fingerprint(middle, END)) <= POSTS + 2 * limits.SYNC_RUN_LEAVES
    assert hashes.of(lambda: store.view.fingerprint(KEYS[100], middle)) <= 4 * limits.SYNC_RUN_LEAVES
    join(store, {key + b"x": CELLS[key] for key in KEYS[700:702]})
    assert hashes.of(lambda: store.view.fingerprint(middle, END)) <= 4 * limits.SYNC_RUN_LEAVES


def test_a_part_says_what_is_there_after_every_kind_of_change() -> None:
    store = store_of(dict(list(CELLS.items())[:3_000]))
    for start, stop in ((3_000, 3_001), (3_001, 9_000), (9_000, 9_000), (11_000, 12_000), (9_000, 11_000)):
        join(store, {key: CELLS[key] for key in KEYS[start:stop]})
        for low, high in ((KEYS[10], KEYS[2_999]), (KEYS[2_000], END), (START, KEYS[10_500])):
            read = Fingerprint.of(
                leaf for _, leaf in store_view.leaves(store.engine, low, high, store.damage.note)
            )
            assert store.view.fingerprint(low, high) == read


@pytest.mark.parametrize("number", [1, 5_000, 8_999])
def test_what_is_written_while_a_block_is_read_is_known_to_the_next_question(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store = store_of(without(number))
    writes = [{KEYS[number]: CELLS[KEYS[number]]}]
    read = 0

    def hash_and_write(key: bytes, cell: bytes) -> bytes:
        nonlocal read
        read += 1
        if read == 6_000:
            join(store, writes.pop())
        return leaf_hash(key, cell)

    monkeypatch.setattr(store_view, "leaf_hash", hash_and_write)
    store.view.fingerprint(KEYS[0], KEYS[9_000])
    assert not writes
    expected = Fingerprint.of(leaf_hash(key, CELLS[key]) for key in KEYS[:9_000])
    assert store.view.fingerprint(KEYS[0], KEYS[9_000]) == expected


def test_after_more_changes_than_it_has_cells_a_block_is_read_anew(hashes: Hashes) -> None:
    store = store_of(dict(list(CELLS.items())[:2_000]))
    heavy = store_view.HeavyBlocks(store.engine, store.damage.note)
    assert hashes.of(lambda: heavy.runs(BLOCK)) == 2_000
    neighbour = block_start(BLOCK ^ 1)
    join(store, {neighbour + key[2:]: CELLS[key] for key in KEYS[:1_000]})
    assert hashes.of(lambda: heavy.runs(BLOCK)) == 0
    join(store, {neighbour + key[2:]: CELLS[key] for key in KEYS[1_000:3_500]})
    assert hashes.of(lambda: heavy.runs(BLOCK)) == 2_000
    assert hashes.of(lambda: heavy.runs(BLOCK ^ 1)) == 3_500


def test_the_runs_kept_are_bounded_and_those_asked_about_last_stay(
    hashes: Hashes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_view, "STORE_RUNS_KEPT", 2 * (1_500 // limits.SYNC_RUN_LEAVES))
    blocks = [BLOCK ^ number for number in range(3)]
    store = store_of({block_start(at) + key[2:]: CELLS[key] for at in blocks for key in KEYS[:1_500]})
    heavy = store_view.HeavyBlocks(store.engine, store.damage.note)
    asked = [*blocks[:2], blocks[0], blocks[2], *blocks[:2]]
    assert [hashes.of(partial(heavy.runs, at)) for at in asked] == [1_500, 1_500, 0, 1_500, 0, 1_500]


def test_the_runs_of_one_block_are_kept_however_many_they_are(
    hashes: Hashes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_view, "STORE_RUNS_KEPT", 1)
    store = store_of(CELLS)
    heavy = store_view.HeavyBlocks(store.engine, store.damage.note)
    assert [hashes.of(lambda: heavy.runs(BLOCK)) for _ in range(2)] == [POSTS, 0]


def test_light_blocks_have_no_runs() -> None:
    store = store_of({key: CELLS[key] for key in KEYS[: limits.STORE_BLOCK_PLAIN_CELLS]})
    assert store_view.HeavyBlocks(store.engine, store.damage.note).runs(BLOCK) is None
    join(store, {key: CELLS[key] for key in KEYS[: limits.STORE_BLOCK_PLAIN_CELLS + 1]})
    assert store_view.HeavyBlocks(store.engine, store.damage.note).runs(BLOCK) is not None
