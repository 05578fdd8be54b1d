"""A curator: somebody who decides what they see, and who finds them.

Curators block and mute people, threads and words, design feed algorithms of their own, keep preferences, take
themselves out of searches and put themselves in again. And they search, and look at their feeds as algorithms
rank them, with the reasons.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.environment import WallClock
from folkmoot.node.simulation.page_history import Entry, RankedPage, Searched, entries_of
from folkmoot.node.simulation.pen import Pen
from folkmoot.node.simulation.phrases import TAGS
from folkmoot.node.simulation.town import Asker, Town
from folkmoot.protocol.feed.preferences import POLICY, READ
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

Doing = Callable[[], Coroutine[Any, Any, object]]

SELDOM: Final = 3  # of what people do meanwhile: pages are work
RECENT: Final = 20
WORD: Final = "morning"
MUTED_WORDS: Final = ("coffee", "cheap")
PAGE: Final = 200
PAGES_MAX: Final = 20
AGAIN: Final = 8
AGAIN_S: Final = 1.0
NAME: Final = "mine"
CURATORS_SHARE: Final = 0.3
SHIPPED: Final = ("latest", "best")  # the other one asks for an extra that not every machine has
TERMS: Final[tuple[dict[str, Any], ...]] = (
    {"name": "liked", "value": "likes", "weight": 2_000},
    {"name": "new", "value": "1.0", "weight": 3_000, "half_life_s": 60},
    {"name": "short", "value": "length < 60.0", "weight": 500},
    {"name": "on topic", "value": "tag_hits / (tag_hits + 1.0)", "weight": 1_000},
    {"name": "known", "value": "followed", "weight": 700, "half_life_s": 600},
    {"name": "answers", "value": "is_reply && !own", "weight": -250},
)
SOURCES: Final[tuple[list[dict[str, Any]], ...]] = (
    [{"from": "tags", "tags": list(TAGS), "limit": 500}],
    [{"from": "following", "limit": 500}],
    [{"from": "following"}, {"from": "friends"}, {"from": "tags", "tags": list(TAGS)}],
)


class Curator:
    """See the module.

    Args:
        town: where it lives.
        key: its account's and device's.
        random: decides what it does.
        wall: its clock.
        caller: whom it asks, as its account.
        pause_s: mean time between two things that people do.
    """

    def __init__(
        self, town: Town, key: KeyPair, random: Random, wall: WallClock, caller: Asker, pause_s: float
    ) -> None:
        self._town = town
        self._history = town.history
        self._random = random
        self._wall = wall
        self._caller = caller
        self._pause_s = pause_s
        self._pen = Pen(town, key, random, wall, caller)
        town.curators.append(self._pen.account)
        self._off: list[tuple[str, bytes, dict[str, Any]]] = []

    async def live(self, over: Callable[[], bool]) -> None:
        """Do things until `over` says so, one of each sort to begin with."""
        firsts: tuple[Doing, ...] = (self.tell, self.design, self.opt, self.block, self.prefer, self.search)
        for first in (*firsts, self.rank):
            await first()
        weights: dict[Doing, int] = {
            self.tell: 3,
            self.admire: 3,
            self.block: 1,
            self.mute: 3,
            self.relent: 2,
            self.opt: 2,
            self.design: 2,
            self.prefer: 1,
            self.search: 2,
            self.rank: 3,
        }
        choices = [doing for doing, weight in weights.items() for _ in range(weight)]
        while not over():
            await trio.sleep(self._random.expovariate(1 / (SELDOM * self._pause_s)))
            doing = self._random.choice(choices)
            with self._town.watched(doing.__name__):
                await doing()

    async def settle(self) -> None:
        """Have everything answered for certain."""
        await self._pen.settle()

    async def conclude(self) -> None:
        """Look once more, in the quiet, when everything has settled: what is told now is to be right."""
        for algorithm in (NAME, self._random.choice(SHIPPED)):
            await self._until_told(partial(self.rank, algorithm, settled=True))
        await self._until_told(partial(self.search, settled=True))

    async def _until_told(self, look: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        for _ in range(AGAIN):
            if await look():
                return
            await trio.sleep(AGAIN_S)
        self._history.count("pages never told")

    # What is said.

    async def tell(self) -> None:
        """Say something with tags, for others to find."""
        text = f"{self._random.choice(('good morning', 'tea or coffee'))} {self._random.getrandbits(32):x}"
        item = self._pen.new_item()
        body = {"text": text, "tags": self._random.sample(TAGS, self._random.randint(1, 2))}
        if await self._pen.write("post", item, body):
            self._town.posts.append((self._pen.account, item))

    async def admire(self) -> None:
        """Follow somebody."""
        if (other := self._somebody()) is not None:
            await self._switch("follow", other)

    async def opt(self) -> None:
        """Be found by searches no more, or again."""
        await self._pen.write("profile", b"searchable", {"value": self._random.random() < 0.4})

    async def prefer(self) -> None:
        """Keep a preference: from whom notifications are wanted, or how far they were read."""
        if self._random.random() < 0.5:
            await self._pen.write("preference", POLICY, {"like": self._random.choice(("known", "nobody"))})
        else:
            await self._pen.write("preference", READ, {"until": self._wall.now_us() - 1_000_000})

    async def design(self) -> None:
        """Change the own algorithm, or now and then have none."""
        if self._random.random() < 0.1:
            await self._pen.write("algorithm", NAME.encode(), {"deleted": True})
            return
        terms = self._random.sample(TERMS, self._random.randint(1, len(TERMS)))
        document: dict[str, Any] = {"title": "mine", "sources": self._random.choice(SOURCES), "terms": terms}
        if self._random.random() < 0.3:
            document["filters"] = ["!own"]
        await self._pen.write("algorithm", NAME.encode(), {"document": document})

    # Who and what is not wanted.

    async def block(self) -> None:
        """Block somebody."""
        if (other := self._somebody()) is not None:
            await self._switch("block", other)

    async def mute(self) -> None:
        """Mute an account, what it reposts, a thread or a word."""
        other = self._somebody()
        if other is None or not self._town.posts:
            return
        author, item = self._random.choice(self._town.posts[-RECENT:])
        word = self._random.choice(MUTED_WORDS)
        what, more = self._random.choice(
            (
                (other, {}),
                (other, {"reposts": True}),
                (author + item, {}),
                (b"word:" + hashlib.sha256(word.encode()).digest(), {"word": word}),
            )
        )
        await self._switch("mute", what, more)

    async def relent(self) -> None:
        """Take back a block or a mute."""
        if self._off:
            kind, item, more = self._off.pop(self._random.randrange(len(self._off)))
            await self._pen.write(kind, item, {**more, "on": False})

    async def _switch(self, kind: str, item: bytes, more: dict[str, Any] | None = None) -> None:
        if kind != "follow":
            self._off.append((kind, item, more or {}))
        await self._pen.write(kind, item, {**(more or {}), "on": True})

    def _somebody(self) -> bytes | None:
        """Another account that has posted: one of a curator, who looks at pages, more often."""
        curators = [each for each in self._town.curators if each != self._pen.account]
        if curators and self._random.random() < CURATORS_SHARE:
            return self._random.choice(curators)
        authors = dict.fromkeys(author for author, _ in self._town.posts if author != self._pen.account)
        return self._random.choice(list(authors)) if authors else None

    # What is seen.

    async def search(self, *, settled: bool = False) -> bool:
        """Look for a word, page after page; whether there was an answer from everywhere."""
        params: dict[str, Any] = {"query": WORD, "limit": PAGE}
        entries: list[Entry] = []
        for _ in range(PAGES_MAX if settled else 1):
            answer = await self._pen.ask("search.posts", params)
            if not isinstance(answer, dict) or answer["covered"]["ranges"] < answer["covered"]["of"]:
                return False
            entries += _entries(answer["items"])
            if answer["cursor"] is None or not settled:
                break
            params["cursor"] = answer["cursor"]
        told = Searched(self._pen.account, WORD, self._caller.node, tuple(entries), settled)
        self._history.searches.append(told)
        return True

    async def rank(self, algorithm: str | None = None, *, settled: bool = False) -> bool:
        """Look at the own feed as an algorithm has it; whether there was an answer."""
        named = algorithm or self._random.choice((NAME, NAME, *SHIPPED))
        told = {"account": self._pen.account, "name": NAME} if named == NAME else named
        params = {"account": self._pen.account, "algorithm": told, "explain": True, "limit": PAGE}
        answer = await self._pen.ask("feed.ranked", {**params, "level": "quorum"})
        if not isinstance(answer, dict):
            return answer is not None and answer.kind.name == "not_found" and named == NAME
        page = RankedPage(
            self._pen.account,
            named if named != NAME else (self._pen.account, NAME),
            self._caller.node,
            answer["algorithm"]["version"],
            answer["as_of_ms"],
            _entries(answer["items"]),
            answer["cursor"] is None,
            settled,
        )
        self._history.rankings.append(page)
        return True


def _entries(items: list[dict[str, Any]]) -> tuple[Entry, ...]:
    """The posts on a page, without gaps."""
    posts = [item for item in items if "record" in item]
    records = [Record.from_wire(item["record"]) for item in posts]
    return entries_of(posts, [(record.author, record.item) for record in records])
