"""Notices: what is made of cells in any order comes to their recomputation, within bounds (I10)."""

from __future__ import annotations

from collections import Counter
from functools import reduce
from typing import Any

import pytest
import trio
from folkmoot.node.projections.watchers import Watch, Watchers, mark
from folkmoot.protocol import codec, limits
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import block_of, held_key, parse_key, place_prefix
from folkmoot.protocol.moderation.decision import Action, Decision, Role, Subject
from folkmoot.protocol.moderation.label import label_item
from folkmoot.protocol.projections import bounds
from folkmoot.protocol.projections.entries import Index, account_of, public_of
from folkmoot.protocol.projections.facts import Facts, facts_log, facts_of
from folkmoot.protocol.projections.notices import (
    Crowd,
    Reaction,
    Sort,
    latest_in,
    notices_group,
    notices_of,
    sort_of,
)
from folkmoot.protocol.projections.shares import fair_level
from folkmoot.protocol.record import Record
from folkmoot.storage.projecting import Changed
from folkmoot.storage.projections import Member, ProjectionBook, members
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.projections.test_applying import BASE_US, BOUNDS, PEOPLE, Town, item_of

MANY = [KeyPair(number.to_bytes(32, "big")) for number in range(100, 100 + 4 * bounds.NOTICE_NAMES)]

person = st.integers(0, len(PEOPLE) - 1)
number = st.integers(0, 3)
ref = st.none() | st.tuples(person, number)
step = st.one_of(
    st.tuples(st.just("post"), person, number, ref, ref, ref, st.lists(person, max_size=3)),
    st.tuples(st.just("delete"), person, number),
    st.tuples(st.just("follow"), person, person, st.booleans()).filter(lambda each: each[1] != each[2]),
    st.tuples(st.sampled_from(["like", "repost"]), person, person, number, st.booleans()),
    st.tuples(st.just("label"), person, person, number, st.booleans()),
    st.tuples(st.just("held"), person, number),
    st.tuples(st.just("decision"), person, person, number).filter(lambda each: each[1] != each[2]),
)


def ref_to(who: int, which: int) -> dict[str, Any]:
    return {"author": PEOPLE[who].account, "item": item_of(who, which)}


def react(kind: str, who: KeyPair, whom: int, which: int, at: int, *, on: bool = True) -> Record:
    item, place = item_of(whom, which) + who.account, PEOPLE[whom].account
    return Record.sign(who, kind=kind, item=item, body={"on": on}, stamp=BASE_US + at, place=place)


def record_of(what: tuple[Any, ...], at: int) -> Record:
    """What a step says, signed at a moment of its own."""
    author, stamp = PEOPLE[what[1]], BASE_US + 1000 * at
    match what:
        case ("post", who, which, answers, root, quotes, mentions):
            named = {"reply_to": answers, "root": root, "quote": quotes}
            body: dict[str, Any] = {name: ref_to(*each) for name, each in named.items() if each is not None}
            body |= {"text": f"at {at}", "mentions": [PEOPLE[each].account for each in mentions]}
            return Record.sign(author, kind="post", item=item_of(who, which), body=body, stamp=stamp)
        case ("held", who, which):
            body = {"text": f"doubtful at {at}"}
            return Record.sign(author, kind="post", item=item_of(who, which), body=body, stamp=stamp)
        case ("delete", who, which):
            body = {"deleted": True}
            return Record.sign(author, kind="post", item=item_of(who, which), body=body, stamp=stamp)
        case ("follow", _, whom, on):
            return Record.sign(author, kind="follow", item=PEOPLE[whom].account, body={"on": on}, stamp=stamp)
        case ("label", _, whom, which, holds):
            item, place = label_item(item_of(whom, which), "spam", author.account), PEOPLE[whom].account
            body = {"value": "spam", "subject_id": bytes(32), "reason": "why not", "negated": not holds}
            return Record.sign(author, kind="label", item=item, body=body, stamp=stamp, place=place)
        case ("decision", _, whom, which):
            about = Subject("post", item_of(whom, which))
            made = Decision(
                *(about, bytes(32), Action.REMOVE, Role.MODERATOR, author.account, stamp, "because")
            )
            place, body = PEOPLE[whom].account, made.body()
            return Record.sign(author, kind="decision", item=made.item, body=body, stamp=stamp, place=place)
        case (kind, _, whom, which, on):
            return react(kind, author, whom, which, 1000 * at, on=on)
    raise AssertionError(what)


