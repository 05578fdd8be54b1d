"""The plan of a run of chaos: a function of its arguments, complete, and never beyond what may be broken."""

from __future__ import annotations

from itertools import pairwise

import pytest
from folkmoot.cli.chaos.breaker import link_faults
from folkmoot.cli.chaos.plan import FAULTS, LINK_FAULTS, NODE_FAULTS, Episode, plan_episodes
from hypothesis import given
from hypothesis import strategies as st

NODES = ("eu-1", "us-1", "ap-1", "eu-2", "us-2")
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
    plan = plan_episodes(seed, NODES[:count], 120, FAULTS, pace_s)
    assert [episode.at_s for episode in plan] == sorted(episode.at_s for episode in plan)
    assert all(episode.at_s + episode.lasts_s <= 120.001 for episode in plan)
    for lane in (NODE_FAULTS, LINK_FAULTS):
        own = [episode for episode in plan if episode.fault in lane]
        assert all(one.at_s + one.lasts_s < other.at_s + 0.002 for one, other in pairwise(own))


@given(seeds, st.integers(1, 5))
def test_no_more_than_a_minority_of_the_nodes_is_gone_and_links_have_two_ends(seed: int, count: int) -> None:
    for episode in plan_episodes(seed, NODES[:count], 120, FAULTS, 2):
        assert len(set(episode.nodes)) == len(episode.nodes) > 0
        if episode.fault in NODE_FAULTS:
            assert len(episode.nodes) <= max(1, (count - 1) // 2)
        else:
            assert set(episode.nodes) | set(episode.others) == set(NODES[:count])
            assert episode.others and not set(episode.nodes) & set(episode.others)


@given(seeds)
def test_every_fault_comes_before_any_comes_again(seed: int) -> None:
    plan = plan_episodes(seed, NODES, 200, FAULTS, 2)
    for lane in (NODE_FAULTS, LINK_FAULTS):
        own = [episode.fault for episode in plan if episode.fault in lane]
        assert len(own) > len(lane)
        for start in range(0, len(own) - len(lane), len(lane)):
            assert sorted(own[start : start + len(lane)]) == sorted(lane)


def test_one_node_has_no_links_to_break() -> None:
    assert {episode.fault for episode in plan_episodes(1, ("eu-1",), 200, FAULTS, 2)} == set(NODE_FAULTS)


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
