"""What a stream of a feed tells of what has come, over a feed of a test's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from folkmoot.node.projections.live import FeedSource
from folkmoot.node.projections.watchers import New, Watchers
from folkmoot.storage.projections import Member

MARK = b"group"
NOW_MS = 1_700_000_000_000


def at(ms: int) -> bytes:
    return (NOW_MS + ms).to_bytes(6, "big")


class Thing(NamedTuple):
    """Something that stands in the feed, and may move up in it."""

    at: bytes
    name: bytes


class Feed:
    """A feed whose entries say their name and where they stand."""

    most = 4

    def __init__(self) -> None:
        self.now: list[Thing] = []
        self.looks = 0

    def marks(self) -> list[bytes]:
        return [MARK]

    def new(self, news: Sequence[New]) -> list[Thing] | None:
        return [Thing(each.entry.value, each.entry.member) for each in news]

    async def places(self) -> list[Thing]:
        self.looks += 1
        return sorted(self.now, reverse=True)[: self.most]

    async def items(self, places: Sequence[Thing]) -> list[bytes]:
        return [each.name + each.at[-1:] for each in places]


class Followed:
    """A stream of it."""

    def __init__(self) -> None:
        self.feed, self.watchers = Feed(), Watchers()
        self.source = FeedSource(self.feed, self.watchers, lambda: NOW_MS * 1000)
        self.place = b""

    async def begin(self, since_us: int | None = None) -> None:
        self.place = await self.source.begin(since_us)

    def come(self, *things: Thing) -> None:
        self.feed.now = [each for each in self.feed.now if each.name not in {one.name for one in things}]
        self.feed.now += things
        self.watchers.wake({MARK: [Member(each.name, each.at) for each in things]})

    async def told(self, credit: int = 100) -> list[bytes]:
        batch = await self.source.read(self.place, credit)
        self.place = batch.place
        return list(batch.items)


async def test_what_has_come_is_told_without_a_look_at_the_feed() -> None:
    stream = Followed()
    stream.feed.now = [Thing(at(1), b"a")]
    await stream.begin()
    stream.come(Thing(at(5), b"b"), Thing(at(-9_000_000), b"c"))
    assert await stream.told() == [b"c" + at(-9_000_000)[-1:], b"b" + at(5)[-1:]]
    assert stream.feed.looks == 0 and await stream.told() == []


async def test_what_moves_up_is_told_once_where_it_stands_last() -> None:
    stream = Followed()
    await stream.begin()
    for ms in range(1, 60):
        stream.come(Thing(at(ms), b"a"))
    stream.come(Thing(at(7), b"b"))
    assert await stream.told(credit=1) == [b"b" + at(7)[-1:]]
    stream.come(Thing(at(99), b"a"))
    assert await stream.told() == [b"a" + at(99)[-1:]]
    stream.come(Thing(at(50), b"a"))
    assert await stream.told() == [], "what sinks is no news"
    stream.come(Thing(at(100), b"a"))
    assert await stream.told() == [b"a" + at(100)[-1:]]


async def test_who_comes_back_looks_once_and_is_told_what_is_not_long_past() -> None:
    stream = Followed()
    stream.feed.now = [Thing(at(1), b"a"), Thing(at(-4_000_000), b"old"), Thing(at(2), b"b")]
    stream.place = (NOW_MS * 1000).to_bytes(8, "big")
    assert await stream.told() == [b"a" + at(1)[-1:], b"b" + at(2)[-1:]]
    assert await stream.told() == [] and stream.feed.looks == 1
