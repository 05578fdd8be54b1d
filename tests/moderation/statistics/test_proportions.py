"""Intervals and tests against figures that were published with the methods."""

from __future__ import annotations

from math import comb, inf

import pytest
from folkmoot.protocol.moderation.statistics.proportions import (
    Interval,
    Share,
    benjamini_hochberg,
    beta_distribution,
    clopper_pearson,
    difference_p,
    newcombe,
    ratio,
    standard_score,
    wilson,
)
from hypothesis import given
from hypothesis import strategies as st

# Newcombe 1998, Statistics in Medicine 17:857, table I: method 3 (Wilson) and method 5 (Clopper–Pearson).
TABLE_ONE = [
    (Share(81, 263), (0.2553, 0.3662), (0.2527, 0.3676)),
    (Share(15, 148), (0.0624, 0.1605), (0.0578, 0.1617)),
    (Share(0, 20), (0.0000, 0.1611), (0.0000, 0.1684)),
    (Share(1, 29), (0.0061, 0.1718), (0.0009, 0.1776)),
]
# Newcombe 1998, Statistics in Medicine 17:873, table II: method 10.
TABLE_TWO = [
    (Share(56, 70), Share(48, 80), (0.0524, 0.3339)),
    (Share(9, 10), Share(3, 10), (0.1705, 0.8090)),
    (Share(6, 7), Share(2, 7), (0.0582, 0.8062)),
    (Share(5, 56), Share(0, 29), (-0.0381, 0.1926)),
    (Share(0, 10), Share(0, 20), (-0.1611, 0.2775)),
    (Share(0, 10), Share(0, 10), (-0.2775, 0.2775)),
    (Share(10, 10), Share(0, 20), (0.6791, 1.0000)),
    (Share(10, 10), Share(0, 10), (0.6075, 1.0000)),
]
# Benjamini and Hochberg 1995, section 4: of these the first four are called real at 0.05.
MYOCARDIAL = [
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
    *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
]

SHARES = st.integers(1, 120).flatmap(lambda of: st.builds(Share, st.integers(0, of), st.just(of)))


@pytest.mark.parametrize(("share", "score", "exact"), TABLE_ONE)
def test_intervals_of_shares_are_those_published(
    share: Share, score: tuple[float, float], exact: tuple[float, float]
) -> None:
    assert wilson(share) == pytest.approx(score, abs=5.1e-5)
    assert clopper_pearson(share) == pytest.approx(exact, abs=5.1e-5)


@pytest.mark.parametrize(("one", "other", "published"), TABLE_TWO)
def test_intervals_of_differences_are_those_published(
    one: Share, other: Share, published: tuple[float, float]
) -> None:
    assert newcombe(one, other) == pytest.approx(published, abs=5.1e-5)
    assert newcombe(other, one) == pytest.approx((-published[1], -published[0]), abs=5.1e-5)


def test_the_differences_called_real_are_those_published() -> None:
    adjusted = benjamini_hochberg(MYOCARDIAL)
    assert [value <= 0.05 for value in adjusted] == [True] * 4 + [False] * 11
    assert adjusted[0] == pytest.approx(0.0015) and adjusted[3] == pytest.approx(0.035625)
    shuffled = [MYOCARDIAL[at] for at in (14, 3, 0, 8)]
    assert benjamini_hochberg(shuffled) == pytest.approx([1.0, 0.019, 0.0004, 0.0612])
    assert benjamini_hochberg([]) == []


@given(SHARES)
def test_the_exact_interval_is_where_the_binomial_tails_are_a_fortieth(share: Share) -> None:
    hits, of = map(int, share)
    low, high = clopper_pearson(share)
    if hits:
        at_least = sum(comb(of, k) * low**k * (1 - low) ** (of - k) for k in range(hits, of + 1))
        assert at_least == pytest.approx(0.025, rel=1e-6)
    if hits < of:
        at_most = sum(comb(of, k) * high**k * (1 - high) ** (of - k) for k in range(hits + 1))
        assert at_most == pytest.approx(0.025, rel=1e-6)
    assert 0.0 <= low <= share.value <= high <= 1.0


@given(SHARES, SHARES)
def test_a_ratio_lies_in_its_interval_and_turned_over_in_the_one_turned_over(
    one: Share, other: Share
) -> None:
    low, high = ratio(one, other)
    assert 0.0 <= low <= high
    if other.hits:
        assert low - 1e-12 <= one.value / other.value <= high + 1e-9
    else:
        assert high == inf
    if one.hits and other.hits:
        back = ratio(other, one)
        assert (low, high) == pytest.approx((1 / back.high, 1 / back.low), rel=1e-9)


def test_a_ratio_is_close_to_the_logarithmic_interval_where_there_are_many() -> None:
    # Katz et al. 1978, exp(log ratio ± 1.96·sqrt(1/a - 1/m + 1/b - 1/n)), to which both tend.
    assert ratio(Share(400, 2000), Share(300, 2000)) == pytest.approx((1.1637, 1.5276), abs=2e-3)
    assert ratio(Share(0, 50), Share(0, 50)) == Interval(0.0, inf)


def test_shares_far_apart_are_unlikely_to_be_the_same() -> None:
    # z = (0.8 - 0.6) / sqrt(p(1-p)(1/70 + 1/80)) with p = 104/150.
    assert difference_p(Share(56, 70), Share(48, 80)) == pytest.approx(0.0081, abs=1e-4)
    assert difference_p(Share(3, 9), Share(30, 90)) == pytest.approx(1.0)
    assert difference_p(Share(0, 9), Share(0, 4)) == 1.0 == difference_p(Share(1, 2), Share(0, 0))


def test_nothing_looked_at_may_be_anything_and_nonsense_is_refused() -> None:
    assert wilson(Share(0, 0)) == clopper_pearson(Share(0, 0)) == (0.0, 1.0)
    for share in (Share(2, 1), Share(-1, 3)):
        with pytest.raises(ValueError, match="no share"):
            wilson(share)
    with pytest.raises(ValueError, match="between 0 and 1"):
        standard_score(1.0)


def test_the_functions_beneath_are_the_textbooks() -> None:
    assert [standard_score(c) for c in (0.9, 0.95, 0.99)] == pytest.approx(
        [1.644854, 1.959964, 2.575829], abs=1e-6
    )
    assert beta_distribution(0.3, 2, 3) == pytest.approx(0.3483)  # 6x² - 8x³ + 3x⁴
    assert (beta_distribution(0.0, 2, 3), beta_distribution(1.0, 2, 3)) == (0.0, 1.0)
