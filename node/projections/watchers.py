"""Who waits for something new in a feed, so that a commit wakes those whom it concerns and nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import trio
from folkmoot.protocol import limits
from folkmoot.protocol.projections.entries import Index
from folkmoot.storage.projections import Member


def mark(index: Index, group: bytes) -> bytes:
    """What stands for a group of an index."""
    return bytes((index,)) + group


class New(NamedTuple):
    """An entry that was put into an index.

    Args:
        mark: of its index and group; see there.
        entry: the rest of it.
    """

    mark: bytes
    entry: Member


class Watch:
    """Somebody who waits, and what has come that was not taken yet; of too much, only that it is so.

    Attributes:
        marks: what is waited for.
        heard: called as soon as there is news; it must not wait.
    """

    def __init__(self) -> None:
        self.marks: frozenset[bytes] = frozenset()
        self.heard: Callable[[], None] | None = None
        self._news: list[New] = []
        self._is_too_much = False
        self._changed = trio.Event()

    def take(self) -> list[New] | None:
        """What has come; None when it was too much."""
        news, self._news = self._news, []
        is_too_much, self._is_too_much = self._is_too_much, False
        self._changed = trio.Event()
        return None if is_too_much else news

    def wake(self, each: bytes, entries: Sequence[Member]) -> None:
        """Something has come."""
        self._is_too_much |= len(self._news) + len(entries) > limits.FOLLOW_FEED_ROWS
        if self._is_too_much:
            self._news.clear()
        else:
            self._news += [New(each, entry) for entry in entries]
        self._changed.set()
        if self.heard is not None:
            self.heard()

    async def wait(self) -> None:
        """Wait until there is news."""
        await self._changed.wait()


class Watchers:
    """All who wait, by what they wait for."""

    def __init__(self) -> None:
        self._watches: dict[bytes, set[Watch]] = {}

    def watch(self, watch: Watch, marks: Iterable[bytes]) -> bool:
        """Have somebody wait for these and nothing else; whether there are any they did not wait for yet."""
        wanted = frozenset(marks)
        for each in watch.marks - wanted:
            watching = self._watches[each]
            watching.discard(watch)
            if not watching:
                del self._watches[each]
        more = wanted - watch.marks
        for each in more:
            self._watches.setdefault(each, set()).add(watch)
        watch.marks = wanted
        return bool(more)

    def wake(self, news: Mapping[bytes, Sequence[Member]]) -> None:
        """There is something new in these."""
        for each, entries in news.items():
            for watch in self._watches.get(each, ()):
                watch.wake(each, entries)