def put(town: Town, record: Record, *, held: bool = False) -> Changed:
    if not held:
        return town.put(record)
    with town.store.write() as transaction:
        outcome = transaction.put_record(record, held=True)
        transaction.commit()
    return Changed(0, outcome.key, facts_of(Cell.decode(outcome.cell)))


def listed(town: Town, who: int, sort: Sort) -> list[Member]:
    group = notices_group(PEOPLE[who].account, sort)
    with town.store.engine.begin() as transaction:
        return members(transaction, Index.NOTICES, 0, group, limit=10_000)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(step, max_size=30),
    late=st.sets(st.integers(0, 29), max_size=8),
    kept_people=st.none() | st.sets(person, max_size=3),
    names=st.integers(1, 3),
    data=st.data(),
)
@example(
    steps=[("like", who, 0, 0, on) for on in (True, False) for who in (1, 2, 3)],
    late=set(),
    kept_people=None,
    names=1,
    data=None,
)
def test_in_any_order_and_twice_it_comes_to_the_recomputation(
    steps: list[Any], late: set[int], kept_people: set[int] | None, names: int, data: st.DataObject | None
) -> None:
    keeps = None
    if kept_people is not None:
        keeps = frozenset(block_of(place_prefix(PEOPLE[who].account)) for who in kept_people)
    town = Town(keeps, BOUNDS._replace(notices_max=4))
    waiting: list[bytes] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bounds, "NOTICE_NAMES", names)
        patched.setattr(bounds, "NOTICES_SPARE", 1)
        for at, what in enumerate(steps):
            change = put(town, record_of(what, at), held=what[0] == "held")
            if at in late:
                waiting.append(change.key)
            else:
                town.apply([change])
        # What was not applied at once is applied later as the log tells it: each cell as it is by then.
        again = [key for key, _ in town.cells()]
        order = waiting if data is None else data.draw(st.permutations(waiting + again[:6]))
        for key in order:
            cell = town.store.get_cell(key)
            assert cell is not None
            town.apply([Changed(0, key, facts_of(Cell.decode(cell)))])
        town.backfill()
        assert town.differences() == []
        for who in range(len(PEOPLE)):
            assert all(len(listed(town, who, sort)) <= 4 for sort in Sort if sort is not Sort.LABEL)


MINE, YOURS = (0, 1), (1, 2)


@pytest.mark.parametrize(
    ("answers", "root", "quotes", "mentions", "told"),
    [
        (None, None, None, [], {}),
        (MINE, None, None, [], {0: Sort.REPLY}),
        (YOURS, MINE, None, [], {1: Sort.REPLY, 0: Sort.THREAD}),
        (YOURS, MINE, None, [0, 0], {1: Sort.REPLY, 0: Sort.MENTION}),
        (None, None, MINE, [1], {0: Sort.QUOTE, 1: Sort.MENTION}),
        (MINE, MINE, MINE, [0], {0: Sort.REPLY}),
        (None, MINE, None, [], {}),
        ((4, 1), (4, 1), (4, 1), [4], {}),
    ],
)
def test_whom_a_post_concerns(answers: Any, root: Any, quotes: Any, mentions: Any, told: Any) -> None:
    record = record_of(("post", 4, 0, answers, root, quotes, mentions), 1)
    made = notices_of(parse_key(record.key), facts_of(Cell.of(record)))
    whom = {account_of(entry.group[8:40]): sort_of(entry.group) for entry in made}
    assert whom == {PEOPLE[who].account: sort for who, sort in told.items()}
    assert {entry.member for entry in made} <= {record.item + public_of(record.author)}


