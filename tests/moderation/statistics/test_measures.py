"""Areas under curves and tables of confusion, against what was published and against brute force."""

from __future__ import annotations

from math import log
from random import Random

import pytest
from folkmoot.protocol.moderation.statistics.auc import auc
from folkmoot.protocol.moderation.statistics.confusion import Confusion
from folkmoot.protocol.moderation.statistics.proportions import Share
from hypothesis import given
from hypothesis import strategies as st

# Hanley and McNeil 1982, table I: 58 normal and 51 abnormal images, rated from 1 to 5.
NORMAL, ABNORMAL = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)


def ratings() -> tuple[list[float], list[bool]]:
    """Every image's rating, and whether it is abnormal."""
    counted = [(NORMAL, False), (ABNORMAL, True)]
    rated = [(rating, so) for counts, so in counted for rating, of in enumerate(counts) for _ in range(of)]
    return [float(rating) for rating, _ in rated], [so for _, so in rated]


def test_the_area_is_the_one_published() -> None:
    area = auc(*ratings())
    assert area is not None and area.value == pytest.approx(0.893, abs=5e-4)
    low, high = area.interval
    assert low < area.value < high
    # The published standard error is 0.032; the logit's width is that over A(1 - A), times 3.92.
    width = log(high / (1 - high)) - log(low / (1 - low))
    assert width / 3.92 * area.value * (1 - area.value) == pytest.approx(0.032, abs=2e-3)


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=40))
def test_the_area_is_the_share_of_pairs_in_the_right_order(rated: list[tuple[int, bool]]) -> None:
    ups = [score for score, so in rated if so]
    downs = [score for score, so in rated if not so]
    area = auc([float(score) for score, _ in rated], [so for _, so in rated])
    if not ups or not downs:
        assert area is None
        return
    pairs = [1.0 if up > down else 0.5 if up == down else 0.0 for up in ups for down in downs]
    assert area is not None and area.value == pytest.approx(sum(pairs) / len(pairs))
    assert 0.0 <= area.interval.low <= area.value + 1e-9 and area.value - 1e-9 <= area.interval.high <= 1.0


def test_a_table_counts_as_one_would_by_hand() -> None:
    #             said: 0  1  2
    cells = (
        [(0, 0)] * 50
        + [(0, 1)] * 5
        + [(1, 1)] * 30
        + [(1, 0)] * 8
        + [(1, 2)] * 2
        + [(2, 2)] * 3
        + [(2, 0)] * 2
    )
    table = Confusion.of(3, cells)
    assert (table.n, table.accuracy) == (100, Share(83, 100))
    assert (table.precision(1), table.recall(1)) == (Share(30, 35), Share(30, 40))
    # Anything but 0: 40 were said to be, 45 are, 35 are both, whichever of the two they were taken for.
    assert (table.precision(1, 2), table.recall(1, 2)) == (Share(35, 40), Share(35, 45))
    f1 = [100 / 115, 60 / 75, 6 / 10]
    assert [table.f1(each) for each in range(3)] == pytest.approx(f1)
    assert table.macro_f1 == pytest.approx(sum(f1) / 3)
    assert Confusion(2).macro_f1 == 0.0 and Confusion(2).macro_f1_interval() == (0.0, 1.0)


def test_the_interval_of_macro_f1_is_what_resampling_gives() -> None:
    cells = (
        [(0, 0)] * 120
        + [(0, 1)] * 30
        + [(1, 1)] * 90
        + [(1, 0)] * 40
        + [(2, 2)] * 40
        + [(2, 1)] * 15
        + [(0, 2)] * 9
    )
    random = Random(7)
    resampled = sorted(Confusion.of(3, random.choices(cells, k=len(cells))).macro_f1 for _ in range(600))
    low, high = Confusion.of(3, cells).macro_f1_interval()
    assert (low, high) == pytest.approx((resampled[15], resampled[584]), abs=0.01)
    assert high - low > 0.05
