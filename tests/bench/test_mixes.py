"""What people do in a run: in which shares, when, and the same again for the same seed."""

from __future__ import annotations

from array import array
from collections import Counter
from random import Random

import pytest
from folkmoot.cli.bench.burst import Burst, Sort
from folkmoot.cli.bench.mixes import MIXES, Action, Deed, Scale

SCALE = Scale(rate=100.0, seconds=100.0, accounts=50)


def drawn(mix: str, scale: Scale = SCALE, seed: int = 1) -> list[Deed]:
    return MIXES[mix](scale, Random(seed))


def shares(deeds: list[Deed]) -> dict[Action, float]:
    return {action: count / len(deeds) for action, count in Counter(deed.action for deed in deeds).items()}


@pytest.mark.parametrize("mix", MIXES)
def test_as_many_as_asked_for_in_order_and_the_same_again(mix: str) -> None:
    deeds = drawn(mix)
    assert len(deeds) == pytest.approx(10_000, rel=0.05)
    assert deeds == sorted(deeds, key=lambda deed: deed.due_s)
    assert deeds[0].due_s > 0.0 and deeds[-1].due_s < SCALE.seconds
    assert deeds == drawn(mix) != drawn(mix, seed=2)


@pytest.mark.parametrize(
    ("mix", "expected"),
    [
        ("timeline", {Action.HOME: 0.9, Action.POST: 0.1}),
        (
            "viral",
            {Action.THREAD: 0.3, Action.LIKE: 0.7 * 6 / 9, Action.REPOST: 0.7 * 2 / 9, Action.REPLY: 0.7 / 9},
        ),
        ("firehose", {Action.POST: 1.0}),
    ],
)
def test_the_shares_of_actions(mix: str, expected: dict[Action, float]) -> None:
    found = shares(drawn(mix))
    assert set(found) == set(expected)
    assert all(found[action] == pytest.approx(share, abs=0.02) for action, share in expected.items())


def test_the_first_ranks_are_the_busiest() -> None:
    acting = Counter(deed.actor for deed in drawn("timeline"))
    assert set(acting) == set(range(50))
    assert acting[0] == pytest.approx(2 * acting[1], rel=0.25)
    assert acting[0] > 20 * acting[49]


def test_writes_go_by_a_burst_and_reads_do_not() -> None:
    """All of the burst is in its last tenth, by accounts 3 and, since there are but 50 of them, 53 - 50."""
    times = array("d", [0.0, *(9.0 + number / 100 for number in range(101))])
    burst = Burst(times, array("I", [3, 53] * 51), bytearray([Sort.REPOST, Sort.REPLY] * 51))
    scale = Scale(rate=100.0, seconds=100.0, accounts=50, burst=burst)
    for mix, written in (("timeline", {Action.POST}), ("viral", {Action.REPOST, Action.REPLY})):
        deeds = drawn(mix, scale)
        writes = [deed for deed in deeds if deed.action in written]
        reads = [deed for deed in deeds if deed.action not in written]
        assert {deed.actor for deed in writes} == {3}
        assert sum(deed.due_s >= 90.0 for deed in writes) > 0.95 * len(writes) > 0
        assert sum(deed.due_s >= 90.0 for deed in reads) == pytest.approx(0.1 * len(reads), rel=0.2)
