"""What is never answered is given up in time, for the price of one timer however much is asked.

Everything waits equally long, so what began first is due first, and the timer need only look at that.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import trio


class Overdue:
    """See the module. `run` must be running.

    Args:
        patience_s: how long each thing may take, in seconds.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._watched: dict[Hashable, tuple[float, Callable[[], None]]] = {}  # the oldest comes first
        self._begun = trio.lowlevel.ParkingLot()

    def watch(self, thing: Hashable, give_up: Callable[[], None]) -> None:
        """Call `give_up` after the patience, unless `forget` comes first; it must not wait."""
        self._watched[thing] = (trio.current_time() + self._patience_s, give_up)
        self._begun.unpark()

    def forget(self, thing: Hashable) -> None:
        """It was answered."""
        self._watched.pop(thing, None)

    async def run(self) -> None:
        """Give up what is overdue, until cancelled."""
        while True:
            while not self._watched:
                await self._begun.park()
            thing, (due, give_up) = next(iter(self._watched.items()))
            if due > trio.current_time():
                await trio.sleep_until(due)
            else:
                del self._watched[thing]
                give_up()
