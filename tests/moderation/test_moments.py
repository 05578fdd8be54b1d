"""Which moments of a film are looked at: by hand, and whatever its packets are like."""

from __future__ import annotations

from itertools import pairwise

import pytest
from folkmoot.node.moderation.media.moments import FRAMES, Place, Run, plan, spread
from hypothesis import given
from hypothesis import strategies as st

PLENTY = 10**6
SECOND = 10


def places(*keys: int, count: int, every: int = 1) -> list[Place]:
    """Packets in the order in which they are seen, with key frames among them."""
    return [Place(index * every, index in keys) for index in range(count)]


def seen(runs: list[Run]) -> list[int]:
    """When what is looked at is to be seen."""
    return sorted({at for run in runs for at in run.wanted})


@pytest.mark.parametrize(
    ("packets", "runs"),
    [
        (places(0, count=1), [Run(0, 0, (0,))]),
        (places(count=1), [Run(0, 0, (0,))]),
        (places(0, 10, 20, count=21), [Run(0, 0, (0,)), Run(10, 10, (10,)), Run(20, 20, (20,))]),
        (places(0, 12, count=13), [Run(0, 0, (0,)), Run(12, 12, (12,))]),
        (places(0, 10, count=18), [Run(0, 0, (0,)), Run(10, 17, (10, 17))]),
        (places(0, count=25), [Run(0, 24, (0, 10, 20, 24))]),
        # One that is seen before the key frame it follows rests on the key frame before that.
        (
            [Place(0, True), Place(4, False), Place(20, True), Place(9, False)],
            [Run(2, 2, (20,)), Run(0, 3, (0, 9))],
        ),
        # A picture that stands still is what is seen at all those moments.
        ([Place(0, True), Place(5, False), Place(95, False)], [Run(0, 2, (0, 5, 95))]),
    ],
)
def test_by_hand(packets: list[Place], runs: list[Run]) -> None:
    assert plan(packets, SECOND, PLENTY) == runs


def test_key_frames_are_chosen_from_where_there_are_many() -> None:
    packets = places(*range(1_000), count=1_000)
    runs = plan(packets, SECOND, PLENTY)
    assert all(run.first == run.last for run in runs)
    assert FRAMES <= len(runs) <= 2 * FRAMES and {0, 999} <= set(seen(runs))


def test_steps_are_longer_where_the_whole_would_cost_too_much() -> None:
    packets = places(*range(0, 1_200, 60), count=1_200)
    costs = [
        sum(run.last + 1 - run.first for run in plan(packets, SECOND, most)) for most in (PLENTY, 1_000, 0)
    ]
    assert costs == sorted(costs, reverse=True) and len(set(costs)) == 3
    assert seen(plan(packets, SECOND, 0))[-1] == 1_199


@st.composite
def films(draw: st.DrawFn) -> list[Place]:
    """Packets that are seen in nearly the order in which they stand, wherever key frames are."""
    at, found = 0, []
    for _ in range(draw(st.integers(1, 80))):
        at += draw(st.integers(0, 40))
        found.append(Place(at + draw(st.integers(-15, 15)), draw(st.booleans())))
    return found


@given(films())
def test_nothing_is_to_be_seen_for_more_than_two_steps_unless_it_is_looked_at(packets: list[Place]) -> None:
    runs = plan(packets, SECOND, PLENTY)
    times = sorted(place.at for place in packets)
    length = times[-1] - times[0]
    step = max(SECOND, round(length / FRAMES))
    found = seen(runs)
    assert found[-1] == times[-1] and found[0] <= times[0] + step // 2
    for before, after in pairwise(found):
        between = [at for at in times if before < at < after]
        assert not between or after - between[0] <= 2 * step, "for so long at most is what it shows unseen"


@given(films())
def test_what_is_wanted_is_in_its_run_and_runs_begin_with_key_frames(packets: list[Place]) -> None:
    for run in plan(packets, SECOND, PLENTY):
        assert run.first == 0 or packets[run.first].is_key
        assert set(run.wanted) <= {place.at for place in packets[run.first : run.last + 1]}
        assert list(run.wanted) == sorted(set(run.wanted))


def test_some_are_spread_over_all() -> None:
    assert spread(3, 5) == [0, 1, 2] and spread(0, 5) == []
    assert spread(100, 5) == [0, 24, 49, 74, 99]
