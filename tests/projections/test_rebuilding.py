"""Home feeds that are built anew while people go on: as the recomputation has them, whatever came when."""

from __future__ import annotations

from typing import Any

from folkmoot.node.projections.logs import Read
from folkmoot.node.projections.runs import Run, Step
from folkmoot.node.projections.stretches import stretches_of
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.key import KIND_AT, KIND_BYTE, block_of, lane_of, place_prefix
from folkmoot.protocol.projections.entries import Index, Projection
from folkmoot.protocol.projections.facts import Facts, facts_of
from folkmoot.storage.interface import Table
from folkmoot.storage.projecting import OF_NO_USE, Batch, Changed, Part, Target, read_batch
from folkmoot.storage.projections import Member, ProjectionBook, entry_key
from folkmoot.storage.rederiving import kept, out_of_bounds, rederived
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.projections.test_applying import LIVE, PEOPLE, TARGETS, Town, person, record_of, step
from tests.projections.test_positions import RANGES

BUILT = {**LIVE, Projection.HOME: 1}
ANN, BEN, CLEO, DAN = range(4)


class Rebuilt(Town):
    """A town in which home feeds are built anew, in generation 1: by a run that reads each cell where it has
    last changed, while the main run reads on."""

    def __init__(self, keeps: frozenset[int] | None = None) -> None:
        super().__init__(keeps)
        self.log: dict[bytes, None] = {}  # cells, in the order of their last changes
        self.read: set[bytes] = set()
        self.begun = False

    def happen(self, at: int, what: tuple[Any, ...]) -> None:
        """Something is done, and the main run reads it."""
        change = self.put(record_of(what, at))
        self.log.pop(change.key, None)
        self.log[change.key] = None
        self.read.discard(change.key)
        told = [Target(Projection.HOME, 1, Part.FOLLOWS)] if self.begun else []
        self.apply([change], [*TARGETS, *told])

    def build(self, most: int | None = None) -> None:
        """Go on with the rebuild: apply some changes in one transaction."""
        keys = [key for key in self.log if key not in self.read][:most]
        changes = []
        for key in keys:
            cell = self.store.get_cell(key)
            assert cell is not None
            changes.append(Changed(0, key, facts_of(Cell.decode(cell))))
        self.apply(changes, [Target(Projection.HOME, 1, Part.POSTS)])
        self.read.update(keys)

    def what_is_wrong(self) -> list[str]:
        """With what was built, once it is all there."""
        self.build()
        self.backfill()
        self.backfill(1)
        cells = [(key, facts_of(Cell.decode(cell))) for key, cell in self.cells()]
        with self.store.engine.begin() as transaction:
            should = rederived(transaction, BUILT, cells, self.keeps)
            found = should.differences(kept(transaction, BUILT, self.keeps))
            return found + out_of_bounds(transaction, BUILT, self.bounds)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    before=st.lists(step, max_size=20),
    meanwhile=st.lists(st.tuples(step, st.integers(0, 6), st.booleans()), max_size=20),
    kept_people=st.none() | st.sets(person, max_size=3),
)
def test_what_is_built_while_people_go_on_is_the_recomputation(
    before: list[Any], meanwhile: list[Any], kept_people: set[int] | None
) -> None:
    keeps = None
    if kept_people is not None:
        keeps = frozenset(block_of(place_prefix(PEOPLE[who].account)) for who in kept_people)
    town = Rebuilt(keeps)
    for at, what in enumerate(before):
        town.happen(at, what)
    town.begun = True
    for at, (what, changes, is_filled) in enumerate(meanwhile, len(before)):
        town.happen(at, what)
        town.build(changes)
        if is_filled:
            town.backfill(1)
    assert town.what_is_wrong() == []


def test_follows_that_were_known_ask_for_nothing_and_later_ones_do() -> None:
    town = Rebuilt()
    for at, what in enumerate((("follow", ANN, BEN, True), ("post", BEN, 1, "", None))):
        town.happen(at, what)
    town.begun = True
    town.build()
    with town.store.engine.begin() as transaction:
        assert town.waiting(transaction, 1) == []
    town.happen(2, ("follow", CLEO, BEN, True))
    with town.store.engine.begin() as transaction:
        [waiting] = town.waiting(transaction, 1)
    assert (waiting.follower, waiting.account) == (PEOPLE[CLEO].account, PEOPLE[BEN].account)
    assert town.what_is_wrong() == []


def test_who_has_too_many_followers_and_posts_nothing_is_merged_all_the_same() -> None:
    town = Rebuilt()
    for at, who in enumerate((ANN, CLEO, DAN)):
        town.happen(at, ("follow", who, BEN, True))
    town.begun = True
    assert town.what_is_wrong() == []


def test_an_entry_that_is_there_is_not_news_and_one_that_is_damaged_is_written_again() -> None:
    town = Town(None)
    group, entries = place_prefix(PEOPLE[ANN].account), [Member(bytes((n,)) * 48, b"") for n in range(3)]
    with town.store.write() as transaction:
        book = ProjectionBook(transaction)
        book.insert(Index.INBOX, 0, group, entries[:2])
        damaged = entry_key(Index.INBOX, 0, group, entries[0].member)
        whole = book.rows.get(Table.ENTRIES, damaged)
        book.rows.put(Table.ENTRIES, damaged, b"damaged")
        book.insert(Index.INBOX, 0, group, entries)
        assert book.rows.get(Table.ENTRIES, damaged) == whole
        assert book.news == {bytes((Index.INBOX,)) + group: entries}


def test_what_was_read_waits_until_it_is_applied() -> None:
    run = Run(Projection.TAGS)
    stretch = next(stretches_of(RANGES))
    changes = [Changed(position, b"key", Facts(True)) for position in (4, 6, 9)]
    read = Step(stretch, Read(b"log", Batch(changes, 12, 20)), 1.0)
    run.positions[stretch.name] = {}
    run.waiting[stretch.name] = read
    run.note(read, 2)
    [left] = run.waiting.values()
    assert left.read.batch.changed == changes[2:] and run.changes_waiting == 1
    assert run.positions[stretch.name] == {b"log": 6}
    run.note(left, 1)
    assert run.waiting == {} and run.positions[stretch.name] == {b"log": 12}


def test_of_a_log_only_what_is_of_use_is_read() -> None:
    town = Town(None)
    steps = (("post", ANN, 1, "", None), ("follow", ANN, BEN, True), ("bookmark", ANN, BEN, 1, True))
    for at, what in enumerate(steps):
        town.put(record_of(what, at))
    lane, without = lane_of(place_prefix(PEOPLE[ANN].account)), OF_NO_USE[Projection.FOLLOWERS]
    batch = read_batch(town.store.engine, lane, 0, 10, b"", b"", private=True, without=without)
    assert [change.key[KIND_AT] for change in batch.changed] == [KIND_BYTE["follow"]]
    assert batch.reached == batch.head == 3
    first = read_batch(town.store.engine, lane, 0, 10, b"", b"", private=True, most=1)
    assert len(first.changed) == 1 and first.reached < first.head
