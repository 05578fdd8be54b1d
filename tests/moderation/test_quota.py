"""Quotas: what a bucket allows, when it says to come back, and what it costs to remember."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from folkmoot.node.moderation.quota import Quota, QuotaRates, Rate
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.moderation.bounds import HELD_COSTS
from hypothesis import example, given
from hypothesis import strategies as st

PLENTY = Rate(1e6, 1_000_000)
ALICE, BOB = b"a" * 34, b"b" * 34


def admit(quota: Quota, account: bytes, address: str, now: float) -> WireError | None:
    """One record that arrives, and proves to be the account's."""
    return quota.look_at(account, address, now) or quota.admit(account, address, now)


def charge(quota: Quota, account: bytes, address: str, now: float) -> WireError | None:
    """One record that changes something, from its arrival to its end."""
    error = admit(quota, account, address, now)
    if error is None:
        quota.settle(account, address, now, changed=True)
    return error


def refusals(quota: Quota, account: bytes, address: str, at: list[float]) -> Iterator[int | None]:
    for now in at:
        error = charge(quota, account, address, now)
        yield None if error is None else error.retry_after_ms


@pytest.mark.parametrize(
    ("rate", "at", "expected"),
    [
        (Rate(1, 3), [0.0] * 4, [None, None, None, 1000]),
        (Rate(1, 3), [0.0, 0.0, 0.0, 1.0, 1.0], [None, None, None, None, 1000]),
        (Rate(10, 1), [5.0, 5.0, 5.05, 5.1], [None, 100, 50, None]),
        (Rate(2, 2), [0.0, 0.0, 0.25, 100.0, 100.0, 100.0], [None, None, 250, None, None, 500]),
    ],
)
def test_a_bucket_allows_its_burst_then_its_rate(
    rate: Rate, at: list[float], expected: list[int | None]
) -> None:
    # A wait is told in whole milliseconds, rounded up.
    by_account = list(refusals(Quota(QuotaRates(rate, PLENTY)), ALICE, "host", at))
    by_address = list(refusals(Quota(QuotaRates(PLENTY, rate)), ALICE, "host", at))
    for told in (by_account, by_address):
        assert [each is None for each in told] == [each is None for each in expected]
        assert all(t is None or e is None or e <= t <= e + 1 for t, e in zip(told, expected, strict=True))


def test_accounts_and_addresses_are_counted_apart() -> None:
    quota = Quota(QuotaRates(Rate(1, 1), Rate(1, 2)))
    assert charge(quota, ALICE, "one", 0.0) is None
    limited = charge(quota, ALICE, "two", 0.0)
    assert isinstance(limited, WireError) and "this account" in limited.message
    assert charge(quota, BOB, "one", 0.0) is None
    limited = charge(quota, b"c" * 34, "one", 0.0)
    assert isinstance(limited, WireError) and "this address" in limited.message
    assert (limited.kind.name, limited.kind.retryable) == ("rate_limited", True)


def test_what_one_bucket_turns_away_costs_the_other_nothing() -> None:
    quota = Quota(QuotaRates(Rate(1, 1), Rate(1, 2)))
    assert charge(quota, ALICE, "one", 0.0) is None
    for _ in range(10):
        assert charge(quota, ALICE, "one", 0.0) is not None
    assert charge(quota, BOB, "one", 0.0) is None


def test_what_is_forged_costs_the_address_alone() -> None:
    quota = Quota(QuotaRates(Rate(0.001, 2), Rate(0.001, 10)))
    for _ in range(9):
        assert quota.look_at(ALICE, "one", 0.0) is None
    assert [charge(quota, ALICE, "two", 0.0) is None for _ in range(3)] == [True, True, False]
    assert charge(quota, BOB, "one", 0.0) is None
    limited = charge(quota, BOB, "one", 0.0)
    assert limited is not None and "this address" in limited.message


def test_what_cannot_be_admitted_is_not_looked_at() -> None:
    quota = Quota(QuotaRates(Rate(0.001, 3), Rate(0.001, 10)))
    told = [quota.look_at(ALICE, "one", 0.0, before) for before in range(9)]
    assert [limited is None for limited in told] == [True] * 3 + [False] * 6
    assert [charge(quota, bytes((n,)) * 34, "one", 0.0) is None for n in range(8)] == [True] * 7 + [False]


