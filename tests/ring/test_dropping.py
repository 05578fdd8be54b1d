"""Slots that are dropped in a row: what a quorum acknowledged is met by every quorum of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from folkmoot.protocol.ring import movement
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.movement import Move, next_step
from folkmoot.protocol.ring.ranges import RangeDescriptor

from tests.ring.test_movement import ADD, DROP, DROP_NEXT, FOUR, NOW, THREE, WIDE, A, D, E, World

DROPS: Sequence[movement.Change] = (DROP, DROP_NEXT, movement.Drop(0, E))


@pytest.mark.parametrize(
    ("now", "changes", "level"),
    [
        # Of a region's last slot more is not promised: who wrote there alone may not know that it is gone.
        pytest.param(NOW, DROPS[:2], "quorum", id="three, two, one region"),
        pytest.param(NOW, (ADD, DROP_NEXT, DROP), "quorum", id="three, four, three, two"),
        pytest.param(THREE, DROPS[:2], "quorum", id="three, two, one"),
        pytest.param(THREE, DROPS[:2], "local_quorum", id="the same in a region"),
        pytest.param(FOUR, DROPS, "quorum", id="four, three, two, one"),
        pytest.param(WIDE, DROPS, "quorum", id="five, four, three, two"),
        pytest.param(WIDE, DROPS, "local_quorum", id="the same in regions"),
        pytest.param(THREE, (DROP, Move(0, A, D)), "quorum", id="three, two, and another two"),
    ],
)
@pytest.mark.parametrize("seed", range(40))
def test_no_write_is_lost_to_slots_that_are_dropped_one_after_the_other(
    now: RangeDescriptor, changes: Sequence[movement.Change], level: Level, seed: int
) -> None:
    world = World(Random(seed), changes, now=now, level=level)
    world.live(600)
    world.finish()


def test_what_is_not_handed_on_is_lost() -> None:
    """Shows that the world above would find it."""

    def hasty(change: movement.Change, now: RangeDescriptor, **known: set[bytes]) -> movement.Step:
        return next_step(change, now, fenced=known["fenced"], copied=set(now.nodes()))

    lost = 0
    for seed in range(60):
        world = World(Random(seed), DROPS[:2], now=THREE, step=hasty)
        try:
            world.live(600)
            world.finish()
        except AssertionError:
            lost += 1
    assert lost
