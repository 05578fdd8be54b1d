"""Waits against a published example, and what follows from the way they are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf
from random import Random

import pytest
from folkmoot.protocol.moderation.statistics.durations import (
    LAST_STEP,
    Waits,
    median,
    ratio_of_medians,
    start_of,
    step_of,
    wait_p,
)
from folkmoot.protocol.moderation.statistics.proportions import Interval

STEP = start_of(1)
Group = tuple[list[int], list[int]]

# Freireich et al. 1963 (Blood 21:699): weeks in remission; those of the second list still lasted.
TREATED: Group = [6, 6, 6, 7, 10, 13, 16, 22, 23], [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
PLACEBO: Group = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], []
WEEK_S = 604_800.0


def waits(ended: Sequence[float], lasting: Sequence[float] = (), unit: float = 1.0) -> Waits:
    return Waits(*(Counter(step_of(each * unit) for each in some) for some in (ended, lasting)))


def test_medians_are_those_published() -> None:
    """Of both groups medians of 23 and 8 weeks, on the log-log scale from 13 on and from 4 to 11; the
    log-rank test has χ² = 16.79."""
    treated, placebo = (waits(ended, lasting, WEEK_S) for ended, lasting in (TREATED, PLACEBO))
    slow, fast = median(treated), median(placebo)
    assert slow.value == pytest.approx(23 * WEEK_S, rel=STEP - 1)
    assert slow.interval.low == pytest.approx(13 * WEEK_S, rel=STEP - 1) and slow.interval.high == inf
    assert fast.value == pytest.approx(8 * WEEK_S, rel=STEP - 1)
    assert fast.interval.low == pytest.approx(4 * WEEK_S, rel=STEP - 1)
    assert fast.interval.high == pytest.approx(11 * WEEK_S, rel=STEP - 1)
    assert wait_p(treated, placebo) == pytest.approx(4.17e-5, rel=0.2)
    low, high = ratio_of_medians(slow, fast)
    assert 1.0 < low < 23 / 8 and high == inf


def test_what_never_ends_has_no_median() -> None:
    found = median(waits([], [5.0] * 30))
    assert found.value == inf and found.interval == Interval(start_of(step_of(5.0)), inf)
    assert median(waits([], [5.0] * 9)).interval == Interval(1.0, inf), "these are too few"
    assert ratio_of_medians(found, median(waits([9.0] * 30))).high == inf
    assert wait_p(Waits(), Waits()) == 1.0


def test_what_still_waits_makes_a_group_slower() -> None:
    ended = [60.0 * each for each in range(1, 41)]
    assert median(waits(ended, [3_600.0] * 20)).value > median(waits(ended)).value


def test_waits_add_up_and_take_apart() -> None:
    one, other = waits([1.0, 60.0], [9.0]), waits([60.0, 7e5])
    both = one.plus(other)
    assert both.count == 5 and both.minus(one) == other and both.minus(other) == one


@pytest.mark.parametrize("seconds", [0.0, -3.0, 1.0, 59.9, 86_400.0, 1e30])
def test_steps_hold_their_times_and_there_are_not_many(seconds: float) -> None:
    step = step_of(seconds)
    assert 0 <= step <= LAST_STEP
    if 1.0 <= seconds < start_of(LAST_STEP):
        assert start_of(step) <= seconds * 1.0000001 and seconds < start_of(step + 1) * 1.0000001


def test_intervals_of_medians_and_their_ratios_hold_what_they_promise() -> None:
    random, times = Random(3), 200
    held = together = false = 0
    for _ in range(times):
        one, other = ([random.expovariate(0.693 / 3_600.0) for _ in range(60)] for _ in range(2))
        of_one, of_other = waits(one), waits(other)
        low, high = median(of_one).interval
        held += low <= 3_600.0 <= high
        low, high = ratio_of_medians(median(of_one), median(of_other))
        together += low <= 1.0 <= high
        false += wait_p(of_one, of_other) < 0.05
    assert held >= 0.94 * times and together >= 0.94 * times
    assert false <= 0.08 * times
