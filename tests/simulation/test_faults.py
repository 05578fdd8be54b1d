"""The fault schedule is a pure function that keeps its bounds."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
import trio
from folkmoot.node.simulation.determinism import run_repeatably
from folkmoot.node.simulation.faults import REFUSED_SHARE, FaultInjector, conditions_of
from folkmoot.node.simulation.run import Plan, simulate
from folkmoot.node.simulation.schedule import (
    AWAY_FAULTS,
    FAULTS,
    PAUSE,
    Episode,
    UnknownFault,
    parse_faults,
    schedule,
)
from folkmoot.node.simulation.world import World
from hypothesis import given
from hypothesis import strategies as st

SCHEDULES = st.builds(
    lambda seed, faults, nodes, duration_s: (
        nodes,
        duration_s,
        faults,
        schedule(Random(seed), faults, nodes, duration_s, mean_gap_s=3.0),
    ),
    st.integers(0, 2**32),
    st.lists(st.sampled_from(FAULTS), unique=True),
    st.integers(1, 7),
    st.floats(10, 900),
)


@given(SCHEDULES)
def test_every_episode_ends_before_the_run_does(made: tuple[int, float, list[str], list[Episode]]) -> None:
    nodes, duration_s, faults, episodes = made
    for episode in episodes:
        assert episode.fault in faults
        assert 0 < episode.begin_s <= episode.end_s < duration_s
        assert episode.node < nodes
        assert all(0 <= one < nodes and 0 <= other < nodes != one - other for one, other in episode.pairs)
        assert all(one != other for one, other in episode.pairs)


@given(SCHEDULES)
def test_never_more_than_half_of_the_nodes_are_down(
    made: tuple[int, float, list[str], list[Episode]],
) -> None:
    nodes, _, _, episodes = made
    crashes = [episode for episode in episodes if episode.fault in AWAY_FAULTS]
    for crash in crashes:
        down = [other for other in crashes if other.begin_s <= crash.begin_s <= other.end_s]
        assert len(down) <= max(1, nodes // 2)
        assert len({other.node for other in down}) == len(down)


@given(SCHEDULES)
def test_pauses_count_among_those_and_are_not_of_nodes_that_are_down(
    made: tuple[int, float, list[str], list[Episode]],
) -> None:
    """A node may go down while it is frozen, though."""
    nodes, _, _, episodes = made
    silent = [episode for episode in episodes if episode.fault in (*AWAY_FAULTS, PAUSE)]
    for new in silent:
        before = [each for each in silent if each.begin_s < new.begin_s <= each.end_s]
        assert len({each.node for each in (*before, new)}) <= max(1, nodes // 2)
        same = {each.fault for each in before if each.node == new.node}
        assert not same if new.fault == PAUSE else same <= {PAUSE}


def test_the_same_generator_makes_the_same_schedule() -> None:
    made = [schedule(Random("7/faults"), FAULTS, 5, 1_200, mean_gap_s=3.0) for _ in range(2)]
    assert made[0] == made[1]
    assert {episode.fault for episode in made[0]} == set(FAULTS)


def test_a_partition_cuts_both_ways_and_nothing_inside_a_side() -> None:
    episodes = schedule(Random(3), ("partition",), 5, 300, mean_gap_s=3.0)
    for episode in episodes:
        assert all((other, one) in episode.pairs for one, other in episode.pairs)
        assert episode.pairs, "a partition that parts nobody"


def test_the_end_of_one_fault_does_not_heal_another() -> None:
    cut = Episode("partition", 0, 1, ((0, 1),), strength=0.4)
    lossy = Episode("loss", 0, 1, ((0, 1),), strength=0.8)
    assert conditions_of([cut, lossy]).cut and conditions_of([cut]).cut
    assert conditions_of([lossy]).loss > 0 and not conditions_of([lossy]).cut
    assert conditions_of([]) == conditions_of(())


@pytest.mark.parametrize("fault", ["busy", "refused"])
def test_a_node_refuses_as_much_as_the_worst_that_is_under_way(fault: str) -> None:
    """Two overlap on one node, a third is another node's; then nothing is refused any more."""
    episodes = [
        Episode(fault, 10, 40, node=0, strength=0.5),
        Episode(fault, 20, 30, node=0, strength=1.0),
        Episode(fault, 15, 35, node=1, strength=0.2),
        Episode("disk", 25, 26, node=0, strength=0.7),
    ]
    told: list[list[float]] = []

    async def look(world: World) -> None:
        for at_s in (5, 12, 22, 28, 33, 38, 45):
            await trio.sleep_until(at_s)
            disks = [node.disk.refused_share for node in world.nodes]
            dials = [world.network.refused_shares.get(node.host, 0.0) for node in world.nodes]
            refused, other = (disks, dials) if fault == "busy" else (dials, disks)
            told.append([share / REFUSED_SHARE for share in refused])
            assert other == [0.0, 0.0]

    async def main() -> None:
        async with World.running("1", 2) as world, trio.open_nursery() as nursery:
            nursery.start_soon(FaultInjector(world, episodes).run)
            await look(world)

    run_repeatably(main, 1)
    expected = [[0, 0], [0.5, 0], [1.0, 0.2], [1.0, 0.2], [0.5, 0.2], [0.5, 0], [0, 0]]
    assert told == [pytest.approx(shares) for shares in expected]


