"""Clocks that stray: whose fault it is by the median, what a sample is worth, and how it heals."""

from __future__ import annotations

import pytest
from folkmoot.protocol.gossip.clocks import SAMPLE_AGE_S, Clocks, ClockVerdict
from folkmoot.protocol.limits import GOSSIP_CLOCKS

from tests.gossip.world import node_id

EPOCH_US = 1_800_000_000_000_000
SECOND_US = 1_000_000


def at(now: float, off_us: int = 0) -> int:
    """A wall clock that is off by so much, when the monotonic one says `now`."""
    return EPOCH_US + int(now * SECOND_US) + off_us


def judged(*peers_off_us: int, own_off_us: int = 0) -> ClockVerdict:
    """The verdict when each peer has told its time once, a tenth of a second after it was asked."""
    clocks = Clocks()
    for number, off_us in enumerate(peers_off_us):
        asked_s = float(number)
        told_us = at(asked_s + 0.05, off_us)
        clocks.heard(node_id(str(number)), told_us, at(asked_s + 0.1, own_off_us), asked_s, asked_s + 0.1)
    return clocks.judge(at(100.0, own_off_us), 100.0)


@pytest.mark.parametrize(
    ("peers", "own", "strays"),
    [
        pytest.param([0, 0], 0, False, id="all agree"),
        pytest.param([0, 0], 600_000, True, id="ahead"),
        pytest.param([0, 0], -600_000, True, id="behind"),
        pytest.param([0, 0], 450_000, False, id="not by much"),
        pytest.param([0, 3600 * SECOND_US], 0, False, id="another one of three"),
        pytest.param([0, 0, 0, 3600 * SECOND_US], 600_000, True, id="both this and another one of five"),
        pytest.param([2 * SECOND_US], 0, True, id="of two nobody knows which"),
        pytest.param([-2 * SECOND_US, 2 * SECOND_US], 0, False, id="between the others"),
    ],
)
def test_whoever_is_far_from_the_median_strays(peers: list[int], own: int, strays: bool) -> None:
    verdict = judged(*peers, own_off_us=own)
    assert (verdict.strays, verdict.peers) == (strays, len(peers))


def test_it_is_said_how_far_and_whereto() -> None:
    ahead, behind = judged(0, 0, own_off_us=SECOND_US), judged(0, 0, own_off_us=-SECOND_US)
    assert ahead.ahead_us == pytest.approx(SECOND_US, abs=10)
    assert behind.ahead_us == pytest.approx(-SECOND_US, abs=10)


def test_nobody_and_slow_answers_tell_nothing() -> None:
    clocks = Clocks()
    assert clocks.judge(at(0.0), 0.0) == ClockVerdict(None, 0, False)
    clocks.heard(node_id("a"), at(5.0, 10 * SECOND_US), at(6.0), asked_s=5.0, now=6.0)
    assert clocks.judge(at(6.0), 6.0).ahead_us is None


def test_what_was_told_before_the_clock_was_set_says_nothing_any_more() -> None:
    clocks = Clocks()
    for name in ("a", "b"):
        clocks.heard(node_id(name), at(1.0), at(1.0, 5 * SECOND_US), asked_s=1.0, now=1.0)
    assert clocks.judge(at(2.0, 5 * SECOND_US), 2.0).strays
    assert clocks.judge(at(3.0), 3.0) == ClockVerdict(None, 0, True)
    clocks.heard(node_id("a"), at(4.0), at(4.0), asked_s=4.0, now=4.0)
    assert clocks.judge(at(4.0), 4.0) == ClockVerdict(0, 1, False)


def test_a_clock_at_the_edge_does_not_come_and_go() -> None:
    clocks = Clocks()
    verdicts = []
    for second, off_us in enumerate((510_000, 490_000, 510_000, 410_000, 390_000, 490_000)):
        now = float(second)
        for name in ("a", "b"):
            clocks.heard(node_id(name), at(now), at(now, off_us), asked_s=now, now=now)
        verdicts.append(clocks.judge(at(now, off_us), now).strays)
    assert verdicts == [True, True, True, True, False, False]


def test_samples_grow_old_and_are_bounded() -> None:
    clocks = Clocks()
    for number in range(GOSSIP_CLOCKS + 10):
        clocks.heard(node_id(str(number)), at(0.0), at(0.0), asked_s=0.0, now=0.0)
    assert clocks.judge(at(1.0), 1.0).peers == GOSSIP_CLOCKS
    assert clocks.judge(at(SAMPLE_AGE_S + 1), SAMPLE_AGE_S + 1).peers == 0
