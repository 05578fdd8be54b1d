"""What is remembered of pages, posts, profiles and home feeds is what would be read: whatever is written in
between."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, cast

import pytest
from folkmoot.node.projections.listings import Home
from folkmoot.protocol import limits
from folkmoot.protocol.key import kind_prefix, place_prefix
from folkmoot.protocol.moderation.decision import Action, Decision, Role, Subject
from folkmoot.protocol.moderation.label import label_item
from folkmoot.protocol.projections.entries import Entry, Index, Projection, post_group
from folkmoot.protocol.record import Record
from folkmoot.storage.bounded import BoundedCache
from folkmoot.storage.erasing import erase
from folkmoot.storage.inbox import Inbox
from folkmoot.storage.inboxes import of_post
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.projections import Member, ProjectionBook
from folkmoot.storage.rows import Counts, counts_key
from folkmoot.storage.shown import ShownCaches, Sizes, Top
from folkmoot.storage.shown_post import Post
from folkmoot.storage.store import Store
from folkmoot.storage.touched import Touched
from folkmoot.storage.transaction import WriteTransaction

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
DECIDER = person(21)
LABELLERS = [frozenset({FANS[0].account}), frozenset({FANS[1].account})]
POSTS = 12
STEPS = 250
SIZES = Sizes(15_000, 6_000, 1_200, 10_000)  # some of each has to make room
NOTHING = Sizes(0, 0, 0, 0)
INBOX_ROWS = 3
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
        often = (self._post, self._reaction, self._label, self._derived, self._inbox)
        seldom = (self._deleted, self._profile, self._counts, self._labellers, self._erased, self._merged)
        change = self.random.choice((*often, *often, *seldom, self._decided))
        self.stamp += 1
        change()

    def read(self) -> None:
        """Read something, and the same as if nothing were remembered."""
        author = self.random.choice(AUTHORS).account
        limit = self.random.choice((1, 3, POSTS, POSTS))
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
        fan = self.random.choice(FANS).account
        tops = [_home(store, fan).now(None, limit) for store in (self.store, self.bare)]
        assert tops[0] == tops[1], "a home feed is another one"

    def read_across_a_commit(self) -> None:
        """Read before a commit, and come to remember it after it."""
        author, shown = self.random.choice(AUTHORS).account, self.store.shown
        version = shown.version(self.trusted)
        page = self.bare.packed_page(author, None, limit=3, trusted=lambda: self.trusted, **_BOUND)
        profile = self.bare.profile(author)
        fan = self.random.choice(FANS).account
        top = _home(self.bare, fan).now(None, 3)
        self.random.choice((self.write, self._inbox))()
        shown.keep_first_page(place_prefix(author), (3, limits.PAGE_BYTES), page, version)
        shown.keep_profile(place_prefix(author), profile, version)
        if top is not None:
            shown.keep_top(place_prefix(fan), top, version)

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

    def _decided(self) -> None:
        """About a post, a label or a profile field, each of which others may come to be shown or not."""
        author, stamp = self.random.choice(AUTHORS), NOW_US + self.stamp
        post = post_item(self._number())
        subject = self.random.choice(
            [
                Subject("post", post),
                Subject("profile", self.random.choice((b"name", b"bio"))),
                Subject("label", label_item(post, "spam", self.random.choice(FANS).account)),
            ]
        )
        action = self.random.choice((Action.REMOVE, Action.RESTORE))
        one = Decision(subject, bytes(32), action, Role.OPERATOR, DECIDER.account, stamp, "because")
        record = Record.sign(
            DECIDER, kind="decision", item=one.item, body=one.body(), stamp=stamp, place=author.account
        )
        put(self.store, record)

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

    def _inbox(self) -> None:
        """As when somebody posts, deletes, or is not followed any more; or an inbox has become too long."""
        group = place_prefix(self.random.choice(FANS).account)
        posts = [of_post(self.random.choice(AUTHORS).account, post_item(self._number())) for _ in range(3)]
        come = self.random.random()

        def job(transaction: WriteTransaction) -> None:
            book = ProjectionBook(transaction)
            inbox = Inbox(book, self.store.live[Projection.HOME], group, INBOX_ROWS, NOW_US)
            if come < 0.6:
                inbox.put([Member(*each.entry) for each in sorted(posts)], news=False)
            elif come < 0.75:
                inbox.take_out(lambda entry: entry.member in [each.at for each in posts])
            else:
                inbox.trim()
                inbox.open_downwards()  # or it would soon be too long no more

        run(self.store, job)

    def _merged(self) -> None:
        """An author has come to have too many followers for inboxes, or has so no longer."""
        entry = Entry(Index.MERGED, place_prefix(self.random.choice(AUTHORS).account), b"")
        generation, on = self.store.live[Projection.HOME], self.random.random() < 0.3

        def job(transaction: WriteTransaction) -> None:
            book = ProjectionBook(transaction)
            if on:
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


def _home(store: Store, account: bytes) -> Home:
    return Home(account, store, cast("Any", None))  # nobody is asked what is merged


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
    real, label_byte = ShownCaches.forget, kind_prefix(AUTHORS[0].account, "label")[-1]

    def forget(self: ShownCaches, touched: Touched) -> None:
        touched.cells = [key for key in touched.cells if key[40] != label_byte]
        real(self, touched)

    plant.setattr(ShownCaches, "forget", forget)


def _leaves(unheeded: Index) -> Callable[[pytest.MonkeyPatch], None]:
    """Does not forget home feeds for what changes in an index."""

    def plant_it(plant: pytest.MonkeyPatch) -> None:
        real = Touched.entry

        def entry(self: Touched, index: Index, group: bytes, member: bytes) -> None:
            homes, merging = set(self.homes), self.merging
            real(self, index, group, member)
            if index is unheeded:
                self.homes, self.merging = homes, merging

        plant.setattr(Touched, "entry", entry)

    plant_it.__name__ = f"_does_not_heed_{unheeded.name}"
    return plant_it


def _forgets_no_profiles(plant: pytest.MonkeyPatch) -> None:
    plant.setattr("folkmoot.storage.shown._PROFILE", -1)


def _remembers_what_was_read_before(plant: pytest.MonkeyPatch) -> None:
    keep = ShownCaches.keep_first_page
    plant.setattr(
        ShownCaches,
        "keep_first_page",
        lambda self, place, asked, page, version: keep(self, place, asked, page, self.version()),
    )


def _remembers_home_feeds_read_before(plant: pytest.MonkeyPatch) -> None:
    keep = ShownCaches.keep_top
    plant.setattr(
        ShownCaches, "keep_top", lambda self, group, top, version: keep(self, group, top, self.version())
    )


def _takes_a_shorter_page_for_a_longer_one(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(Top, "has", lambda self, limit: True)


def _takes_a_longer_page_for_a_shorter_one(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(Top, "cut", lambda self, limit: self)


def _does_not_ask_whose_labels_come_first(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(ShownCaches, "version", lambda self, labellers=None: self._version)


@pytest.mark.parametrize(
    "bug",
    [
        _forgets_no_labels,
        _forgets_no_profiles,
        _remembers_what_was_read_before,
        _leaves(Index.INBOX),
        _leaves(Index.FLOOR),
        _leaves(Index.MERGED),
        _leaves(Index.FOLLOWERS),
        _remembers_home_feeds_read_before,
        _takes_a_shorter_page_for_a_longer_one,
        _takes_a_longer_page_for_a_shorter_one,
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


def test_a_cache_gives_up_what_has_lasted_long_enough() -> None:
    now = 0.0
    cache: BoundedCache[str, bytes] = BoundedCache(10, len, lasting_s=3.0, now=lambda: now)
    cache.put("a", bytes(4))
    now = 1.0
    cache.put("b", bytes(4))
    cache.put("a", bytes(5))  # lasts from now on
    assert cache.get_all(["a", "b", "c"]) == [bytes(5), bytes(4), None]
    now = 3.5
    assert cache.peek("a") == bytes(5) and cache.get("b") is not None
    now = 4.0
    assert cache.get("a") is None and cache.figures() == (3, 2, 0, 0, 0, 10)
    cache.put("c", bytes(10))  # has all the room, and nobody to make it
    assert cache.get_all(["c"]) == [bytes(10)] and not cache.evictions


def test_a_cache_keeps_what_was_used_last_within_its_bytes() -> None:
    cache: BoundedCache[str, bytes] = BoundedCache(10, len)
    for name in "abc":
        cache.put(name, bytes(4))  # a makes room for c
    assert cache.get("a") is None and cache.get("b") is not None
    cache.put("d", bytes(4))  # c was used longest ago
    assert cache.get("c") is None and cache.get("b") is not None
    cache.put("b", bytes(11))  # what is too large is not kept, nor what was there before
    assert cache.get("b") is None
    cache.put("e", bytes(4))
    assert cache.get_all(["d", "b", "d"])[1] is None
    cache.put("f", bytes(4))  # e was used longest ago, for d was asked for among others
    assert cache.peek("e") is None and cache.peek("d") is not None
    cache.forget("f")
    assert cache.get("d", lambda value: False) is None
    assert cache.figures() == (4, 5, 3, 1, 4, 10)
    cache.bound(0)
    cache.put("a", b"x")
    assert len(cache) == 0
