"""What sixteen nodes must reach, and what a few must not do under load, in virtual time."""

from __future__ import annotations

import pytest
from folkmoot.protocol.gossip.members import State

from tests.gossip.world import World

SIXTEEN = [f"n{number}" for number in range(16)]
SUSPECTED_WITHIN_S = 0.9
COMPLETE_WITHIN_S = 2.0
IDLE_BYTES_PER_S = 200


def sixteen(seed: int, *, loss: float = 0.0) -> World:
    world = World(seed, loss=loss)
    world.start_all(SIXTEEN)
    return world


@pytest.mark.parametrize("seed", range(5))
def test_cold_start_is_complete_within_two_seconds_of_the_last_one_listening(seed: int) -> None:
    """Sixteen start together with 1 % loss; their seed is the last."""
    world = World(seed, loss=0.01)
    for name in SIXTEEN[1:]:
        world.start(name, SIXTEEN[:1])
    world.run(3.3)
    world.start(SIXTEEN[0])
    assert world.run_until(lambda: world.complete(SIXTEEN), 10.0) <= COMPLETE_WITHIN_S


def test_idle_costs_at_most_200_bytes_a_second_a_node() -> None:
    world = sixteen(1)
    world.run(10.0)
    for node in world.nodes.values():
        node.sent_bytes = 0
    world.run(120.0)
    rates = [node.sent_bytes / 120.0 for node in world.nodes.values()]
    assert max(rates) <= IDLE_BYTES_PER_S
    assert min(rates) > 100, "or nobody is watching"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("victim", ["n0", "n7"])
def test_a_killed_node_is_suspected_by_all_within_900_ms(seed: int, victim: str) -> None:
    """With 1 % loss, and only some of the others holding a link that breaks."""
    world = sixteen(seed, loss=0.01)
    world.run(10.0)
    world.kill(victim, resets=False)
    world.run(0.001)
    witnesses = world.random.sample(world.running(), 3)
    for witness in witnesses:
        world.reset(witness, victim)

    def seen() -> bool:
        return all((world.sees(name, victim) or State.ALIVE) >= State.SUSPECT for name in world.running())

    assert world.run_until(seen, 5.0) <= SUSPECTED_WITHIN_S
    assert {subject for _, subject in world.changes(State.SUSPECT)} == {victim}


def test_a_frozen_node_is_suspected_without_any_reset() -> None:
    world = sixteen(3)
    world.run(10.0)
    world.kill("n5", resets=False)
    world.run_until(lambda: all(world.sees(name, "n5") is State.SUSPECT for name in world.running()), 5.0)


def stall(world: World, name: str, longest_s: float) -> None:
    """Stall a node's event loop again and again, with hardly a pause, and let it measure that."""
    node = world.nodes[name]
    seconds = world.random.uniform(0.1, longest_s)
    node.stalled_until = world.now + seconds

    def over() -> None:
        node.core.observe_lag(seconds * world.random.random())
        world.later(world.random.uniform(0.0, 0.02), lambda: stall(world, name, longest_s))

    world.later(seconds, over)


@pytest.mark.parametrize("count", [3, 7])
def test_stalling_event_loops_accuse_nobody(count: int) -> None:
    """Two minutes of loops that each stall for 100 to 300 ms at a time, all the time."""
    world = World(count)
    names = SIXTEEN[:count]
    world.start_all(names)
    for name in names:
        stall(world, name, 0.3)
    world.run(120.0)
    assert world.changes(State.SUSPECT) == []
    assert max(node.core.statistics().lag_s for node in world.nodes.values()) > 0.05


def test_a_death_is_still_noticed_by_stalling_loops() -> None:
    world = World(4)
    world.start_all(SIXTEEN[:3])
    for name in SIXTEEN[:2]:
        stall(world, name, 0.3)
    world.run(10.0)
    world.kill("n2")
    world.run_until(lambda: all(world.sees(name, "n2") is State.SUSPECT for name in SIXTEEN[:2]), 3.0)


def test_one_percent_loss_accuses_nobody() -> None:
    world = sixteen(5, loss=0.01)
    world.run(300.0)
    assert world.changes(State.SUSPECT) == []
