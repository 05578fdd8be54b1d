"""Applying changes in any order, twice and interrupted comes to what all cells together come to (I10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import block_of, place_prefix
from folkmoot.protocol.projections.entries import Index, Projection
from folkmoot.protocol.projections.facts import facts_of
from folkmoot.protocol.record import Record
from folkmoot.storage import inboxes
from folkmoot.storage.deliveries import Left
from folkmoot.storage.inboxes import Backfill, Bounds, Inboxes, Keeps, Shown
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.latest import latest_of
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.projecting import Application, Changed, Target
from folkmoot.storage.projections import ProjectionBook, members, tally
from folkmoot.storage.rederiving import kept, rederived
from folkmoot.storage.store import Owner, Store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PEOPLE = [KeyPair(number.to_bytes(32, "big")) for number in range(1, 6)]
BOUNDS = Bounds(followers_max=2, rows_max=5)
TARGETS = [Target(projection, 0) for projection in Projection]
LIVE = dict.fromkeys(Projection, 0)
BASE_US = 1_700_000_000_000_000

person = st.integers(0, len(PEOPLE) - 1)
number = st.integers(0, 7)
step = st.one_of(
    st.tuples(
        st.just("post"),
        person,
        number,
        st.sampled_from(["", "a", "b"]),
        st.none() | st.tuples(person, number),
    ),
    st.tuples(st.just("delete"), person, number),
    st.tuples(st.just("follow"), person, person, st.booleans()).filter(lambda each: each[1] != each[2]),
    st.tuples(st.just("repost"), person, person, number, st.booleans()),
    st.tuples(st.just("bookmark"), person, person, number, st.booleans()),
)


def item_of(who: int, which: int) -> bytes:
    return make_uuid7(BASE_US // 1000 + 10 * which + who, which)


def record_of(what: tuple[Any, ...], at: int) -> Record:
    """What a step says, signed at a moment of its own."""
    stamp = BASE_US + 1000 * at
    author = PEOPLE[what[1]]
    match what:
        case ("post", who, which, tag, answers):
            body: dict[str, object] = {"text": f"{which} at {at}"}
            if tag:
                body["tags"] = [tag]
            if answers is not None:
                body["reply_to"] = {"author": PEOPLE[answers[0]].account, "item": item_of(*answers)}
            return Record.sign(author, kind="post", item=item_of(who, which), body=body, stamp=stamp)
        case ("delete", who, which):
            return Record.sign(
                author, kind="post", item=item_of(who, which), body={"deleted": True}, stamp=stamp
            )
        case ("follow", _, whom, on):
            return Record.sign(author, kind="follow", item=PEOPLE[whom].account, body={"on": on}, stamp=stamp)
        case ("repost", _, whom, which, on):
            item = item_of(whom, which) + author.account
            place = PEOPLE[whom].account
            return Record.sign(author, kind="repost", item=item, body={"on": on}, stamp=stamp, place=place)
        case (_, _, whom, which, on):
            item = PEOPLE[whom].account + item_of(whom, which)
            return Record.sign(author, kind="bookmark", item=item, body={"on": on}, stamp=stamp)
    raise AssertionError(what)


class Town:
    """A store whose projections are brought up to its cells."""

    def __init__(self, keeps: frozenset[int] | None, bounds: Bounds = BOUNDS) -> None:
        owner = Owner(bytes(16), "town")
        self.store = Store(MemoryEngine(cap_bytes=1 << 26), owner=owner, fresh_log_id=bytes(16))
        self.keeps: Keeps = lambda key: keeps is None or block_of(key) in keeps
        self.bounds = bounds

    def application(self, book: ProjectionBook, targets: Sequence[Target] = TARGETS) -> Application:
        """What applies changes in one transaction."""
        return Application(book, targets, 0, self.keeps, self.bounds, BASE_US)

    def put(self, record: Record) -> Changed:
        """Join a record into its cell; the change that has to be applied."""
        with self.store.write() as transaction:
            outcome = transaction.put_record(record)
            transaction.commit()
        return Changed(0, outcome.key, facts_of(Cell.decode(outcome.cell)))

    def apply(
        self,
        changes: Sequence[Changed],
        targets: Sequence[Target] = TARGETS,
        *,
        most: int | None = None,
        crashes: bool = False,
    ) -> None:
        """Apply changes.

        Args:
            targets: where to.
            most: rows in one transaction, after which the next is begun.
            crashes: after the first transaction, so that it begins again.
        """
        left = self._begun(changes, most, targets)
        if crashes:
            left = self._begun(changes, most, targets)
        while left:
            with self.store.write() as transaction:
                left = self.application(ProjectionBook(transaction), targets).go_on(left, most or 1)
                transaction.commit()

    def _begun(
        self, changes: Sequence[Changed], most: int | None, targets: Sequence[Target] = TARGETS
    ) -> Mapping[Target, Left]:
        with self.store.write() as transaction:
            application = self.application(ProjectionBook(transaction), targets)
            for change in changes:
                application.apply(change)
            left = application.write(most)
            transaction.commit()
        return left

    def waiting(self, transaction: Transaction, generation: int = 0) -> list[Backfill]:
        """Who waits for their inbox to be filled."""
        return list(inboxes.waiting(transaction, generation))

    def fill(self, follower: bytes, account: bytes, latest: Sequence[Shown], *, complete: bool) -> None:
        """Fill an inbox with what another node told."""
        with self.store.write() as transaction:
            filling = Inboxes(ProjectionBook(transaction), 0, 0, self.keeps, self.bounds, BASE_US)
            filling.fill(follower, account, latest, complete=complete)
            transaction.commit()

    def backfill(self, generation: int = 0) -> None:
        """Fill the inboxes that wait for it."""
        with self.store.write() as transaction:
            book = ProjectionBook(transaction)
            filling = Inboxes(book, generation, 0, self.keeps, self.bounds, BASE_US)
            while waiting := self.waiting(book.rows, generation):
                for follower, account, _ in waiting:
                    filling.fill(follower, account, self.latest(book, account))
            transaction.commit()

    def latest(self, book: ProjectionBook, account: bytes) -> list[Shown]:
        """The latest of an account: by its place's index, or as another node that keeps it would tell."""
        if self.keeps(place_prefix(account)):
            return latest_of(book.rows, 0, account, self.bounds.rows_max)
        other = Town(None)
        other.apply([Changed(0, key, facts_of(Cell.decode(cell))) for key, cell in self.cells()])
        with self.store.engine.begin() as cells, other.store.engine.begin() as entries:
            posts = latest_of(cells, 0, account, self.bounds.rows_max)
            reposts = latest_of(entries, 0, account, self.bounds.rows_max)
        return sorted(posts + reposts, key=lambda each: each.at, reverse=True)[: self.bounds.rows_max]

    def inbox(self, who: int) -> list[Shown]:
        """What is in somebody's inbox, the oldest first."""
        with self.store.engine.begin() as transaction:
            found = members(transaction, Index.INBOX, 0, place_prefix(PEOPLE[who].account))
        return [inboxes.of_entry(*each) for each in found]

    def differences(self) -> list[str]:
        with self.store.engine.begin() as transaction:
            cells = [(key, facts_of(Cell.decode(cell))) for key, cell in self.cells()]
            return rederived(transaction, LIVE, cells, self.keeps).differences(
                kept(transaction, LIVE, self.keeps)
            )

    def cells(self) -> list[tuple[bytes, bytes]]:
        return self.store.cells_between(b"", b"", limit=10_000, bytes_max=1 << 26)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(step, max_size=30),
    late=st.lists(st.integers(0, 29), max_size=8),
    kept_people=st.none() | st.sets(person, max_size=3),
    most=st.none() | st.just(1),
    crashes=st.booleans(),
    data=st.data(),
)
def test_in_any_order_and_twice_it_comes_to_the_recomputation(
    steps: list[Any],
    late: list[int],
    kept_people: set[int] | None,
    most: int | None,
    crashes: bool,
    data: st.DataObject,
) -> None:
    keeps = None
    if kept_people is not None:
        keeps = frozenset(block_of(place_prefix(PEOPLE[who].account)) for who in kept_people)
    town = Town(keeps)
    waiting: list[bytes] = []
    for at, what in enumerate(steps):
        change = town.put(record_of(what, at))
        if at in late:
            waiting.append(change.key)
        else:
            town.apply([change], most=most, crashes=crashes)
        if at % 5 == 4:
            town.backfill()
    # What was not applied at once is applied later as the log tells it: each cell as it is by then.
    keys = (
        waiting + data.draw(st.lists(st.sampled_from([key for key, _ in town.cells()]), max_size=6))
        if steps
        else []
    )
    for key in data.draw(st.permutations(keys)):
        cell = town.store.get_cell(key)
        assert cell is not None
        town.apply([Changed(0, key, facts_of(Cell.decode(cell)))], most=most, crashes=crashes)
    town.backfill()
    assert town.differences() == []