def test_a_post_names_no_more_than_it_may() -> None:
    town = Town(None)
    accounts = [KeyPair(n.to_bytes(32, "big")).account for n in range(1000, 1000 + limits.POST_MENTIONS)]
    body: dict[str, Any] = {"text": "all of you", "mentions": accounts}
    post = Record.sign(PEOPLE[0], kind="post", item=item_of(0, 1), body=body, stamp=BASE_US)
    town.apply([town.put(post)])
    assert town.differences() == []
    with pytest.raises(WireError):
        body["mentions"] = [*accounts, PEOPLE[1].account]
        Record.sign(PEOPLE[0], kind="post", item=item_of(0, 1), body=body, stamp=BASE_US)


def test_a_flood_of_likes_is_one_notice_of_bounded_size() -> None:
    town = Town(None)
    likes = [react("like", who, 0, 1, at) for at, who in enumerate(MANY)]
    town.apply([town.put(like) for like in likes])
    [notice] = listed(town, 0, Sort.LIKE)
    newest = Crowd.decode(notice.value).newest
    assert [account_of(each.public) for each in newest] == [
        who.account for who in reversed(MANY[-bounds.NOTICE_NAMES :])
    ]
    again = [react("like", MANY[0], 0, 1, 10_000 + at, on=at % 2 == 0) for at in range(100)]
    town.apply([town.put(like) for like in again])
    [flapped] = listed(town, 0, Sort.LIKE)
    assert len(flapped.value) <= len(notice.value) and town.differences() == []


def test_of_a_crowd_only_who_joins_it_is_news() -> None:
    town, group = Town(None), notices_group(PEOPLE[0].account, Sort.LIKE)

    def news(record: Record) -> int:
        change = town.put(record)
        with town.store.write() as transaction:
            book = ProjectionBook(transaction)
            application = town.application(book)
            application.apply(change)
            application.write()
            transaction.commit()
        return len(book.news.get(mark(Index.NOTICES, group), []))

    assert [news(react("like", MANY[who], 0, 1, 10 * who)) for who in range(3)] == [1, 1, 1]
    assert news(react("like", MANY[3], 0, 1, 5)) == 0, "who liked it before the newest did"
    assert news(react("like", MANY[2], 0, 1, 99, on=False)) == 0, "who does not any more"
    [before] = listed(town, 0, Sort.LIKE)
    assert news(react("like", MANY[2], 0, 1, 100)) == 1, "it stands where it stood, for whoever was told"
    [after] = listed(town, 0, Sort.LIKE)
    assert latest_in(before.value) == Reaction(BASE_US + 10, public_of(MANY[1].account))
    assert latest_in(after.value) == Reaction(BASE_US + 20, public_of(MANY[2].account))


def test_an_edit_of_a_post_that_names_somebody_is_no_news_again() -> None:
    town, group = Town(None), notices_group(PEOPLE[0].account, Sort.MENTION)
    told = []
    for at, mentions in enumerate([[], [0], [0]]):
        change = town.put(record_of(("post", 1, 0, None, None, None, mentions), at))
        with town.store.write() as transaction:
            book = ProjectionBook(transaction)
            application = town.application(book)
            application.apply(change)
            application.write()
            transaction.commit()
        told.append(len(book.news.get(mark(Index.NOTICES, group), [])))
    assert told == [0, 1, 0]


