"""What is remembered of pages, posts and profiles is what would be read: whatever is written in between."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from folkmoot.protocol import limits
from folkmoot.protocol.key import kind_prefix, place_prefix
from folkmoot.protocol.projections.entries import Entry, Index, Projection, post_group
from folkmoot.protocol.record import Record
from folkmoot.storage.bounded import BoundedCache
from folkmoot.storage.erasing import erase
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.projections import ProjectionBook
from folkmoot.storage.rows import Counts, counts_key
from folkmoot.storage.shown import ShownCaches, Sizes
from folkmoot.storage.shown_post import Post
from folkmoot.storage.store import Store

from tests.storage.making import (
    NOW_US,
    deletion,
    label,
    open_store,
    person,
    post,
    post_item,
    put,
    reaction,
    run,
)

AUTHORS = [person(number) for number in (1, 2)]
FANS = [person(number) for number in (11, 12, 13)]
LABELLERS = [frozenset({FANS[0].account}), frozenset({FANS[1].account})]
POSTS = 12
STEPS = 250
SIZES = Sizes(15_000, 6_000, 1_200)  # some of each has to make room
NOTHING = Sizes(0, 0, 0)
_BOUND = {"bytes_max": limits.PAGE_BYTES}


class Reading:
    """A store that remembers, and the same one without anything to remember with."""

    def __init__(self, seed: int) -> None:
        engine = MemoryEngine(cap_bytes=64 * limits.MIB)
        self.random = Random(seed)
        self.store = open_store(engine)
        self.store.shown.bound(SIZES)
        self.bare = Store(engine, owner=None)
        self.bare.shown.bound(NOTHING)
        self.stamp = 10
        self.trusted = LABELLERS[0]

    def write(self) -> None:
        """Change something that pages show."""
        often = (self._post, self._reaction, self._label, self._derived)
        seldom = (self._deleted, self._profile, self._counts, self._labellers, self._erased)
        change = self.random.choice((*often, *often, *seldom))
        self.stamp += 1
        change()

    def read(self) -> None:
        """Read something, and the same as if nothing were remembered."""
        author = self.random.choice(AUTHORS).account
        limit = self.random.choice((1, 3, POSTS))
        pages = [
            store.packed_page(author, None, limit=limit, trusted=lambda: self.trusted, **_BOUND)
            for store in (self.store, self.bare)
        ]
        assert pages[0] == pages[1], "a page is another one"
        keys = [kind_prefix(author, "post") + post_item(number) for number in range(POSTS)]
        some = self.random.sample(keys, 4)
        found = [store.posts(some, lambda: self.trusted) for store in (self.store, self.bare)]
        assert list(map(_shown, found[0])) == list(map(_shown, found[1])), "a post is another one"
        assert self.store.profile(author) == self.bare.profile(author), "a profile is another one"

    def read_across_a_commit(self) -> None:
        """Read before a commit, and come to remember it after it."""
        author, shown = self.random.choice(AUTHORS).account, self.store.shown
        version = shown.version(self.trusted)
        page = self.bare.packed_page(author, None, limit=3, trusted=lambda: self.trusted, **_BOUND)
        profile = self.bare.profile(author)
        self.write()
        shown.keep_first_page(place_prefix(author), (3, limits.PAGE_BYTES), page, version)
        shown.keep_profile(place_prefix(author), profile, version)

    def _number(self) -> int:
        return self.random.randrange(POSTS)

    def _post(self) -> None:
        author, number = self.random.choice(AUTHORS), self._number()
        put(self.store, post(author, number, f"text {self.stamp}", stamp=self.stamp))

    def _deleted(self) -> None:
        if self.random.random() < 0.3:
            put(self.store, deletion(self.random.choice(AUTHORS), self._number(), stamp=self.stamp))

    def _reaction(self) -> None:
        kind, who = self.random.choice(("like", "repost")), self.random.choice(FANS)
        on = self.random.random() < 0.7
        subject = self.random.choice(AUTHORS)
        put(self.store, reaction(kind, who, subject, self._number(), on=on, stamp=self.stamp))

    def _label(self) -> None:
        who, word = self.random.choice(FANS), self.random.choice(("spam", "rude"))
        put(self.store, label(who, self.random.choice(AUTHORS), self._number(), word, stamp=self.stamp))

    def _profile(self) -> None:
        who, body = self.random.choice(AUTHORS), {"value": f"name {self.stamp}"}
        item = self.random.choice((b"name", b"bio"))
        stamp = NOW_US + self.stamp
        put(self.store, Record.sign(who, kind="profile", item=item, body=body, stamp=stamp))

    def _derived(self) -> None:
        author, member = self.random.choice(AUTHORS).account, self.random.choice(FANS).account[2:]
        if self.random.random() < 0.5:
            entry = Entry(Index.FOLLOWERS, place_prefix(author), member)
            generation = self.store.live[Projection.FOLLOWERS]
        else:
            entry = Entry(Index.REPLIES, post_group(author, post_item(self._number())), member)
            generation = self.store.live[Projection.THREADS]

        def job(transaction: Any) -> None:
            book = ProjectionBook(transaction)
            if self.random.random() < 0.6:
                book.put(generation, entry)
            else:
                book.drop(entry.into, generation, entry.group, entry.member)

        run(self.store, job)

    def _counts(self) -> None:
        """As the self-check does when it finds other numbers than are kept."""
        key = kind_prefix(self.random.choice(AUTHORS).account, "like") + post_item(self._number())
        run(
            self.store,
            lambda transaction: transaction.set_counts(counts_key(key), Counts(1_000 + self.stamp, 1_000)),
        )

    def _labellers(self) -> None:
        self.trusted = self.random.choice(LABELLERS)

    def _erased(self) -> None:
        if self.random.random() < 0.1:
            start = place_prefix(self.random.choice(AUTHORS).account)
            run(self.store, lambda transaction: erase(transaction, start, start + b"\xff", 1_000))


def _shown(found: Post | None) -> Any:
    return None if found is None else (found.frame, list(found.labels), found.item, found.telling)


def interleaved(seed: int) -> ShownCaches:
    """Reads between writes, under a seed."""
    reading = Reading(seed)
    for _ in range(STEPS):
        if reading.random.random() < 0.1:
            reading.read_across_a_commit()
        else:
            reading.write()
        for _ in range(reading.random.randrange(3)):
            reading.read()
    return reading.store.shown


@pytest.mark.parametrize("seed", range(4))
def test_what_is_remembered_is_what_would_be_read(seed: int) -> None:
    figures = interleaved(seed).figures()
    for name, each in figures.items():
        assert each.hits and each.misses, f"nothing was compared of {name}"
        assert each.bytes <= each.bytes_max
    assert sum(each.evictions for each in figures.values()), "nothing had to make room"


def _forgets_no_labels(plant: pytest.MonkeyPatch) -> None:
    forget = ShownCaches.forget
    label_byte = kind_prefix(AUTHORS[0].account, "label")[-1]
    plant.setattr(
        ShownCaches,
        "forget",
        lambda self, keys: forget(self, [key for key in keys if key[40] != label_byte]),
    )


def _forgets_no_profiles(plant: pytest.MonkeyPatch) -> None:
    plant.setattr("folkmoot.storage.shown._PROFILE", -1)


def _remembers_what_was_read_before(plant: pytest.MonkeyPatch) -> None:
    keep = ShownCaches.keep_first_page
    plant.setattr(
        ShownCaches,
        "keep_first_page",
        lambda self, place, asked, page, version: keep(self, place, asked, page, self.version()),
    )


def _does_not_ask_whose_labels_come_first(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(ShownCaches, "version", lambda self, labellers=None: self._version)


@pytest.mark.parametrize(
    "bug",
    [
        _forgets_no_labels,
        _forgets_no_profiles,
        _remembers_what_was_read_before,
        _does_not_ask_whose_labels_come_first,
    ],
)
def test_what_is_not_forgotten_is_found(
    bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bug(monkeypatch)
    with pytest.raises(AssertionError, match="another one"):
        for seed in range(8):
            interleaved(seed)


def test_a_cache_keeps_what_was_used_last_within_its_bytes() -> None:
    cache: BoundedCache[str, bytes] = BoundedCache(10, len)
    for name in "abc":
        cache.put(name, bytes(4))  # a makes room for c
    assert cache.get("a") is None and cache.get("b") is not None
    cache.put("d", bytes(4))  # c was used longest ago
    assert cache.get("c") is None and cache.get("b") is not None
    cache.put("b", bytes(11))  # what is too large is not kept, nor what was there before
    assert cache.get("b") is None
    assert cache.get("d", lambda value: False) is None
    assert cache.figures() == (2, 4, 2, 1, 4, 10)
    cache.bound(0)
    cache.put("a", b"x")
    assert len(cache) == 0