def test_what_changes_nothing_costs_the_address_alone() -> None:
    quota = Quota(QuotaRates(Rate(0.001, 2), Rate(0.001, 10)))
    for _ in range(8):
        assert admit(quota, ALICE, "one", 0.0) is None
        quota.settle(ALICE, "one", 0.0, changed=False)
    assert [charge(quota, ALICE, "two", 0.0) is None for _ in range(3)] == [True, True, False]
    assert [charge(quota, BOB, "one", 0.0) is None for _ in range(3)] == [True, True, False]
    assert (quota.statistics().accounts, quota.statistics().addresses) == (2, 2)


def test_what_is_under_way_from_one_address_keeps_to_the_burst() -> None:
    quota = Quota(QuotaRates(Rate(1, 3), PLENTY))
    assert [admit(quota, ALICE, "one", 0.0) is None for _ in range(5)] == [True, True, True, False, False]
    assert charge(quota, ALICE, "two", 0.0) is None, "what another address has under way is not counted"
    quota.settle(ALICE, "one", 0.0, changed=False)
    assert admit(quota, ALICE, "one", 0.0) is not None, "three under way or paid for are all there are"
    quota.settle(ALICE, "one", 0.0, changed=False)
    assert admit(quota, ALICE, "one", 0.0) is None


def test_what_several_addresses_bring_at_once_is_owed() -> None:
    quota = Quota(QuotaRates(Rate(1, 2), PLENTY))
    addresses = ["one", "two", "three"]
    for address in addresses * 2:
        assert admit(quota, ALICE, address, 0.0) is None
    for address in addresses * 2:
        quota.settle(ALICE, address, 0.0, changed=True)
    told = admit(quota, ALICE, "four", 0.0)
    assert told is not None and told.retry_after_ms == 5_000, "six were spent of two, and one is wanted"
    assert admit(quota, ALICE, "four", 5.0) is None


def test_what_is_held_costs_account_and_address_as_much_as_others_together() -> None:
    quota = Quota(QuotaRates(Rate(1, 1), Rate(1, HELD_COSTS)))
    assert quota.look_at(ALICE, "one", 0.0) is None and admit(quota, ALICE, "one", 0.0) is None
    quota.hold(ALICE, "one")
    quota.settle(ALICE, "one", 0.0, changed=True, held=True)
    told = admit(quota, ALICE, "two", 0.0)
    assert told is not None and told.retry_after_ms == 1_000 * HELD_COSTS
    assert quota.look_at(BOB, "one", 0.0) is not None and quota.look_at(BOB, "two", 0.0) is None


def test_a_quota_settles_what_another_admitted() -> None:
    quota = Quota(QuotaRates(Rate(1, 2), PLENTY))
    quota.settle(ALICE, "one", 0.0, changed=True)
    quota.settle(ALICE, "one", 0.0, changed=False)
    assert [admit(quota, ALICE, "one", 0.0) is None for _ in range(2)] == [True, False]


def test_only_so_many_buckets_are_remembered_and_the_busy_ones_stay() -> None:
    quota = Quota(QuotaRates(Rate(0.001, 2), PLENTY), buckets=8)
    charge(quota, ALICE, "host", 0.0)
    charge(quota, ALICE, "host", 0.0)
    for number in range(100):
        assert charge(quota, number.to_bytes(34, "big"), "host", 0.0) is None
        assert charge(quota, ALICE, "host", 0.0) is not None
    assert (quota.statistics().accounts, quota.statistics().addresses) == (8, 1)


@pytest.mark.parametrize("rate", [(0.0, 5), (-1.0, 5), (1.0, 0)])
def test_a_rate_that_allows_nothing_is_a_mistake(rate: tuple[float, int]) -> None:
    with pytest.raises(ValueError, match="allows something"):
        Rate(*rate)


@example(steps_ms=[187, 186], per_second=1, burst=1)
@example(steps_ms=[15_991, 0, 3], per_second=20, burst=2)
@given(
    st.lists(st.integers(0, 4_000), min_size=1, max_size=60),
    st.integers(1, 20),
    st.integers(1, 10),
)
def test_no_window_lets_more_through_than_burst_and_rate(
    steps_ms: list[int], per_second: int, burst: int
) -> None:
    quota = Quota(QuotaRates(Rate(per_second, burst), PLENTY))
    now = 0.0
    passed: list[float] = []
    for step_ms in steps_ms:
        now += step_ms / 1000
        error = charge(quota, ALICE, "host", now)
        if error is None:
            passed.append(now)
        else:
            assert error.retry_after_ms is not None and error.retry_after_ms >= 1
            assert charge(quota, ALICE, "host", now + error.retry_after_ms / 1000) is None
            now += error.retry_after_ms / 1000
            passed.append(now)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - start) * per_second + 1e-4
