"""The renovator: an operator who has nodes build projections anew, whatever else goes on."""

from __future__ import annotations

from random import Random
from typing import Final

import trio
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.history import History
from folkmoot.node.simulation.town import Watched
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.projections.entries import Projection

SELDOM: Final = 8  # of what people do in the meantime
HOME_SHARE: Final = 0.4
AGAIN_SHARE: Final = 0.3


class Renovator:
    """See the module.

    Args:
        history: counts what was answered.
        random: decides what it does.
        caller: whom it asks, as an operator.
        pause_s: mean time between two things that people do.
        watched: entered with the name of what it does, for as long as it takes.
    """

    def __init__(
        self, history: History, random: Random, caller: Caller, pause_s: float, watched: Watched
    ) -> None:
        self._history = history
        self._random = random
        self._caller = caller
        self._pause_s = pause_s
        self._watched = watched

    async def live(self, until_s: float) -> None:
        """Have something be built anew now and then, until a virtual time."""
        while True:
            pause_s = self._random.expovariate(1 / (SELDOM * self._pause_s))
            await trio.sleep_until(min(until_s, trio.current_time() + pause_s))
            if trio.current_time() >= until_s:
                return
            home = self._random.random() < HOME_SHARE
            projection = Projection.HOME if home else self._random.choice(list(Projection))
            with self._watched("rebuild"):
                await self._rebuild(projection)
                if self._random.random() < AGAIN_SHARE:  # mostly before it is done
                    await self._rebuild(projection)
            self._caller.leave()

    async def _rebuild(self, projection: Projection) -> None:
        try:
            await self._caller.call("projection.rebuild", {"name": projection.word})
        except WireError as error:
            self._history.count(f"projection.rebuild answered {error.kind.name}")
        except UNANSWERED as error:
            self._history.count(f"projection.rebuild unanswered: {type(error).__name__}")
        else:
            self._history.count("projection.rebuild answered")
