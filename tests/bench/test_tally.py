"""What a run of load says of itself."""

from __future__ import annotations

import math

import pytest
from folkmoot.cli.bench.tally import LoadTally, percentile, spread_ms
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.5, 5.0),
        ([1.0, 2.0], 0.5, 2.0),
        ([float(n) for n in range(100)], 0.99, 99.0),
        ([float(n) for n in range(1000)], 0.99, 990.0),
        ([1.0, 2.0, 3.0], 1.0, 3.0),
    ],
)
def test_a_percentile_is_a_value_that_was_seen(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_nothing_has_no_percentiles() -> None:
    assert math.isnan(percentile([], 0.5))
    assert spread_ms([]) == {}


@given(st.lists(st.floats(0, 60), min_size=1))
def test_percentiles_ascend_to_the_maximum_in_any_order_of_answers(latencies_s: list[float]) -> None:
    spread = spread_ms(latencies_s)
    assert list(spread) == ["p50", "p90", "p99", "p999", "max"]
    assert list(spread.values()) == sorted(spread.values())
    assert spread["max"] == round(max(latencies_s) * 1000, 3)


@pytest.mark.parametrize(
    ("statuses", "failed", "unanswered", "clean"),
    [
        ({"stored": 3, "duplicate": 1, "held": 1}, {}, 0, True),
        ({"stored": 3, "refused": 1}, {}, 0, False),
        ({"stored": 3, "uncertain": 1}, {}, 0, False),
        ({"stored": 3}, {"busy": 1}, 0, False),
        ({"stored": 3}, {}, 1, False),
        ({}, {}, 0, True),
    ],
)
def test_a_run_is_clean_when_everything_asked_was_done(
    statuses: dict[str, int], failed: dict[str, int], unanswered: int, clean: bool
) -> None:
    tally = LoadTally(unanswered=unanswered)
    tally.statuses.update(statuses)
    tally.failed.update(failed)
    assert tally.clean == clean


def test_the_summary_counts_acknowledged_posts_only() -> None:
    tally = LoadTally()
    tally.statuses.update(stored=30, duplicate=5, held=5, refused=10, uncertain=50)
    tally.page_s.extend([0.001] * 8)
    summary = tally.summary(4.0)
    assert (summary["acknowledged"], summary["posts_per_s"], summary["pages_per_s"]) == (40, 10.0, 2.0)
    assert summary["put_ms"] == {} and summary["page_ms"]["max"] == 1.0
