"""The workload: people with one device each, who post, edit, delete, like, follow and read, and a stranger.

A person does one thing at a time, carries a session token, sends the same bytes again until the answer is
certain, and now and then begins a new session. The stranger has no key: it sends other people's old records
to any node, and old cells to replicas, as anyone may who has read them. Everything answered goes into the
history.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeVar

import trio
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.history import (
    KEPT,
    Ack,
    CellRead,
    CellView,
    Floor,
    History,
    PageRead,
    ShownPost,
    key_of,
)
from folkmoot.node.simulation.world import SKEW_US_MAX, SimulatedWallClock, World
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import SEED_BYTES, KeyPair
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.record import Record
from folkmoot.protocol.token import Token

T = TypeVar("T")
Place = tuple[bytes, str, bytes]

LEVELS: Final = ("quorum", "quorum", "quorum", "one", "local_quorum", "each_quorum", "all")
ATTEMPTS: Final = 8
RETRY_S: Final = 0.25
NEW_SESSION_CHANCE: Final = 0.03
PAGE_LIMIT: Final = 20
KEYS_PER_READ: Final = 6


@dataclass(slots=True)
class Town:
    """What everybody knows: the posts there are, and the history.

    Attributes:
        posts: (author, item) of every post whose making was answered.
        places: every cell any record was sent for.
        sessions: how many there were.
    """

    world: World
    history: History
    posts: list[tuple[bytes, bytes]] = field(default_factory=list)
    places: dict[Place, None] = field(default_factory=dict)
    sessions: int = 0

    def new_session(self) -> int:
        """The number of a new session."""
        self.sessions += 1
        return self.sessions


class Person:
    """One account with one device.

    Args:
        town: where it lives.
        name: its tag, and the last part of its host.
        nursery: where its links run.
        pause_s: mean time between two things it does.
    """

    def __init__(self, town: Town, name: str, nursery: trio.Nursery, pause_s: float) -> None:
        self._town = town
        self._history = town.history
        self._random: Random = town.world.random(f"person/{name}")
        self._key = KeyPair(self._random.randbytes(SEED_BYTES))
        self._wall = SimulatedWallClock(self._random.randint(-SKEW_US_MAX, SKEW_US_MAX))
        self._caller = Caller(town.world, name, self._random, nursery)
        self._pause_s = pause_s
        self._stamp = 0
        self._own: list[bytes] = []
        self._flags: dict[Place, bool] = {}
        self._token: bytes | None = None
        self._floor = Floor()
        self._session = town.new_session()

    async def live(self, until_s: float) -> None:
        """Do things until the virtual time `until_s`."""
        doings: list[tuple[Callable[[], Any], int]] = [
            (self.post, 4),
            (self.edit, 3),
            (self.delete, 1),
            (self.like, 4),
            (self.follow, 1),
            (self.read, 6),
            (self.read_page, 2),
        ]
        choices = [doing for doing, weight in doings for _ in range(weight)]
        while True:
            await trio.sleep(self._random.expovariate(1 / self._pause_s))
            if trio.current_time() >= until_s:
                return
            if self._random.random() < NEW_SESSION_CHANCE:
                self._begin_session()
            await self._random.choice(choices)()

    # Writing.

    async def post(self) -> None:
        """Say something new."""
        item = make_uuid7(self._wall.now_us() // 1000, self._random.getrandbits(74))
        self._own.append(item)
        await self._put((self._key.account, "post", item), self._body())
        self._town.posts.append((self._key.account, item))

    async def edit(self) -> None:
        """Say something old in other words."""
        if self._own:
            item = self._random.choice(self._own)
            await self._put((self._key.account, "post", item), self._body())

    async def delete(self) -> None:
        """Take something back for ever."""
        if self._own:
            item = self._own.pop(self._random.randrange(len(self._own)))
            await self._put((self._key.account, "post", item), {"deleted": True})

    async def like(self) -> None:
        """Switch a like on, or one that is on off."""
        if self._town.posts:
            author, item = self._random.choice(self._town.posts[-20:])
            kind = self._random.choice(("like", "repost"))
            await self._switch((author, kind, item + self._key.account))

    async def follow(self) -> None:
        """Follow somebody, or no longer."""
        if self._town.posts:
            author, _ = self._random.choice(self._town.posts)
            await self._switch((self._key.account, "follow", author))

    async def _switch(self, place: Place) -> None:
        on = not self._flags.get(place, False)
        self._flags[place] = on
        await self._put(place, {"on": on})

    async def _put(self, place: Place, body: dict[str, Any]) -> None:
        where, kind, item = place
        record = Record.sign(
            self._key, kind=kind, item=item, body=body, stamp=self._next_stamp(), place=where
        )
        self._town.places[place] = None
        self._history.submitted.append(record)
        level = self._random.choice(LEVELS)
        for attempt in range(ATTEMPTS):
            if await self._try_put(record, level):
                return
            await trio.sleep(RETRY_S * 2**attempt * self._random.uniform(0.5, 1.5))
        self._history.count("writes given up")

    async def _try_put(self, record: Record, level: str) -> bool:
        """Send the record once; whether the answer settles the matter."""
        sent_s = trio.current_time()
        answer = await self._ask(
            "record.put", {"records": [record.to_wire()], "level": level, **self._with_token()}
        )
        if answer is None:
            return False
        self._token = answer["token"]
        (result,) = answer["results"]
        self._history.count(f"writes {result['status']}")
        if result["status"] in KEPT:
            achieved = result["achieved"]["level"]
            ack = Ack(record, sent_s, trio.current_time(), achieved, self._session)
            self._history.acks.append(ack)
            self._town.world.trace.note(f"ack {achieved}", record.id)
            self._floor.add(record.key, {record.device: record.stamp}, achieved)
            return True
        return result["status"] == "refused" and not result["error"]["retryable"]

    # Reading.

    async def read(self) -> None:
        """Look at a few cells, one's own more than others'."""
        places = list(self._town.places)
        if not places:
            return
        chosen = list(dict.fromkeys(self._random.choice(places[-60:]) for _ in range(KEYS_PER_READ)))
        level = self._random.choice(LEVELS)
        sent_s, token = trio.current_time(), self._with_token()
        answer = await self._ask("record.get", {"keys": [list(p) for p in chosen], "level": level, **token})
        if answer is None:
            return
        held = Token.decode(token["token"]) if token else Token()
        achieved = answer["achieved"]["level"]
        self._token = answer["token"]
        for place, wire in zip(chosen, answer["cells"], strict=True):
            key = key_of(place)
            view = None if wire is None else CellView.from_wire(wire)
            floor = self._floor.at(key, overflowed=held.at_quorum(key)) if token else {}
            read = CellRead(key, view, sent_s, trio.current_time(), achieved, self._session, floor)
            self._history.reads.append(read)
            self._floor.add(key, {} if view is None else view.clock, achieved)

    async def read_page(self) -> None:
        """Look at what somebody has posted."""
        if not self._town.posts:
            return
        account, _ = self._random.choice(self._town.posts)
        level = self._random.choice(LEVELS)
        sent_s, token = trio.current_time(), self._with_token()
        answer = await self._ask(
            "feed.author", {"account": account, "level": level, "limit": PAGE_LIMIT, **token}
        )
        if answer is None:
            return
        records = [Record.from_wire(item["record"]) for item in answer["items"]]
        shown = {record.item: ShownPost(record.stamp, record.deleted) for record in records}
        complete, at_s = answer["cursor"] is None, trio.current_time()
        floor = self._own_floor() if token and account == self._key.account else {}
        self._history.pages.append(PageRead(account, shown, complete, sent_s, at_s, level, floor))

    def _own_floor(self) -> dict[bytes, int]:
        """The session's own posts that stand: item → stamp."""
        held = Token.decode(self._token)
        floor: dict[bytes, int] = {}
        for item in self._own:
            key = cell_key(self._key.account, "post", item)
            clock = self._floor.at(key, overflowed=held.at_quorum(key))
            if self._key.account in clock:
                floor[item] = clock[self._key.account]
        return floor

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

    def _begin_session(self) -> None:
        self._session = self._town.new_session()
        self._token = None
        self._floor = Floor()

    def _with_token(self) -> dict[str, Any]:
        return {} if self._token is None else {"token": self._token}

    def _next_stamp(self) -> int:
        self._stamp = max(self._stamp + 1, self._wall.now_us())
        return self._stamp

    def _body(self) -> dict[str, Any]:
        return {"text": f"words {self._random.getrandbits(64):x} " * self._random.randint(1, 8)}


