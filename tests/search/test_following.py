"""The index follows the store: after whatever happened, it is what an index made anew would be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from folkmoot.protocol.key import block_start, lane_of
from folkmoot.protocol.limits import BLOCKS_PER_LANE
from folkmoot.protocol.record import Record
from folkmoot.storage.boots import begin_boot
from folkmoot.storage.erasing import erase
from folkmoot.storage.memory_engine import MemoryEngine, MemoryTransaction
from folkmoot.storage.search import rederiving
from folkmoot.storage.search.following import Step, belongs, has_news, is_due, step
from folkmoot.storage.search.index import MEMORY, SearchIndex
from folkmoot.storage.store import Owner, Store

from tests.node.people import Author

ANN, BEN = Author(1), Author(2)
OWNER = Owner(bytes(16), "town")


class Kept:
    """A store and an index that follows it."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.store = Store(self.engine, owner=OWNER, fresh_log_id=bytes(range(16)))
        self.index = SearchIndex(MEMORY)
        self.boots = 0
        self.boot()

    def boot(self) -> None:
        self.boots += 1
        with self.store.write() as transaction:
            begin_boot(transaction, self.boots)
            transaction.commit()

    def put(self, *records: Record) -> None:
        with self.store.write() as transaction:
            for record in records:
                transaction.put_record(record)
            transaction.commit()

    def erase_lane(self, key: bytes) -> None:
        lane = lane_of(key)
        start, end = block_start(lane * BLOCKS_PER_LANE), block_start((lane + 1) * BLOCKS_PER_LANE)
        with self.store.write() as transaction:
            erase(transaction, start, end, 10_000)
            transaction.commit()

    def follow(self, *, room: bool = True) -> list[Step]:
        """Take steps until the index is at the end; of a full disk, as many as it would take."""
        steps = [step(self.index, self.store, room=room)]
        while not steps[-1].at_end and len(steps) < 1_000:
            steps.append(step(self.index, self.store, room=room))
        return steps

    def differences(self) -> list[str]:
        return rederiving.differences(rederiving.expected(self.engine), rederiving.held(self.index))


@pytest.fixture
def kept() -> Iterator[Kept]:
    yield Kept()


def searchable(who: Author, value: object) -> Record:
    return who.record("profile", b"searchable", {"value": value})


def test_what_is_written_edited_and_deleted_is_followed(kept: Kept) -> None:
    posts = [Author(n % 50).post(f"tea {n}") for n in range(1, 400)]
    kept.put(*posts)
    assert has_news(kept.index.position, kept.store)
    kept.follow()
    assert len(rederiving.held(kept.index)) == len(posts)
    assert kept.differences() == []
    assert kept.index.complete
    assert not is_due(kept.index, kept.store)
    edited, deleted = posts[7], posts[8]
    kept.put(
        Author(8).record("post", edited.item, {"text": "coffee", "tags": ["Tea"]}),
        Author(9).deletion(deleted),
    )
    assert kept.differences() != []
    kept.follow()
    assert kept.differences() == []


def test_what_is_committed_in_the_middle_of_a_step_is_not_passed_over(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.put(ANN.post("before"))
    late = [Author(number).post("late") for number in range(3, 40)]
    real = MemoryEngine.begin

    def begin(engine: MemoryEngine, *, write: bool = False) -> MemoryTransaction:
        if late and not write:
            post = late.pop()
            kept.put(post)
        return real(engine, write=write)

    monkeypatch.setattr(MemoryEngine, "begin", begin)
    kept.follow()
    monkeypatch.undo()
    kept.put(*late, BEN.post("last"))
    kept.follow()
    assert kept.differences() == []


def test_a_step_can_be_repeated(kept: Kept) -> None:
    kept.put(*[ANN.post(f"tea {n}") for n in range(10)])
    kept.follow()
    position = kept.index.position
    assert position is not None
    kept.index.write(lambda writing: writing.advance(position._replace(sequence=0), complete=True))
    kept.follow()
    assert kept.differences() == []
    assert kept.index.erased == 0


def test_who_does_not_want_to_be_found_leaves_and_may_come_back(kept: Kept) -> None:
    kept.put(*[ANN.post(f"tea {n}") for n in range(300)], BEN.post("tea"))
    kept.follow()
    kept.put(searchable(ANN, False))
    kept.follow()
    kept.put(ANN.post("more tea"))
    kept.follow()
    assert len(rederiving.held(kept.index)) == 1
    assert kept.differences() == []
    kept.put(searchable(ANN, "anything else"))
    kept.follow()
    assert len(rederiving.held(kept.index)) == 302
    assert kept.differences() == []


def test_what_was_erased_because_its_range_moved_is_found_no_more(kept: Kept) -> None:
    kept.put(searchable(BEN, False), *[ANN.post(f"tea {n}") for n in range(20)], BEN.post("tea"))
    kept.follow()
    kept.erase_lane(ANN.post().key)
    assert is_due(kept.index, kept.store)
    kept.follow()
    assert not any(key.startswith(ANN.post().key[:40]) for key in rederiving.held(kept.index))
    kept.erase_lane(BEN.post().key)
    kept.put(BEN.post("and back"))
    kept.follow()
    assert kept.differences() == []
    assert len(rederiving.held(kept.index)) == 1


def test_without_room_nothing_is_added_and_all_is_taken_out(kept: Kept) -> None:
    first, second = ANN.post("tea one"), ANN.post("tea two")
    kept.put(first, second)
    kept.follow()
    kept.put(ANN.deletion(first), ANN.record("post", second.item, {"text": "coffee"}), BEN.post("late"))
    assert step(kept.index, kept.store, room=False).left_out
    assert rederiving.held(kept.index) == {}
    kept.follow()
    assert kept.differences() == []
    assert len(rederiving.held(kept.index)) == 2


def test_an_index_of_a_disk_that_went_back_does_not_belong_to_it(kept: Kept) -> None:
    kept.put(ANN.post("before"))
    kept.follow()
    older = kept.engine.copy()
    assert belongs(kept.index, kept.store)
    kept.put(ANN.post("lost"))
    kept.follow()
    kept.engine = older
    kept.store = Store(older, owner=OWNER)
    kept.boot()
    assert not belongs(kept.index, kept.store)
    other = Store(MemoryEngine(), owner=OWNER, fresh_log_id=bytes(16))
    assert not belongs(kept.index, other)


def test_an_index_goes_on_after_a_restart(kept: Kept, tmp_path: Path) -> None:
    kept.index = SearchIndex(tmp_path / "index.db")
    kept.put(ANN.post("before"))
    kept.follow()
    kept.index.close()
    kept.index = SearchIndex(tmp_path / "index.db")
    kept.boot()
    assert belongs(kept.index, kept.store)
    assert is_due(kept.index, kept.store)
    kept.put(ANN.post("after"))
    [one] = kept.follow()
    assert one.written == 1
    assert kept.differences() == []
    assert not is_due(kept.index, kept.store)
    kept.index.close()
