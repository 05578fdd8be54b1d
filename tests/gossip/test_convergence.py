"""Whatever happened, a connected cluster that is left alone ends with equal, true views."""

from __future__ import annotations

from dataclasses import dataclass

from folkmoot.protocol.gossip import events
from folkmoot.protocol.gossip.members import State
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gossip.world import World, node_id

NAMES = "abcde"
SETTLED_WITHIN_S = 120.0


@dataclass(frozen=True)
class Step:
    """One thing that happens, and how long the cluster lives on after it."""

    what: str
    who: str
    pause_s: float


steps = st.builds(
    Step,
    what=st.sampled_from(["kill", "restart", "move", "cut", "heal", "reset", "refuse", "meta", "loss"]),
    who=st.sampled_from(NAMES),
    pause_s=st.sampled_from([0.01, 0.3, 3.0, 20.0]),
)


def happen(world: World, step: Step) -> None:
    running = step.who in world.running()
    match step.what:
        case "kill" if running:
            world.kill(step.who)
        case "restart" if not running:
            world.start(step.who, "a")
        case "move" if not running and step.who != "a":
            world.start(step.who, "a", host=f"{step.who}-elsewhere")
        case "cut":
            world.partition(step.who, set(NAMES) - {step.who})
        case "heal":
            world.heal()
        case "reset" | "refuse":
            event = events.ConnectionReset if step.what == "reset" else events.ConnectionRefused
            for name in world.running():
                if name != step.who:
                    world.tell(name, event(node_id(step.who)))
        case "meta" if running:
            world.tell(step.who, events.MetaUpdated({"roster": int(world.now * 1000)}))
        case "loss":
            world.loss = 0.3 - world.loss
        case _:
            pass
    world.run(step.pause_s)


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.lists(steps, max_size=12))
def test_views_become_equal_and_true(seed: int, story: list[Step]) -> None:
    world = World(seed)
    world.start_all(NAMES)
    for step in story:
        happen(world, step)
    world.loss = 0.0
    world.heal()
    for name in NAMES:
        if name not in world.running():
            world.start(name, "a")

    def settled() -> bool:
        return world.complete(NAMES) and world.agree()

    world.run_until(settled, SETTLED_WITHIN_S)
    world.run(10.0)
    assert settled(), "and stays so"
    for name in NAMES:
        assert world.nodes["a"].core.get(node_id(name)) == world.nodes[name].core.own


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.sets(st.sampled_from("bcde"), min_size=1, max_size=3))
def test_the_dead_are_dead_to_all_and_the_living_to_none(seed: int, victims: set[str]) -> None:
    world = World(seed)
    world.start_all(NAMES)
    world.loss = 0.05
    for name in sorted(victims):
        world.kill(name)

    def true() -> bool:
        return all(
            world.sees(observer, name) is (State.DEAD if name in victims else State.ALIVE)
            for observer in world.running()
            for name in NAMES
        )

    world.run_until(true, 60.0)
