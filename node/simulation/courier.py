"""The courier carries everything that is on its way: the clock makes each delivery when it is due.

Deliveries are plain calls that must not wait. Those due at one moment are made in the order they were sent,
so that nothing depends on the scheduler's choice between tasks that sleep until the same instant.
"""

from __future__ import annotations

from collections.abc import Callable

import trio
from folkmoot.node.simulation.determinism import VirtualClock

Delivery = Callable[[], None]


class Courier:
    """See the module. To be made within a run on a `VirtualClock`."""

    def __init__(self) -> None:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, VirtualClock), "deliveries are made by virtual time alone"
        self._clock = clock

    def send(self, at: float, deliver: Delivery) -> None:
        """Call `deliver` at the virtual time `at` (seconds), or soon if that has passed."""
        self._clock.call_at(at, deliver)