LISTED = (Index.FOLLOWERS, Index.REPLIES, Index.TAGGED, Index.REPOSTED, Index.INBOX, Index.NOTICES)


@pytest.mark.parametrize("index", LISTED)
def test_the_recomputation_finds_what_is_lost(index: Index) -> None:
    """The checker of I10 finds a row that is gone, of whichever index."""
    town = Town(None)
    steps = [("follow", 0, 1, True), ("post", 1, 1, "a", (2, 2)), ("repost", 1, 3, 3, True)]
    town.apply([town.put(record_of(what, at)) for at, what in enumerate(steps)])
    town.backfill()
    assert town.differences() == []
    with town.store.write() as transaction:
        book = ProjectionBook(transaction)
        [row, *_] = [key for key, _ in book.rows.scan(Table.ENTRIES) if key[0] == index]
        book.rows.delete(Table.ENTRIES, row)
        transaction.commit()
    assert any(index.name.lower() in sentence for sentence in town.differences())


def test_followers_are_counted() -> None:
    town = Town(None)
    town.apply([town.put(record_of(("follow", who, 0, True), who)) for who in (1, 2, 3)])
    town.apply([town.put(record_of(("follow", 2, 0, False), 10))])
    with town.store.engine.begin() as transaction:
        assert tally(transaction, Index.FOLLOWERS, 0, place_prefix(PEOPLE[0].account)) == 2


def test_joined_siblings_are_applied_like_any_state() -> None:
    """Two devices of one account edit a post's tags; what both say is one cell, and one winner."""
    town = Town(None)
    laptop, phone = PEOPLE[0], PEOPLE[4]
    item = item_of(0, 1)
    one = Record.sign(laptop, kind="post", item=item, body={"text": "x", "tags": ["a"]}, stamp=BASE_US)
    other = Record.sign(
        phone,
        kind="post",
        item=item,
        body={"text": "x", "tags": ["b"]},
        stamp=BASE_US + 1,
        author=laptop.account,
    )
    town.apply([town.put(one)])
    cell = join(Cell.of(one), Cell.of(other))
    town.put(other)
    town.apply([Changed(0, one.key, facts_of(cell))])
    assert town.differences() == []
