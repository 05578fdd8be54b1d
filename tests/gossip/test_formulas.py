"""Every formula of failure detection, as a table."""

from __future__ import annotations

import pytest
from folkmoot.protocol.gossip.broadcast import retransmit_limit
from folkmoot.protocol.gossip.health import Health, lag_level, probe_failure_delta
from folkmoot.protocol.gossip.profile import LAN, LOOPBACK, PROFILES, push_pull_interval_s
from folkmoot.protocol.gossip.suspicion import (
    Suspicion,
    confirmations_wanted,
    suspicion_min_s,
    suspicion_timeout_s,
)


@pytest.mark.parametrize(
    ("confirmations", "elapsed_s", "remaining_s"),
    [(0, 0, 30), (1, 2, 14), (2, 3, 4.810), (3, 4, -2), (4, 5, -3), (5, 10, -8)],
)
def test_suspicion_timeout_follows_memberlists_table(
    confirmations: int, elapsed_s: float, remaining_s: float
) -> None:
    """memberlist suspicion_test.go: k = 3, between 2 and 30 seconds."""
    timeout = suspicion_timeout_s(confirmations, 3, 2.0, 30.0)
    assert timeout - elapsed_s == pytest.approx(remaining_s, abs=0.005)


@pytest.mark.parametrize(
    ("members", "min_s"), [(1, 4.0), (5, 4.0), (10, 4.0), (50, 6.796), (100, 8.0), (1_000, 12.0)]
)
def test_suspicion_min_grows_with_the_logarithm(members: int, min_s: float) -> None:
    assert suspicion_min_s(4, members, 1.0) == pytest.approx(min_s, abs=0.001)


@pytest.mark.parametrize(("members", "wanted"), [(1, 0), (3, 0), (4, 2), (16, 2), (256, 2)])
def test_confirmations_are_wanted_only_where_others_can_give_them(members: int, wanted: int) -> None:
    assert confirmations_wanted(4, members) == wanted


@pytest.mark.parametrize(
    ("multiplier", "members", "limit"),
    [(3, 0, 0), (3, 1, 3), (3, 9, 3), (3, 10, 6), (3, 99, 6), (3, 100, 9), (4, 16, 8)],
)
def test_retransmit_limit(multiplier: int, members: int, limit: int) -> None:
    assert retransmit_limit(multiplier, members) == limit


@pytest.mark.parametrize(("members", "factor"), [(2, 1), (32, 1), (33, 2), (64, 2), (65, 3), (128, 3)])
def test_push_pull_interval_grows_with_each_doubling_beyond_32(members: int, factor: int) -> None:
    assert push_pull_interval_s(30.0, members) == 30.0 * factor


@pytest.mark.parametrize(("lag_s", "level"), [(0.0, 0), (0.2, 0), (0.25, 1), (0.49, 1), (0.5, 2), (3.0, 12)])
def test_lag_level(lag_s: float, level: int) -> None:
    assert lag_level(lag_s, 0.5) == level


@pytest.mark.parametrize(("relays", "nacks", "delta"), [(0, 0, 1), (3, 3, 0), (3, 1, 2), (3, 0, 3)])
def test_probe_failure_costs_what_the_relays_did_not_say(relays: int, nacks: int, delta: int) -> None:
    assert probe_failure_delta(relays, nacks) == delta


def test_health_is_the_worse_of_score_and_lag_within_its_bounds() -> None:
    health = Health(awareness_max=8, probe_timeout_s=0.5)
    assert health.factor == 1
    health.shift(-1)
    assert health.factor == 1
    health.shift(3)
    assert health.factor == 4
    health.observe_lag(2.6)
    assert health.factor == 8
    for _ in range(3):
        health.observe_lag(0.0)
    assert health.factor == 4, "lag decays by half, the score stays"
    health.shift(100)
    assert health.factor == 8


def test_a_confirmation_counts_once_a_node_and_brings_the_deadline_near() -> None:
    suspicion = Suspicion.begin(1, b"first", members=16, profile=LAN, now=100.0)
    latest = suspicion.deadline
    assert latest == pytest.approx(100.0 + suspicion.max_s)
    assert not suspicion.confirm(b"first"), "an accuser does not confirm itself"
    assert suspicion.confirm(b"second")
    assert not suspicion.confirm(b"second")
    nearer = suspicion.deadline
    assert nearer < latest
    assert suspicion.confirm(b"third")
    assert suspicion.deadline == pytest.approx(100.0 + suspicion.min_s)
    assert not suspicion.confirm(b"fourth"), "enough have confirmed; the rest is not news"
    suspicion.postpone(5.0)
    assert suspicion.deadline == pytest.approx(105.0 + suspicion.min_s)


def test_profiles_leave_time_for_a_stalled_neighbour() -> None:
    """An event loop under full load stalls for 300 ms; twice that still fits into a loopback probe."""
    assert LOOPBACK.probe_interval_s >= 2 * 0.3
    assert set(PROFILES) == {"lan", "wan", "loopback"}