def test_floods_of_one_sort_take_no_room_from_another() -> None:
    town = Town(None, BOUNDS._replace(notices_max=10))
    town.apply([town.put(record_of(("post", 1, 0, MINE, None, None, []), 0))])
    for n in range(200):
        item = make_uuid7(BASE_US // 1000 + n, n)
        body = {"text": "hey", "mentions": [PEOPLE[0].account]}
        post = Record.sign(PEOPLE[2], kind="post", item=item, body=body, stamp=BASE_US + n)
        town.apply([town.put(post)])
    assert len(listed(town, 0, Sort.REPLY)) == 1
    kept = listed(town, 0, Sort.MENTION)
    assert 10 <= len(kept) < 10 + bounds.NOTICES_SPARE and town.differences() == []
    assert max(kept).member[:16] == item


def mentions_of(author: KeyPair, *ms: int) -> list[Record]:
    """Posts that name the first of the people, made at these times."""
    body = {"text": "hey", "mentions": [PEOPLE[0].account]}
    return [
        Record.sign(
            author, kind="post", item=make_uuid7(BASE_US // 1000 + each, each), body=body, stamp=BASE_US
        )
        for each in ms
    ]


def test_who_floods_a_list_pushes_nobody_out_of_it() -> None:
    town = Town(None, BOUNDS._replace(notices_max=20))
    friend, other, flood = PEOPLE[1], PEOPLE[2], PEOPLE[3]
    early = [*mentions_of(friend, *range(5)), *mentions_of(other, *range(5, 17))]
    for record in (*early, *mentions_of(flood, *range(100, 400))):
        town.apply([town.put(record)])
    assert town.differences() == []
    lengths = Counter(account_of(each.member[16:]) for each in listed(town, 0, Sort.MENTION))
    assert lengths[friend.account] == 5, "who takes less than a fair share loses nothing"
    assert lengths[other.account] == 7 and lengths[flood.account] < 8 + bounds.NOTICES_SPARE
    for again in early:
        town.apply([town.put(again)])
    assert town.differences() == [], "what was left out does not come back when it is read again"


def test_more_authors_than_there_are_rows_push_out_what_is_oldest() -> None:
    town = Town(None, BOUNDS._replace(notices_max=10))
    crowd = [KeyPair(number.to_bytes(32, "big")) for number in range(500, 700)]
    flood = mentions_of(PEOPLE[3], *range(100))
    few = [record for at, who in enumerate(crowd) for record in mentions_of(who, 1_000 + at)]
    for record in (*flood, *few):
        town.apply([town.put(record)])
    kept = [account_of(each.member[16:]) for each in listed(town, 0, Sort.MENTION)]
    assert kept == [who.account for who in crowd[-len(kept) :]]
    assert 10 <= len(kept) < 10 + bounds.NOTICES_SPARE and town.differences() == []


def test_floors_of_authors_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "NOTICES_SPARE", 1)
    town, group = Town(None, BOUNDS._replace(notices_max=8)), notices_group(PEOPLE[0].account, Sort.MENTION)
    for number in range(40):
        who = KeyPair((500 + number).to_bytes(32, "big"))
        for record in mentions_of(who, *range(10 * number, 10 * number + 8)):
            town.apply([town.put(record)])
    with town.store.engine.begin() as transaction:
        floors = members(transaction, Index.NOTICES_FLOOR, 0, group, limit=1_000)
    assert len(floors) <= 8 + 1 and town.differences() == []


def test_a_post_below_the_floor_makes_no_crowd() -> None:
    town = Town(None, BOUNDS._replace(notices_max=3))
    for which in range(80):
        town.apply([town.put(react("like", PEOPLE[1], 0, which, which))])
    kept = len(listed(town, 0, Sort.LIKE))
    town.apply([town.put(react("like", PEOPLE[2], 0, 0, 1_000))])
    assert len(listed(town, 0, Sort.LIKE)) == kept and town.differences() == []


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 100))
def test_a_level_is_as_high_as_the_room_allows(wanted: list[int], room: int) -> None:
    level = fair_level(wanted, room)
    assert level == 1 or sum(min(each, level) for each in wanted) <= room
    higher = sum(min(each, level + 1) for each in wanted)
    assert higher > room or level >= max(wanted)