class Stranger:
    """Somebody who sends again what others have written.

    Args:
        town: where.
        nursery: where its links run.
        pause_s: mean time between two replays.
    """

    def __init__(self, town: Town, nursery: trio.Nursery, pause_s: float) -> None:
        self._town = town
        self._random = town.world.random("stranger")
        self._caller = Caller(town.world, "stranger", self._random, nursery)
        self._pause_s = pause_s

    async def live(self, until_s: float) -> None:
        """Replay until the virtual time `until_s`."""
        while True:
            await trio.sleep(self._random.expovariate(1 / self._pause_s))
            if trio.current_time() >= until_s:
                return
            if self._town.history.submitted:
                await self.replay(self._random.choice(self._town.history.submitted))

    async def replay(self, record: Record) -> None:
        """Send a record that is somebody else's, as it was signed."""
        history = self._town.history
        sent_s = trio.current_time()
        level = self._random.choice(LEVELS)
        try:
            answer = await self._caller.call("record.put", {"records": [record.to_wire()], "level": level})
        except (*UNANSWERED, WireError):
            history.count("replays unanswered")
            return
        (result,) = answer["results"]
        history.count(f"replays {result['status']}")
        if result["status"] in KEPT:
            achieved = result["achieved"]["level"]
            history.acks.append(Ack(record, sent_s, trio.current_time(), achieved, None))


async def run_workload(town: Town, people: int, pause_s: float, until_s: float) -> None:
    """Let people live in the town until the virtual time `until_s`; returns when all have finished.

    Args:
        town: where.
        people: how many.
        pause_s: mean time between two things one of them does.
        until_s: when they begin nothing more.
    """
    async with trio.open_nursery() as links:
        async with trio.open_nursery() as living:
            for number in range(people):
                living.start_soon(Person(town, f"person-{number + 1}", links, pause_s).live, until_s)
            living.start_soon(Stranger(town, links, pause_s).live, until_s)
        links.cancel_scope.cancel()
