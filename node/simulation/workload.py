"""The workload: people with one device each, who post, edit, delete, like, follow and read.

A person does one thing at a time, carries a session token, sends the same bytes again until the answer is
certain, and now and then begins a new session. Everything answered goes into the history.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.environment import WallClock
from folkmoot.node.simulation.caller import UNANSWERED
from folkmoot.node.simulation.client_history import Exchange, Paged, Saw, Wrote
from folkmoot.node.simulation.history import (
    KEPT,
    Ack,
    CellRead,
    CellView,
    PageRead,
    ShownPost,
    key_of,
)
from folkmoot.node.simulation.phrases import JUDGED_PHRASES, PHRASES, TAGS
from folkmoot.node.simulation.town import WRITE_LEVELS, Asker, Place, Town
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import REFUSED_BY_POLICY, WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import LEVELS as LEVELS_RISING

Doing = Callable[[], Coroutine[Any, Any, None]]

READ_LEVELS: Final = ("quorum", "quorum", "one", "one", "local_quorum", "each_quorum", "all")
ATTEMPTS: Final = 2
RETRY_S: Final = 0.25
SETTLE_S: Final = 60.0
RECENT_POSTS: Final = 20
NEW_SESSION_CHANCE: Final = 0.03
PAGE_LIMITS: Final = (3, 5, 20)
PAGES_MAX: Final = 4
OWN_KEYS_PER_READ: Final = 3
OTHER_KEYS_PER_READ: Final = 3
HOARDED_KEYS: Final = 24
MANY_POSTS: Final = 6
HOARDED_POSTS: Final = 120
RECENT_PLACES: Final = 60
TOUCHED_PLACES: Final = 6
NOTHING: Final[Mapping[str, Any]] = {}


class Person:
    """One account with one device.

    Args:
        town: where it lives.
        key: its account's and device's.
        random: decides what it does.
        wall: its clock.
        caller: whom it asks.
        pause_s: mean time between two things it does.
        hoards: whether it keeps to one session and looks at more than its token has room for.
    """

    def __init__(
        self,
        town: Town,
        key: KeyPair,
        random: Random,
        wall: WallClock,
        caller: Asker,
        pause_s: float,
        *,
        hoards: bool = False,
    ) -> None:
        self._town = town
        self._history = town.history
        self._random = random
        self._key = key
        self._wall = wall
        self._caller = caller
        self._pause_s = pause_s
        self._stamp = 0
        self._hoards = hoards
        self._own: list[bytes] = []
        self._deleted: list[bytes] = []
        self._switched_on: dict[Place, None] = {}
        self._erases = False
        self._unsettled: deque[tuple[Record, str]] = deque()
        self._touched: deque[Place] = deque(maxlen=TOUCHED_PLACES)
        self._token: bytes | None = None
        self._session = town.new_session()

    async def live(self, over: Callable[[], bool]) -> None:
        """Do things until `over` says so, one of each sort to begin with."""
        for doing in (self.post, self.post, self.edit, self.like, self.unlike, self.delete, self.read):
            await doing()
        for phrase in JUDGED_PHRASES:
            await self.post(phrase)
        await self.reword()
        if self._hoards:
            await self.post_many(HOARDED_POSTS)
        doings: list[tuple[Doing, int]] = [
            (self.post, 4),
            (self.post_many, 1),
            (self.edit, 2),
            (self.reword, 2),
            (self.delete, 1),
            (self.edit_deleted, 1),
            (self.like, 3),
            (self.unlike, 2),
            (self.follow, 2),
            (self.answer, 2),
            (self.bookmark, 1),
            (self.read, 7),
            (self.read_page, 2),
            (self.settle_one, 3),
        ]
        choices = [doing for doing, weight in doings for _ in range(weight)]
        while not over():
            await trio.sleep(self._random.expovariate(1 / self._pause_s))
            if not self._hoards and self._random.random() < NEW_SESSION_CHANCE:
                self._begin_session()
            doing = self._random.choice(choices)
            with self._town.watched(doing.__name__):
                await doing()

    async def settle(self) -> None:
        """Send again whatever has no certain answer yet, until it has one, or for a minute."""
        until_s = trio.current_time() + SETTLE_S
        while self._unsettled and trio.current_time() < until_s:
            await self.settle_one()
            await trio.sleep(RETRY_S)
        for _ in self._unsettled:
            self._history.count("writes never settled")

    async def conclude(self) -> None:
        """Say, change and take back one thing more, looking each time: then a short life can be judged."""
        await self.post()
        place = (self._key.account, "post", self._own[-1])
        for body in (self._body(), {"deleted": True}):
            await self._look_at([place], "all")
            await self._put((place, body))
        await self._look_at([place], "all")

    # Writing.

    async def post(self, phrase: str | None = None, more: Mapping[str, Any] = NOTHING) -> None:
        """Say something new."""
        item = self._new_item()
        await self._put(((self._key.account, "post", item), {**self._body(phrase), **more}))
        self._town.posts.append((self._key.account, item))

    async def post_many(self, count: int = MANY_POSTS) -> None:
        """Say several things at once."""
        items = [self._new_item() for _ in range(count)]
        await self._put(*(((self._key.account, "post", item), self._body()) for item in items))
        self._town.posts += ((self._key.account, item) for item in items)

    def _new_item(self) -> bytes:
        item = make_uuid7(self._wall.now_us() // 1000, self._random.getrandbits(74))
        self._own.append(item)
        return item

    async def edit(self) -> None:
        """Say something old in other words."""
        if self._own:
            item = self._random.choice(self._own)
            await self._put(((self._key.account, "post", item), self._body()))

    async def delete(self) -> None:
        """Take something back for ever."""
        if self._own:
            item = self._own.pop(self._random.randrange(len(self._own)))
            self._deleted.append(item)
            await self._put(((self._key.account, "post", item), {"deleted": True}))

    async def edit_deleted(self) -> None:
        """Write in the place of what was taken back, as a program would that does not know of it."""
        if self._deleted:
            item = self._random.choice(self._deleted)
            await self._put(((self._key.account, "post", item), self._body()))

    async def like(self) -> None:
        """Like or repost something."""
        if self._town.posts:
            author, item = self._random.choice(self._town.posts[-RECENT_POSTS:])
            kind = self._random.choice(("like", "repost"))
            await self._switch((author, kind, item + self._key.account), on=True)

    async def unlike(self) -> None:
        """Take back a like, a repost or a follow, and every other time for good: nothing older is kept."""
        if self._switched_on:
            self._erases = not self._erases
            await self._switch(self._random.choice(list(self._switched_on)), on=False)

    async def follow(self) -> None:
        """Follow somebody."""
        if self._town.posts:
            author, _ = self._random.choice(self._town.posts)
            if author != self._key.account:
                await self._switch((self._key.account, "follow", author), on=True)

    async def answer(self) -> None:
        """Answer something with a tag, quote what is newest, and name somebody."""
        recent = self._town.posts[-RECENT_POSTS:]
        chosen = {"reply_to": self._random.choice(recent), "quote": recent[-1]}
        refs = {name: {"author": author, "item": item} for name, (author, item) in chosen.items()}
        await self.post(more={**refs, "tags": [self._random.choice(TAGS)], "mentions": [recent[0][0]]})

    async def bookmark(self) -> None:
        """Keep something for later."""
        author, item = self._random.choice(self._town.posts[-RECENT_POSTS:])
        await self._switch((self._key.account, "bookmark", author + item), on=True)

    async def settle_one(self) -> None:
        """Send a record again, the same bytes, whose answer was not certain; by now it may be an old one."""
        if self._unsettled:
            record, level = self._unsettled.popleft()
            self._unsettled.extend((left, level) for left in await self._try_put([record], level))

    async def _switch(self, place: Place, *, on: bool) -> None:
        if on:
            self._switched_on[place] = None
        else:
            del self._switched_on[place]
        await self._put((place, {"on": on} | ({"erase": True} if self._erases and not on else {})))

    async def _put(self, *writes: tuple[Place, dict[str, Any]]) -> None:
        """Sign these and send them together, and then again what has no certain answer."""
        left = [self._signed(place, body) for place, body in writes]
        level = self._random.choice(WRITE_LEVELS)
        for attempt in range(ATTEMPTS):
            left = await self._try_put(left, level)
            if not left:
                return
            await trio.sleep(RETRY_S * 2**attempt * self._random.uniform(0.5, 1.5))
        self._unsettled.extend((record, level) for record in left)

    def _signed(self, place: Place, body: dict[str, Any]) -> Record:
        where, kind, item = place
        stamp = self._next_stamp()
        record = Record.sign(self._key, kind=kind, item=item, body=body, stamp=stamp, place=where)
        self._town.written(place)
        self._touched.append(place)
        self._history.submitted.append(record)
        return record

    async def _try_put(self, records: Sequence[Record], level: str) -> list[Record]:
        """Send records once, in one request; those for which the answer does not settle the matter."""
        sent_s, carried = trio.current_time(), self._token
        asked = {"records": [record.to_wire() for record in records], "level": level}
        answer = await self._ask("record.put", {**asked, **self._with_token()})
        if answer is None:
            self._note(carried, None, sent_s, wrote=tuple(Wrote.of(each, kept=False) for each in records))
            return list(records)
        self._token = answer["token"]
        achieved: list[str] = []
        wrote: list[Wrote] = []
        left: list[Record] = []
        for record, result in zip(records, answer["results"], strict=True):
            kept = result["status"] in KEPT
            wrote.append(Wrote.of(record, kept=kept))
            if kept:
                achieved.append(result["achieved"]["level"])
            if not self._is_settled(record, result, sent_s, level):
                left.append(record)
        least = min(achieved, key=LEVELS_RISING.index, default="")
        self._note(carried, self._token, sent_s, least, wrote=tuple(wrote))
        return left

    def _is_settled(self, record: Record, result: Mapping[str, Any], sent_s: float, level: str) -> bool:
        """Write down what was answered of one record; whether that settles the matter."""
        self._history.count(f"writes {result['status']}")
        if result["status"] in KEPT:
            achieved = result["achieved"]["level"]
            ack = Ack(record, sent_s, trio.current_time(), level, achieved, self._session)
            self._history.acks.append(ack)
            self._town.acknowledged(ack)
            return True
        error = result.get("error", {})
        if result["status"] == "refused":
            self._history.count(f"refused {error['name']}")
        if result["status"] == "held" or error.get("name") == REFUSED_BY_POLICY.name:
            self._history.kept_back.append(record)
        return bool(result["status"] == "held" or (result["status"] == "refused" and not error["retryable"]))

    # Reading.

    async def read(self) -> None:
        """Look at a few cells, one's own more than others'."""
        places = list(self._town.places)[-RECENT_PLACES if not self._hoards else 0 :]
        if not places:
            return
        drawn = [self._random.choice(self._touched or places) for _ in range(OWN_KEYS_PER_READ)]
        others = HOARDED_KEYS if self._hoards else OTHER_KEYS_PER_READ
        drawn += [self._random.choice(places) for _ in range(others)]
        await self._look_at(list(dict.fromkeys(drawn)), self._random.choice(READ_LEVELS))
        self._touched.extend(drawn[:1])

    async def reword(self) -> None:
        """Look at something old, say it in other words, and look again."""
        if self._own:
            place = (self._key.account, "post", self._random.choice(self._own))
            await self._look_at([place], self._random.choice(READ_LEVELS))
            await self._put((place, self._body()))
            await self._look_at([place], self._random.choice(READ_LEVELS))

    async def _look_at(self, chosen: Sequence[Place], level: str) -> None:
        sent_s, carried = trio.current_time(), self._token
        keys = [list(place) for place in chosen]
        answer = await self._ask("record.get", {"keys": keys, "level": level, **self._with_token()})
        if answer is None:
            return
        achieved = answer["achieved"]["level"]
        self._token = answer["token"]
        saw: list[Saw] = []
        for place, wire in zip(chosen, answer["cells"], strict=True):
            key = key_of(place)
            view = None if wire is None else CellView.from_wire(wire)
            read = CellRead(key, view, sent_s, trio.current_time(), level, achieved, self._session)
            self._history.reads.append(read)
            saw.append(Saw(key, {}) if view is None else Saw(key, view.clock, view.shown, view.deleted))
        self._note(carried, self._token, sent_s, achieved, saw=tuple(saw))

    async def read_page(self) -> None:
        """Look at what somebody has posted, page after page from the newest on."""
        if not self._town.posts:
            return
        account, _ = self._random.choice(self._town.posts)
        level = self._random.choice(READ_LEVELS)
        sent_s, carried = trio.current_time(), self._token
        asked = {"account": account, "level": level, "limit": self._random.choice(PAGE_LIMITS)}
        shown: dict[bytes, ShownPost] = {}
        complete = False
        for _ in range(PAGES_MAX):
            answer = await self._ask("feed.author", {**asked, **self._with_token()})
            if answer is None:
                break
            records = [Record.from_wire(item["record"]) for item in answer["items"]]
            shown |= {record.item: ShownPost(record.stamp, record.deleted) for record in records}
            if answer["cursor"] is None:
                complete = True
                break
            asked["cursor"] = answer["cursor"]
        if not shown and not complete:
            return
        self._history.pages.append(PageRead(account, shown, complete, sent_s, trio.current_time(), level))
        stamps = {item: post.stamp for item, post in shown.items()}
        # A page adds nothing to a session's token, so the one it came with stays.
        self._note(carried, None, sent_s, level, paged=Paged(account, stamps, complete))

    # Both.

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        """The answer, or None when there is none; why is counted."""
        try:
            answer = await self._caller.call(method, params)
        except WireError as error:
            self._history.count(f"{method} answered {error.kind.name}")
            return None
        except UNANSWERED as error:
            self._history.count(f"{method} unanswered: {type(error).__name__}")
            return None
        self._history.count(f"{method} answered")
        return answer

    def _note(
        self,
        carried: bytes | None,
        given: bytes | None,
        sent_s: float,
        level: str = "",
        *,
        wrote: tuple[Wrote, ...] = (),
        saw: tuple[Saw, ...] = (),
        paged: Paged | None = None,
    ) -> None:
        """Write down what the session has just done."""
        at_s, node = trio.current_time(), self._caller.node
        exchange = Exchange(self._session, node, carried, given, sent_s, at_s, level, wrote, saw, paged)
        self._history.exchanges.append(exchange)

    def _begin_session(self) -> None:
        self._session = self._town.new_session()
        self._token = None

    def _with_token(self) -> dict[str, Any]:
        return {} if self._token is None else {"token": self._token}

    def _next_stamp(self) -> int:
        self._stamp = max(self._stamp + 1, self._wall.now_us())
        return self._stamp

    def _body(self, phrase: str | None = None) -> dict[str, Any]:
        phrase = phrase or self._random.choice(PHRASES)
        return {"text": f"{phrase} {self._random.getrandbits(64):x} " * self._random.randint(1, 8)}