def test_a_labeller_takes_no_room_from_another() -> None:
    town = Town(None, BOUNDS._replace(notices_max=10))
    town.apply([town.put(record_of(("label", 1, 0, 1, True), 0))])
    for at in range(200):
        item = label_item(make_uuid7(BASE_US // 1000 + at, at), "spam", PEOPLE[2].account)
        body = {"value": "spam", "subject_id": bytes(32), "reason": "I say so"}
        place = PEOPLE[0].account
        label = Record.sign(PEOPLE[2], kind="label", item=item, body=body, stamp=BASE_US + at, place=place)
        town.apply([town.put(label)])
    kept = {who: notices_group(PEOPLE[0].account, Sort.LABEL, PEOPLE[who].account) for who in (1, 2)}
    with town.store.engine.begin() as transaction:
        lists = {who: members(transaction, Index.NOTICES, 0, group, limit=500) for who, group in kept.items()}
    assert len(lists[1]) == 1 and 10 <= len(lists[2]) < 10 + bounds.NOTICES_SPARE
    assert town.differences() == []


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 40), st.booleans()), max_size=80),
    st.randoms(use_true_random=False),
)
def test_who_is_listed_of_a_crowd_follows_from_who_is_in_it(changes: Any, random: Any) -> None:
    crowd = Crowd()
    on: dict[int, Reaction] = {}
    for stamp, who, likes in changes:
        reaction = Reaction(stamp, bytes((who,)) * 32)
        crowd = crowd.changed(reaction, on=likes)
        assert Crowd.decode(crowd.encode()) == crowd and len(crowd.newest) <= bounds.NOTICE_NAMES
        assert latest_in(crowd.encode()) == (crowd.newest[0] if crowd.newest else crowd.below)
        on.pop(who, None)
        if likes:
            on[who] = reaction
    after = sorted((each for each in on.values() if not crowd.below or each > crowd.below), reverse=True)
    assert list(crowd.newest) == after
    assert crowd.below is not None or len(on) == len(crowd.newest)


async def test_who_begins_to_wait_while_something_is_committed_is_woken() -> None:
    town, watchers, watch = Town(None), Watchers(), Watch()
    named = record_of(("post", 1, 0, None, None, None, [0]), 1)
    change = town.put(named)
    with town.store.write() as transaction:
        book = ProjectionBook(transaction)
        town.application(book).apply(change)
        watchers.watch(watch, [mark(Index.NOTICES, notices_group(PEOPLE[0].account, Sort.MENTION))])
        transaction.commit()
    watchers.wake(book.news)
    with trio.fail_after(1):
        await watch.wait()


def test_facts_stay_small_and_older_ones_are_read() -> None:
    like = facts_of(Cell.of(react("like", PEOPLE[1], 0, 1, 5))).to_wire()
    assert like == [True, BASE_US + 5]
    liked = [Cell.of(react("like", PEOPLE[1], 0, 1, at, on=at != 6)) for at in (5, 6, 7)]
    again = facts_of(reduce(join, liked)).to_wire()
    assert again[:2] == [True, BASE_US + 7] and codec.shaped(again, Facts, "facts").told_us == BASE_US + 5
    plain = facts_of(Cell.of(record_of(("post", 1, 0, None, None, None, []), 1))).to_wire()
    assert len(plain) == 2
    assert Facts(True, 7).to_wire() == [True, 7]
    assert facts_log(bytes(16)) != bytes(16) and len(facts_log(bytes(16))) == 16


def test_what_waits_for_review_is_told_of_by_its_own_cell() -> None:
    town = Town(None)
    record = record_of(("held", 0, 1), 1)
    change = put(town, record, held=True)
    assert change.key == held_key(record.key)
    town.apply([change])
    [notice] = listed(town, 0, Sort.HELD)
    assert notice.member[:16] == record.item
