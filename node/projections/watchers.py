"""Who waits for something new in a feed, so that a commit wakes those whom it concerns and nobody else."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import trio
from folkmoot.protocol.projections.entries import Index


def mark(index: Index, group: bytes) -> bytes:
    """What stands for a group of an index."""
    return bytes((index,)) + group


class Watch:
    """Somebody who waits."""

    def __init__(self) -> None:
        self.marks: frozenset[bytes] = frozenset()
        self._changed = trio.Event()

    def clear(self) -> None:
        """What comes from now on is news."""
        self._changed = trio.Event()

    def wake(self) -> None:
        self._changed.set()

    async def wait(self) -> None:
        """Wait until there is news."""
        await self._changed.wait()


class Watchers:
    """All who wait, by what they wait for."""

    def __init__(self) -> None:
        self._watches: dict[bytes, set[Watch]] = {}

    @property
    def marks(self) -> Collection[bytes]:
        """What is waited for now."""
        return self._watches.keys()

    def watch(self, watch: Watch, marks: Iterable[bytes]) -> None:
        """Have somebody wait for these and nothing else."""
        wanted = frozenset(marks)
        for each in watch.marks - wanted:
            watching = self._watches[each]
            watching.discard(watch)
            if not watching:
                del self._watches[each]
        for each in wanted - watch.marks:
            self._watches.setdefault(each, set()).add(watch)
        watch.marks = wanted

    def wake(self, marks: Iterable[bytes]) -> None:
        """There is something new in these."""
        for each in marks:
            for watch in self._watches.get(each, ()):
                watch.wake()
