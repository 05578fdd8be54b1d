"""Shares of weighted samples: what they come to without weights, and whether their intervals keep their
promise."""

from __future__ import annotations

from math import exp, inf
from random import Random

import pytest
from folkmoot.protocol.moderation.statistics.proportions import Share, wilson
from folkmoot.protocol.moderation.statistics.weighted import NONE, Weights, effective
from hypothesis import example, given, settings
from hypothesis import strategies as st


def many(count: int, weight: float) -> Weights:
    return Weights(count, count * weight, count * weight * weight)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(1.0, 1e4))
def test_a_sample_of_equal_weights_is_what_was_counted(counts: tuple[int, int], weight: float) -> None:
    hits, of = counts
    assert effective(many(hits, weight), many(of, weight)) == pytest.approx(Share(hits, of), rel=1e-9)


def test_sums_add_up_and_take_apart() -> None:
    one, other = many(3, 5.0), many(40, 50.0)
    assert one.plus(other).minus(one) == other
    assert one.minus(one) is NONE
    assert effective(NONE, NONE) == (0, 0)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 30_000), st.floats(1.0, 1e7), st.integers(1, 30), st.floats(1.0, 1e7), st.integers(0, 30)
)
@example(20_000, 1e6, 25, 1.0, 3)
@example(20_000, 1e12, 25, 1.0, 3)
def test_a_rest_whose_sums_are_lost_beside_the_others_is_a_sample_still(
    others: int, other_weight: float, members: int, weight: float, having: int
) -> None:
    taken = _one_by_one(others, other_weight)
    rest = taken.plus(_one_by_one(members, weight)).minus(taken)
    assert rest.members == members
    assert rest.squares >= rest.sum * rest.sum / members
    for part in (NONE, rest, _one_by_one(min(having, members), weight)):
        share = effective(part, rest)
        assert 0 <= share.hits <= share.of < inf
    assert effective(NONE, rest).of <= members * (1.0 + 1e-9)


def test_squares_that_are_lost_say_no_more_than_what_was_counted() -> None:
    assert effective(NONE, Weights(4, 8.0, 0.0)) == (0, 4)
    assert effective(Weights(1, 8.0, 0.0), Weights(4, 8.0, 0.0)) == (4, 4)
    assert effective(Weights(1, 0.0, 0.0), Weights(4, 8.0, 16.0)) == (0, 4)


def test_what_is_drawn_more_often_counts_less() -> None:
    hits, others = many(20, 5.0), many(98, 50.0)
    share = effective(hits, hits.plus(others))
    assert share.value == pytest.approx(100 / 5000)
    assert 15 < share.hits <= 20, "no more is known of the rare ones than of how many were seen"


def test_where_nobody_has_it_no_more_is_known_than_was_counted() -> None:
    share = effective(NONE, many(50, 5.0).plus(many(50, 50.0)))
    assert share.hits == 0 and 50 < share.of < 100


@pytest.mark.parametrize(("rate", "hits_drawn", "others_drawn"), [(0.01, 0.1, 0.02), (0.05, 0.02, 0.1)])
def test_intervals_hold_what_they_promise(rate: float, hits_drawn: float, others_drawn: float) -> None:
    random, posts, times = Random(7), 20_000, 800
    held = 0
    for _ in range(times):
        hits = many(_poisson(random, posts * rate * hits_drawn), 1.0 / hits_drawn)
        others = many(_poisson(random, posts * (1.0 - rate) * others_drawn), 1.0 / others_drawn)
        low, high = wilson(effective(hits, hits.plus(others)))
        held += low <= rate <= high
    assert 0.93 <= held / times <= 0.98


def _one_by_one(count: int, weight: float) -> Weights:
    """Added up as samples are, with what is lost on the way."""
    one, sums = Weights.of(weight), NONE
    for _ in range(count):
        sums = sums.plus(one)
    return sums


def _poisson(random: Random, mean: float) -> int:
    """So many of what comes `mean` times on average (Knuth's way; by its normal limit where there are
    many)."""
    if mean > 200:
        return round(random.gauss(mean, mean**0.5))
    left, count = random.random(), 0
    while left > exp(-mean):
        left *= random.random()
        count += 1
    return count