@pytest.mark.parametrize(("fault", "most_s"), [("flapping", 0.8), ("clogging", 6.0)])
def test_a_link_that_flaps_or_clogs_comes_and_goes_many_times(fault: str, most_s: float) -> None:
    """In the direction it concerns, and in the end it carries."""
    begins_s, ends_s = 10.0, 40.0
    changes: list[tuple[float, bool]] = []

    async def look(world: World) -> None:
        one, other = (node.host for node in world.nodes)
        suffering, whole = world.network.links.between(one, other), world.network.links.between(other, one)
        while trio.current_time() < ends_s + 1:
            await trio.sleep_until(trio.current_time() + 0.01)
            assert not whole.stalls
            if not changes or changes[-1][1] != suffering.stalls:
                changes.append((trio.current_time(), suffering.stalls))
            assert suffering.clogged == (suffering.stalls and fault == "clogging")

    async def main() -> None:
        async with World.running("1", 2) as world, trio.open_nursery() as nursery:
            nursery.start_soon(FaultInjector(world, [Episode(fault, begins_s, ends_s, ((0, 1),))]).run)
            await look(world)

    run_repeatably(main, 1)
    stalled = [at_s for at_s, stalls in changes if stalls]
    assert begins_s <= stalled[0] < begins_s + 0.02 and stalled[-1] < ends_s and not changes[-1][1]
    assert len(stalled) >= 6
    assert all(later[0] - at_s < most_s + 0.02 for (at_s, stalls), later in pairwise(changes) if stalls)


@pytest.mark.parametrize(
    ("fault", "outcomes"),
    [
        ("busy", {"old cells unanswered"}),
        ("refused", {"record.put unanswered: TransportError", "record.put unanswered: ConnectionRefused"}),
    ],
)
def test_clients_feel_what_nodes_refuse(fault: str, outcomes: set[str]) -> None:
    """And only then; every promise is kept all the same."""
    calm, broken = (
        simulate(Plan(3, nodes=3, minutes=0.6, faults=faults, people=5, pause_s=0.6, fault_gap_s=2.5))
        for faults in ((), (fault,))
    )
    assert outcomes <= set(broken.outcomes) and not outcomes & set(calm.outcomes)
    assert calm.ok and broken.ok


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("all", FAULTS),
        ("none", ()),
        ("crash, loss,crash", ("crash", "loss")),
        ("moves,all", ("moves", *(fault for fault in FAULTS if fault != "moves"))),
    ],
)
def test_faults_by_name(text: str, faults: tuple[str, ...]) -> None:
    assert parse_faults(text) == faults


def test_an_unknown_fault_names_those_there_are() -> None:
    with pytest.raises(UnknownFault, match="no fault 'gremlins'; there are loss, duplication"):
        parse_faults("loss,gremlins")
