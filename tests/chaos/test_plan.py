"""The plan of a run of chaos: a function of its arguments, complete, and never beyond what may be broken."""

from __future__ import annotations

from itertools import pairwise

import pytest
from folkmoot.cli.chaos.breaker import link_faults
from folkmoot.cli.chaos.plan import (
    CHANGES,
    FAULTS,
    LINK_FAULTS,
    NODE_FAULTS,
    Episode,
    plan_episodes,
    possible_changes,
    spared_of,
)
from hypothesis import given
from hypothesis import strategies as st

NODES = ("eu-1", "us-1", "ap-1", "eu-2", "us-2")
SPARED = ("eu-1", "us-1", "eu-2", "us-2")
seeds = st.integers(min_value=0, max_value=2**32)


@given(seeds, st.integers(1, 5), st.sets(st.sampled_from(FAULTS)))
def test_the_same_arguments_make_the_same_plan(seed: int, count: int, faults: set[str]) -> None:
    chosen = tuple(fault for fault in FAULTS if fault in faults)
    plan = plan_episodes(seed, NODES[:count], 90, chosen, 5)
    assert plan == plan_episodes(seed, NODES[:count], 90, chosen, 5)
    assert {episode.fault for episode in plan} <= faults


def test_another_seed_makes_another_plan() -> None:
    plans = [plan_episodes(seed, NODES, 90, FAULTS, 5) for seed in range(20)]
    assert len({str(plan) for plan in plans}) == len(plans)


def test_a_plan_once_given_stays() -> None:
    """A seed that somebody wrote down must make the same trouble in every version and on every machine."""
    first, second, *_ = plan_episodes(7, ("eu-1", "us-1", "ap-1"), 30, FAULTS, 6)
    assert [first.sentence(), second.sentence()] == [
        "SIGSTOP to eu-1",
        "no link between us-1 and ap-1, eu-1",
    ]


@given(seeds, st.integers(1, 5), st.floats(0.5, 30))
def test_episodes_of_a_lane_follow_one_another_and_end_in_time(seed: int, count: int, pace_s: float) -> None:
    plan = plan_episodes(seed, NODES[:count], 120, FAULTS, pace_s, SPARED)
    assert [episode.at_s for episode in plan] == sorted(episode.at_s for episode in plan)
    assert all(episode.at_s + episode.lasts_s <= 120.001 for episode in plan)
    for lane in (NODE_FAULTS, LINK_FAULTS, CHANGES):
        own = [episode for episode in plan if episode.fault in lane]
        assert all(one.at_s + one.lasts_s < other.at_s + 0.002 for one, other in pairwise(own))


@given(seeds, st.integers(1, 5))
def test_no_more_than_a_minority_of_the_nodes_is_gone_and_links_have_two_ends(seed: int, count: int) -> None:
    for episode in plan_episodes(seed, NODES[:count], 120, FAULTS, 2):
        assert len(set(episode.nodes)) == len(episode.nodes)
        assert episode.nodes or episode.fault in ("split", "seats")
        if episode.fault in NODE_FAULTS:
            assert len(episode.nodes) <= max(1, (count - 1) // 2)
        elif episode.fault in LINK_FAULTS:
            assert set(episode.nodes) | set(episode.others) == set(NODES[:count])
            assert episode.others and not set(episode.nodes) & set(episode.others)


@given(seeds)
def test_every_fault_comes_before_any_comes_again(seed: int) -> None:
    plan = plan_episodes(seed, NODES, 200, FAULTS, 2, SPARED)
    again = tuple(change for change in CHANGES if change != "replace")
    for lane in (NODE_FAULTS, LINK_FAULTS, again):
        own = [episode.fault for episode in plan if episode.fault in lane]
        assert len(own) > len(lane)
        for start in range(0, len(own) - len(lane), len(lane)):
            assert sorted(own[start : start + len(lane)]) == sorted(lane)


def test_one_node_has_no_links_to_break_and_no_seat_to_give() -> None:
    found = {episode.fault for episode in plan_episodes(1, ("eu-1",), 200, FAULTS, 2)}
    assert found == {*NODE_FAULTS, "split", "backup"}


@given(seeds)
def test_only_who_has_another_in_its_region_is_drained(seed: int) -> None:
    plan = plan_episodes(seed, NODES, 200, FAULTS, 2, SPARED)
    drained = {node for episode in plan if episode.fault == "drain" for node in episode.nodes}
    assert drained and drained <= set(SPARED)
    alone = plan_episodes(seed, NODES[:3], 200, FAULTS, 2)
    assert {episode.fault for episode in alone} == set(FAULTS) - {"drain", "replace"}


@given(seeds, st.floats(10, 300))
def test_one_node_is_given_up_once_after_all_other_changes_and_only_in_a_cluster_of_ones_own(
    seed: int, seconds: float
) -> None:
    plan = plan_episodes(seed, NODES, seconds, FAULTS, 2, SPARED, own=True)
    *others, last = [episode for episode in plan if episode.fault in CHANGES]
    assert last.fault == "replace" and len(last.nodes) == 1 and set(last.nodes) <= set(SPARED)
    assert "replace" not in {episode.fault for episode in others} and last.at_s < seconds
    assert all(episode.at_s <= last.at_s for episode in others)
    kept = plan_episodes(seed, NODES, seconds, FAULTS, 2, SPARED)
    assert "replace" not in {episode.fault for episode in kept}


@given(seeds)
def test_what_moves_changes_nothing_about_what_breaks(seed: int) -> None:
    faults = (*NODE_FAULTS, *LINK_FAULTS)
    moved = plan_episodes(seed, NODES, 90, FAULTS, 5, SPARED, own=True)
    assert [episode for episode in moved if episode.fault in faults] == plan_episodes(
        seed, NODES, 90, faults, 5
    )


@pytest.mark.parametrize(
    ("regions", "spared", "missing"),
    [
        ({"eu-1": "eu"}, (), {"drain", "seats", "replace"}),
        ({"eu-1": "eu", "us-1": "us", "ap-1": "ap"}, (), {"drain", "replace"}),
        ({"eu-1": "eu", "us-1": "us", "eu-2": "eu"}, ("eu-1", "eu-2"), set()),
    ],
)
def test_which_nodes_can_be_drained_and_what_is_not_possible(
    regions: dict[str, str], spared: tuple[str, ...], missing: set[str]
) -> None:
    assert spared_of(regions) == spared
    assert set(CHANGES) - set(possible_changes(list(regions), spared, own=True)) == missing


@pytest.mark.parametrize(
    ("fault", "links"),
    [
        ("partition", {("a", "b"), ("b", "a"), ("a", "c"), ("c", "a")}),
        ("oneway", {("a", "b"), ("a", "c")}),
        ("slow", {("a", "b"), ("b", "a"), ("a", "c"), ("c", "a")}),
    ],
)
def test_what_a_fault_does_to_which_links(fault: str, links: set[tuple[str, str]]) -> None:
    episode = Episode(
        at_s=0, lasts_s=1, fault=fault, nodes=("a",), others=("b", "c"), delay_ms=50.0, loss=0.1
    )
    made = link_faults(episode)
    assert {(link.source, link.to) for link in made} == links
    assert {link.cut for link in made} == {fault != "slow"}
