"""Work on files, as the threads of a simulated machine do it: it takes time, and the power may fail in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, Final, TypeVar

import trio
from folkmoot.node.simulation.files import PowerCut, SimulatedFiles

T = TypeVar("T")

STEPS_MAX: Final = 8  # of one piece of work before the power fails


class FileWork:
    """One process's; see the module, and `environment.Executor`.

    Work is done at the end of the time it takes, all at once. When the power fails within that time, the
    first few of its steps are done.

    Args:
        files: that are worked on.
        takes_s: draws how long a piece of work takes, in virtual seconds.
        random: draws how far work has come.
    """

    def __init__(self, files: SimulatedFiles, takes_s: Callable[[], float], random: Random) -> None:
        self._files = files
        self._takes_s = takes_s
        self._random = random
        self._under_way: dict[object, Callable[[], Any]] = {}
        self._dead = False

    async def run(self, work: Callable[[], T]) -> T:
        """See `environment.Executor`; what was begun is not cancelled, as threads are not."""
        token = object()
        self._under_way[token] = work
        with trio.CancelScope(shield=True):
            await trio.sleep(self._takes_s())
        if self._dead:
            await trio.sleep_forever()
        del self._under_way[token]
        return work()

    def spent_s(self) -> float:
        """See `environment.Executor`."""
        return 0.0

    def crash(self) -> None:
        """The power fails."""
        self._dead = True
        for work in self._under_way.values():
            self._files.cut_after(self._random.randrange(STEPS_MAX))
            with suppress(PowerCut, Exception):  # nobody is told of what it comes to
                work()
        self._files.cut_after(None)
