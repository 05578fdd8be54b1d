"""An author's pages: order, bounds, deletions, counts and labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.crdt.cell import Cell, shown_frame, winner_frame
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.limits import PAGE_LABELS_PER_POST
from folkmoot.protocol.moderation.label import Label, labeller_prefix
from folkmoot.protocol.record import SIGNED_PREFIX, Record
from folkmoot.storage import labelled, pages
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.pages import AuthorPage
from folkmoot.storage.rows import row_cell
from folkmoot.storage.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage.making import (
    NOW_US,
    cells_of,
    deletion,
    label,
    open_store,
    person,
    post,
    post_item,
    put,
    reaction,
)

ANN, BEN = person(1), person(2)
ROOM = 10**6


def page(
    store: Store,
    before: bytes | None = None,
    *,
    author: KeyPair = ANN,
    limit: int = 10,
    room: int = ROOM,
    trusted: Iterable[KeyPair] = (),
) -> AuthorPage:
    return store.author_page(
        author.account, before, limit=limit, bytes_max=room, trusted=lambda: accounts(trusted)
    )


def accounts(people: Iterable[KeyPair]) -> frozenset[bytes]:
    return frozenset(each.account for each in people)


def frame(record: Record) -> bytes:
    return codec.pack(record.to_wire())


def test_newest_first_and_only_this_author(store: Store) -> None:
    posts = [post(ANN, number) for number in range(5)]
    put(store, *posts, *(post(person(i), 1) for i in range(2, 30)))
    put(store, Record.sign(ANN, kind="profile", item=b"name", body={"value": "Ann"}, stamp=NOW_US))
    found = page(store)
    assert found.frames == [frame(record) for record in reversed(posts)]
    assert found.items == [record.item for record in reversed(posts)]
    assert (found.counts, found.labels, found.resume) == ({}, {}, None)


def test_an_author_without_posts(store: Store) -> None:
    put(store, post(BEN, 1))
    assert page(store) == AuthorPage([], [], {}, {}, {}, frozenset(), {}, None)


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
def test_pages_follow_each_other(store: Store, limit: int) -> None:
    put(store, *(post(ANN, number) for number in range(7)))
    items: list[bytes] = []
    before = None
    while True:
        found = page(store, before, limit=limit)
        assert len(found.items) <= limit
        items += found.items
        before = found.resume
        if before is None:
            break
        put(store, post(ANN, 100 + len(items)))
    assert items == [post_item(number) for number in reversed(range(7))]


def test_a_page_is_bounded_in_bytes_but_never_stuck(store: Store) -> None:
    put(store, *(post(ANN, number, "x" * 1000) for number in range(4)))
    size = len(frame(post(ANN, 0, "x" * 1000)))
    assert len(page(store, room=2 * size).items) == 2
    assert len(page(store, room=2 * size - 1).items) == 1
    assert len(page(store, room=1).items) == 1
    assert page(store, room=2 * size).resume == post_item(2)


def test_deleted_posts_are_passed_over(store: Store) -> None:
    put(store, *(post(ANN, number) for number in range(6)))
    put(store, *(deletion(ANN, number) for number in (0, 2, 5)))
    assert page(store).items == [post_item(number) for number in (4, 3, 1)]
    assert page(store, limit=3).resume == post_item(1)


@given(
    st.lists(st.sampled_from(["plain", "edited", "deleted"]), max_size=90),
    st.integers(1, 60),
    st.one_of(st.integers(100, 9_000), st.just(ROOM)),
)
@settings(max_examples=60, deadline=None)
def test_a_page_is_what_reading_one_by_one_would_show(kinds: list[str], limit: int, room: int) -> None:
    """However many rows are read and cut at once."""
    store = open_store(MemoryEngine(cap_bytes=10**8))
    for number, kind in enumerate(kinds):
        put(store, post(ANN, number))
        if kind != "plain":
            put(store, post(ANN, number, "x" * 99, stamp=2) if kind == "edited" else deletion(ANN, number))
    waiting = [
        (cell.winner.item, frame(cell.winner), cell.deleted)
        for _, cell in sorted((key, Cell.decode(data)) for key, data in cells_of(store).items())
    ]
    before = None
    while True:
        shown: list[bytes] = []
        last = None
        while waiting and len(shown) < limit:
            item, data, deleted = waiting[-1]
            if not deleted:
                if shown and sum(map(len, shown)) + len(data) > room:
                    break
                shown.append(data)
            last = item
            waiting.pop()
        found = page(store, before, limit=limit, room=room)
        assert found.frames == shown
        assert found.resume == (last if waiting else None)
        if not waiting:
            break
        before = last


def test_a_scan_of_many_markers_ends_early_and_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, post(ANN, 0), *(deletion(ANN, number) for number in range(1, 8)))
    monkeypatch.setattr(pages, "PAGE_ROWS_SCANNED", 3)
    first = page(store)
    assert (first.items, first.resume) == ([], post_item(5))
    second = page(store, first.resume)
    assert (second.items, second.resume) == ([], post_item(2))
    third = page(store, second.resume)
    assert (third.items, third.resume) == ([post_item(0)], None)


def test_the_display_winner_is_shown(store: Store) -> None:
    late, early = post(ANN, 1, "late", stamp=9), post(BEN, 1, "early", stamp=3, author=ANN.account)
    put(store, post(ANN, 1, "first"), late, early)
    assert page(store).frames == [frame(late)]


def test_counts_and_labels_come_with_the_page(store: Store) -> None:
    put(store, *(post(ANN, number) for number in range(5)))
    put(store, reaction("like", BEN, ANN, 1), reaction("like", BEN, ANN, 3), reaction("repost", BEN, ANN, 3))
    put(store, label(BEN, ANN, 0), label(BEN, ANN, 3, "rude"), label(BEN, ANN, 3, "spam"))
    found = page(store, post_item(4), limit=3)
    assert found.items == [post_item(number) for number in (3, 2, 1)]
    assert found.counts == {post_item(1): (1, 0), post_item(3): (1, 1)}
    assert {item: set(frames) for item, frames in found.labels.items()} == {
        post_item(3): {frame(label(BEN, ANN, 3, "rude")), frame(label(BEN, ANN, 3, "spam"))}
    }


def test_labels_are_bounded_a_post_and_count_as_bytes(store: Store) -> None:
    put(store, *(post(ANN, number) for number in range(3)))
    put(store, *(label(BEN, ANN, 1, f"name-{i:02}") for i in range(PAGE_LABELS_PER_POST + 5)))
    assert len(page(store).labels[post_item(1)]) == PAGE_LABELS_PER_POST
    room = 3 * len(frame(post(ANN, 0))) + 100
    assert page(store, room=room).items == [post_item(2)]
    second = page(store, post_item(2), room=room)
    assert second.items == [post_item(1)] and second.resume == post_item(1)


CROWD = [person(1000 + i) for i in range(40)]
NODES = [person(2000 + i) for i in range(4)]


def crowded(*numbers: int) -> list[Record]:
    """Labels of a crowd on some posts, under values that stand before and after any other."""
    names = ["!", "\U0010ffff", "spam"]
    return [label(each, ANN, number, name) for number in numbers for each in CROWD for name in names]


def test_no_crowd_hides_the_labels_of_the_trusted(store: Store) -> None:
    put(store, *(post(ANN, number) for number in range(4)), *crowded(2, 3))
    told = [label(NODES[0], ANN, 3), label(NODES[1], ANN, 3, "rude"), label(NODES[2], ANN, 0)]
    put(store, *told, label(BEN, ANN, 0), label(BEN, ANN, 2))
    whole = page(store, trusted=NODES)
    found = whole.labels
    assert whole.labels_cut == {post_item(2), post_item(3)}
    assert set(found[post_item(3)][:2]) == {frame(told[0]), frame(told[1])}
    assert {item: len(frames) for item, frames in found.items()} == {
        post_item(3): PAGE_LABELS_PER_POST,
        post_item(2): PAGE_LABELS_PER_POST,
        post_item(0): 2,
    }
    assert found[post_item(0)] == [frame(told[2]), frame(label(BEN, ANN, 0))]
    for number in range(4):
        key = cell_key(ANN.account, "post", post_item(number))
        assert store.labels_of(key, lambda: accounts(NODES)) == found.get(post_item(number), [])
        [read] = store.posts([key], lambda: accounts(NODES))
        assert read is not None and read.labels_cut == (number in (2, 3))


def test_one_value_by_many_of_the_trusted_leaves_room_for_another(store: Store) -> None:
    many = [person(3000 + i) for i in range(PAGE_LABELS_PER_POST + 4)]
    put(store, post(ANN, 1), *crowded(1), *(label(each, ANN, 1, "advert") for each in many))
    for rare in (min(many, key=lambda each: each.account), max(many, key=lambda each: each.account)):
        put(store, label(rare, ANN, 1, f"rare-{rare.account.hex()[:8]}"))
    found = [Record.from_wire(codec.unpack(each)) for each in page(store, trusted=many).labels[post_item(1)]]
    assert len({each.body["value"] for each in found[:3]}) == 3
    assert len(found) == PAGE_LABELS_PER_POST and {each.author for each in found} <= accounts(many)


def test_labels_that_were_taken_back_are_not_shown(store: Store) -> None:
    def said(who: KeyPair, value: str, *, stamp: int, **more: Any) -> Record:
        of_post = Label(post_item(1), value, who.account, bytes(32), **{"reason": "So.", **more})
        return Record.sign(
            who, kind="label", item=of_post.item, body=of_post.body(), stamp=stamp, place=ANN.account
        )

    about = said(NODES[0], "odd", stamp=1, reason="It says \u00a7negated\u00e9 and negated.")
    put(store, post(ANN, 1), about, said(NODES[0], "spam", stamp=1), said(BEN, "spam", stamp=1))
    assert len(page(store).labels[post_item(1)]) == 3
    put(store, *(said(who, "spam", stamp=2, negated=True) for who in (NODES[0], BEN)))
    assert page(store).labels == {post_item(1): [frame(about)]}
    again = said(BEN, "spam", stamp=3)
    put(store, again, said(NODES[0], "odd", stamp=3, negated=True))
    assert page(store, trusted=NODES).labels == {post_item(1): [frame(again)]}
    put(store, said(BEN, "spam", stamp=4, negated=True))
    assert page(store, trusted=NODES).labels == {}


def test_who_is_trusted_is_asked_once_and_only_for_labels(store: Store) -> None:
    asked = []

    def trusted() -> frozenset[bytes]:
        asked.append(True)
        return accounts(NODES)

    put(store, *(post(ANN, number) for number in range(3)))
    store.author_page(ANN.account, limit=10, bytes_max=ROOM, trusted=trusted)
    assert not asked
    put(store, *(label(BEN, ANN, number) for number in range(3)))
    store.author_page(ANN.account, limit=10, bytes_max=ROOM, trusted=trusted)
    assert asked == [True]


def test_labels_beyond_the_room_of_a_page_are_not_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, *(post(ANN, number) for number in range(10)), *(label(BEN, ANN, i) for i in range(10)))
    read = []

    def noted(key: bytes, row: bytes) -> bytes:
        read.append(key)
        return row_cell(key, row)

    monkeypatch.setattr(labelled, "row_cell", noted)
    room = 3 * len(frame(post(ANN, 0)) + frame(label(BEN, ANN, 0)))
    assert page(store, room=room).items == [post_item(number) for number in (9, 8, 7)]
    assert len(read) < 10


LABELS = [label(each, ANN, number, name) for each in NODES for number in (1, 2) for name in ("a", "b\xff")]


@given(
    said=st.lists(st.sampled_from(LABELS), unique=True),
    trusted=st.sets(st.sampled_from([*NODES, BEN])),
)
@settings(max_examples=60)
def test_seeking_finds_just_what_the_trusted_said(said: list[Record], trusted: set[KeyPair]) -> None:
    store = open_store(MemoryEngine())
    put(store, *said)
    prefix = cell_key(ANN.account, "label", post_item(1))
    with store.engine.begin() as transaction:
        prefixes = sorted(labeller_prefix(each.account) for each in trusted)
        found = [key for key, _ in labelled._rows_by(transaction, prefix, prefixes, 16)]
    wanted = {each.key for each in said if each.author in accounts(trusted) and each.key.startswith(prefix)}
    assert len(found) == len(wanted) and set(found) == wanted


NOISE = crowded(1)[:20]


@given(
    said=st.lists(st.sampled_from(LABELS), unique=True),
    chosen=st.sets(st.sampled_from([*NODES, BEN])),
    back=st.sets(st.sampled_from(LABELS), max_size=4),
)
@settings(max_examples=40)
def test_what_chosen_labellers_say_is_all_they_did_not_take_back(
    said: list[Record], chosen: set[KeyPair], back: set[Record]
) -> None:
    store = open_store(MemoryEngine())
    put(store, post(ANN, 1), *said, *NOISE)
    put(store, *(negation(each) for each in back))
    found = store.labels_by(cell_key(ANN.account, "post", post_item(1)), accounts(chosen))
    ours = [each for each in said if each.author in accounts(chosen) and each.item.startswith(post_item(1))]
    assert set(found) == {frame(each) for each in ours if each not in back} and len(found) == len(set(found))


def negation(of: Record) -> Record:
    """What takes a label back."""
    [by] = [each for each in NODES if each.account == of.author]
    body = {**of.body, "negated": True}
    return Record.sign(by, kind="label", item=of.item, body=body, stamp=of.stamp + 1, place=of.place)


def with_payload_key(name: str, record: Record) -> Record:
    """The same record with a key this version does not know."""
    fields = codec.unpack(record.payload)
    payload = codec.encode_canonical({**fields, name: "future"})
    return Record(payload, ANN.sign(SIGNED_PREFIX + payload))


@pytest.mark.parametrize("name", ["a", "author1", "bode", "zeta"])
def test_deletion_is_seen_behind_unknown_keys(name: str) -> None:
    for record in (post(ANN, 1), post(ANN, 1, "x" * 400), deletion(ANN, 1)):
        stranger = with_payload_key(name, record)
        data = Cell.of(stranger).encode()
        assert shown_frame(data) == (None if record.deleted else winner_frame(data))


def test_a_text_that_looks_like_a_deletion_is_shown() -> None:
    data = Cell.of(post(ANN, 1, "\xa7deleted\xc3 body deleted")).encode()
    assert shown_frame(data) == winner_frame(data)


def test_the_frame_of_a_cell_with_sixteen_survivors() -> None:
    cell = Cell.of(post(ANN, 1))
    from folkmoot.protocol.crdt.cell import join

    for i in range(15):
        cell = join(cell, Cell.of(post(person(50 + i), 1, author=ANN.account, stamp=i + 2)))
    assert len(cell.survivors) == 16
    assert shown_frame(cell.encode()) == frame(cell.winner)
    assert cell_key(ANN.account, "post", post_item(1)) == cell.key
