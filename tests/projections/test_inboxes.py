"""Inboxes: what they keep, what is taken out of them, and what their bounds do."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.node.projections.watchers import mark
from folkmoot.protocol import limits
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.projections.entries import Index
from folkmoot.protocol.record import Record
from folkmoot.storage import inboxes
from folkmoot.storage.inboxes import Bounds
from folkmoot.storage.projecting import Application
from folkmoot.storage.projections import ProjectionBook

from tests.projections.test_applying import BASE_US, BOUNDS, PEOPLE, TARGETS, Town, item_of, record_of

ANN, BEN, CLEO, DAN = range(4)


def applied(*steps: tuple[Any, ...], bounds: Bounds = BOUNDS) -> Town:
    """A town in which all this has happened, one after the other."""
    town = Town(None, bounds)
    happen(town, 0, *steps)
    return town


def happen(town: Town, since: int, *steps: tuple[Any, ...]) -> None:
    """Have something happen, at moments from a number on."""
    for at, what in enumerate(steps, since):
        town.apply([town.put(record_of(what, at))])
        town.backfill()


def posts(who: int, numbers: range) -> list[tuple[Any, ...]]:
    return [("post", who, number, "", None) for number in numbers]


def items(town: Town, who: int) -> list[bytes]:
    return [shown.item for shown in town.inbox(who)]


def test_it_keeps_the_newest_and_asks_again_once_much_is_gone() -> None:
    town = applied(*posts(BEN, range(8)), *posts(CLEO, range(8)))
    happen(town, 100, ("follow", ANN, BEN, True), ("follow", ANN, CLEO, True))
    made = [item_of(who, number) for who in (BEN, CLEO) for number in range(8)]
    assert items(town, ANN) == sorted(made)[-BOUNDS.rows_max :]
    happen(town, 200, ("follow", ANN, CLEO, False))
    assert items(town, ANN) == [item_of(BEN, number) for number in range(3, 8)]
    assert town.differences() == []


def test_of_who_was_followed_late_the_newest_are_there_and_the_rest_is_below_the_floor() -> None:
    town = applied(*posts(BEN, range(8)), ("follow", ANN, BEN, True))
    assert items(town, ANN) == [item_of(BEN, number) for number in range(3, 8)]
    assert town.differences() == []


def test_what_was_deleted_takes_no_room_from_what_stands() -> None:
    deletions = [("delete", BEN, number) for number in range(2, 8)]
    town = applied(*posts(BEN, range(8)), *deletions, ("follow", ANN, BEN, True))
    assert items(town, ANN) == [item_of(BEN, 0), item_of(BEN, 1)]
    assert town.differences() == []


def test_nothing_comes_in_below_the_floor() -> None:
    town = applied(("follow", ANN, BEN, True), *posts(BEN, range(1, 8)))
    before = items(town, ANN)
    assert len(before) == BOUNDS.rows_max
    happen(town, 100, *posts(BEN, range(1)))
    assert items(town, ANN) == before
    assert town.differences() == []


@pytest.mark.parametrize(("late_s", "told"), [(60, 1), (limits.FOLLOW_FEED_LATE_S + 60, 0)])
def test_of_what_comes_late_and_has_no_room_who_follows_live_is_told(late_s: float, told: int) -> None:
    town = applied(("follow", ANN, BEN, True), *posts(BEN, range(1, 8)))
    change = town.put(record_of(("post", BEN, 0, "", None), 100))
    with town.store.write() as transaction:
        book = ProjectionBook(transaction)
        now_us = BASE_US + int(late_s * 1e6)
        application = Application(book, TARGETS, 0, town.keeps, BOUNDS, now_us)
        application.apply(change)
        application.write()
        news = book.news.get(mark(Index.INBOX, place_prefix(PEOPLE[ANN].account)), [])
    assert [inboxes.of_entry(*each).item for each in news] == [item_of(BEN, 0)] * told
    assert item_of(BEN, 0) not in items(town, ANN)


def test_a_repost_taken_back_while_its_author_is_merged_is_not_there_afterwards() -> None:
    town = applied(
        *posts(DAN, range(1, 3)),
        *posts(BEN, range(1, 2)),
        ("follow", ANN, BEN, True),
        ("follow", CLEO, BEN, True),
        ("repost", BEN, DAN, 1, True),
        ("repost", BEN, DAN, 2, True),
    )
    assert len(items(town, ANN)) == 3
    happen(
        town,
        100,
        ("follow", DAN, BEN, True),  # more than two
        ("repost", BEN, DAN, 1, False),
        ("repost", BEN, DAN, 2, False),
        ("repost", BEN, DAN, 2, True),  # elsewhere in feeds than before
        ("delete", BEN, 1),
    )
    happen(town, 200, ("follow", DAN, BEN, False), ("follow", CLEO, BEN, False))
    assert items(town, ANN) == [item_of(DAN, 2)]
    assert town.differences() == []


def test_what_comes_between_being_merged_and_filled_again_is_not_lost() -> None:
    """Also when who tells of the latest knows less than is known here."""
    town = applied(("follow", ANN, BEN, True), *posts(BEN, range(1, 2)), ("follow", CLEO, BEN, True))
    happen(town, 100, ("follow", DAN, BEN, True))
    town.apply([town.put(record_of(("follow", who, BEN, False), 200)) for who in (DAN, CLEO)])
    with town.store.engine.begin() as transaction:
        [(follower, account, _)] = town.waiting(transaction)
    [known, news] = [town.put(record_of(what, 201)) for what in posts(BEN, range(1, 3))]
    town.apply([known, news])
    town.fill(follower, account, [], complete=True)
    town.backfill()
    assert items(town, ANN) == [item_of(BEN, 1), item_of(BEN, 2)]
    assert town.differences() == []


def test_another_bound_holds_from_the_next_post_on() -> None:
    """The first followers alone would see it if it were put into as many inboxes as there may be."""
    town = applied(*(("follow", who, BEN, True) for who in (ANN, CLEO, DAN)), bounds=Bounds(5, 5))
    happen(town, 100, *posts(BEN, range(1)))
    assert all(items(town, who) == [item_of(BEN, 0)] for who in (ANN, CLEO, DAN))
    town.bounds = Bounds(1, 5)
    happen(town, 200, *posts(BEN, range(1, 2)))
    assert all(items(town, who) == [item_of(BEN, 0)] for who in (ANN, CLEO, DAN))
    town.bounds = Bounds(5, 5)
    happen(town, 300, *posts(BEN, range(2, 3)))
    everything = [item_of(BEN, number) for number in range(3)]
    assert all(items(town, who) == everything for who in (ANN, CLEO, DAN))


def test_nobody_can_choose_items_so_that_an_inbox_is_never_counted() -> None:
    """By any byte of the items, whatever the inbox."""
    bounds = Bounds(followers_max=2, rows_max=80)
    for byte in (8, 15):
        town = applied(("follow", ANN, BEN, True), bounds=bounds)
        made = 0
        number = 0
        while made < 6 * bounds.rows_max:
            number += 1
            item = make_uuid7(BASE_US // 1000 + number, number)
            if (item[byte] + place_prefix(PEOPLE[ANN].account)[0]) & 7 == 0:
                continue
            made += 1
            body = {"text": "x"}
            record = Record.sign(PEOPLE[BEN], kind="post", item=item, body=body, stamp=BASE_US + number)
            town.apply([town.put(record)])
        assert bounds.rows_max <= len(town.inbox(ANN)) < 2 * bounds.rows_max


def test_after_an_unfollow_nothing_of_theirs_is_there_however_much_it_was() -> None:
    town = applied(("follow", ANN, BEN, True), *posts(BEN, range(40)), bounds=Bounds(2, 100))
    assert len(town.inbox(ANN)) == 40
    town.bounds = BOUNDS
    happen(town, 100, ("follow", ANN, BEN, False))
    assert town.inbox(ANN) == []
