"""Quotas: how many records an account and an address may put, by token buckets.

A bucket holds at most `burst` tokens and gains `rate` a second. An address pays for every record whose
signature is checked, and before it is: a forged one is as much work. An account pays for records that changed
something, once that is known: its public records are anyone's to send again, and must not use up what it may
write itself. Until then a token is set aside, for what is verified and within what came from the same
address, so that neither a batch nor many at once get past an empty bucket. What several addresses bring at
once may exceed it; the account owes that, and waits the longer.

What is held takes up people's time, of which there is least. So a record that comes to wait for review costs
its account and its address as much as `HELD_COSTS` others.

Buckets are kept as the generic cell rate algorithm keeps them, one number each: the instant at which the
bucket will be full again (ITU-T I.371, annex A). Only so many buckets are remembered; the least recently used
one is forgotten, which is to say full.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from cachetools import LRUCache
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.protocol.errors import RATE_LIMITED, WireError
from folkmoot.protocol.limits import QUOTA_BUCKETS
from folkmoot.protocol.moderation.bounds import HELD_COSTS

# Who waits exactly as long as told must not be turned away again for a rounding error.
_ROUNDING_S: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Rate:
    """What one sort of bucket allows.

    Args:
        per_second: records a second in the long run, more than 0.
        burst: records at once, at least 1.
    """

    per_second: float
    burst: int

    def __post_init__(self) -> None:
        if self.per_second <= 0 or self.burst < 1:
            raise ValueError(f"a rate allows something: {self}")


@dataclass(frozen=True, slots=True)
class QuotaRates:
    """The rates of accounts and of addresses, and at which an address may change accounts."""

    account: Rate
    address: Rate
    change: Rate = Rate(0.2, 120)


def rates_of(gate: GateSection) -> QuotaRates:
    """The rates that a configuration asks for; there they are per minute."""
    return QuotaRates(
        Rate(gate.account_rate / 60, gate.account_burst),
        Rate(gate.address_rate / 60, gate.address_burst),
        Rate(gate.change_rate / 60, gate.change_burst),
    )


class TokenBuckets:
    """Buckets of one sort, by key.

    Args:
        rate: what each of them allows.
        buckets: how many are remembered.
    """

    def __init__(self, rate: Rate, buckets: int = QUOTA_BUCKETS) -> None:
        self._interval_s = 1.0 / rate.per_second
        # A token is there as long as the bucket would be full again within this time.
        self._slack_s = (rate.burst - 1) / rate.per_second
        self._full_at: LRUCache[bytes | str, float] = LRUCache(buckets)

    def wait_s(self, key: bytes | str, now: float, set_aside: int = 0) -> float:
        """Seconds until the bucket of `key` has a token besides those set aside; 0 when it has one."""
        full_at = max(now, self._full_at.get(key, now)) + set_aside * self._interval_s
        wait_s = full_at - now - self._slack_s
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def take(self, key: bytes | str, now: float, tokens: int = 1) -> None:
        """Take tokens from the bucket of `key`, which owes them if it has none."""
        self._full_at[key] = max(now, self._full_at.get(key, now)) + tokens * self._interval_s

    def __len__(self) -> int:
        return len(self._full_at)


class Quota:
    """The quota of one node.

    Args:
        rates: for accounts and for addresses.
        buckets: how many buckets of each sort are remembered.
    """

    def __init__(self, rates: QuotaRates, buckets: int = QUOTA_BUCKETS) -> None:
        self._accounts = TokenBuckets(rates.account, buckets)
        self._addresses = TokenBuckets(rates.address, buckets)
        self._changes = TokenBuckets(rates.change, buckets)
        self._set_aside: dict[tuple[bytes, str], int] = {}

    def look_at(self, account: bytes, address: str, now: float, before: int = 0) -> WireError | None:
        """Charge the address for having one record verified, or say why it is not worth that.

        Nothing is taken from the account, for anyone may name it; but where its bucket is empty the record
        would be turned away in the end. One that is turned away costs nothing.

        Args:
            account: its author, as it says.
            address: where it came from, without the port.
            now: monotonic seconds, never decreasing from call to call.
            before: how many records said to be of that account come before it in the same request.

        Returns:
            None, or the `rate_limited` error to answer with.
        """
        set_aside = self._set_aside.get((account, address), 0) + before
        account_wait_s = self._accounts.wait_s(account, now, set_aside)
        address_wait_s = self._addresses.wait_s(address, now)
        if account_wait_s == 0.0 and address_wait_s == 0.0:
            self._addresses.take(address, now)
            return None
        if account_wait_s >= address_wait_s:
            return _limited("account", account_wait_s)
        return _limited("address", address_wait_s)

    def admit(self, account: bytes, address: str, now: float) -> WireError | None:
        """Set a token of the account aside for a record that is proven to be its own, or say why that cannot
        be: others may have come between. What is admitted must be settled.

        Args:
            account, address, now: as for `look_at`.

        Returns:
            None, or the `rate_limited` error to answer with.
        """
        set_aside = self._set_aside.get((account, address), 0)
        wait_s = self._accounts.wait_s(account, now, set_aside)
        if wait_s > 0.0:
            return _limited("account", wait_s)
        self._set_aside[account, address] = set_aside + 1
        return None

    def hold(self, account: bytes, address: str) -> None:
        """Set aside what a record that was admitted costs more, since it is held."""
        self._set_aside[account, address] = self._set_aside.get((account, address), 0) + HELD_COSTS - 1

    def settle(self, account: bytes, address: str, now: float, *, changed: bool, held: bool = False) -> None:
        """End what `admit` began, here or in the quota that was in force then: the account pays, or not.

        Args:
            account, address, now: as for `look_at`.
            changed: whether the record changed something.
            held: whether it was held, and `hold` told so.
        """
        cost = HELD_COSTS if held else 1
        left = self._set_aside.pop((account, address), 0) - cost
        if left > 0:
            self._set_aside[account, address] = left
        if changed:
            self._accounts.take(account, now, cost)
        if changed and held:
            self._addresses.take(address, now, cost - 1)  # one was paid for its signature

    def admit_change(self, address: str, now: float) -> WireError | None:
        """Charge an address for one change of an account, or for having all seats asked about one; or say why
        it has to wait.

        Registers are kept for ever and by every seat, and anyone can make an account.

        Args:
            address, now: as for `look_at`.

        Returns:
            None, or the `rate_limited` error to answer with.
        """
        wait_s = self._changes.wait_s(address, now)
        if wait_s > 0.0:
            return _limited("address", wait_s, "requests about accounts")
        self._changes.take(address, now)
        return None

    def statistics(self) -> QuotaStatistics:
        """How many buckets are remembered now."""
        return QuotaStatistics(len(self._accounts), len(self._addresses))


def _limited(whose: str, wait_s: float, what: str = "records") -> WireError:
    wait_ms = ceil(1000 * wait_s)
    return WireError(
        RATE_LIMITED,
        f"too many {what} from this {whose}; send it again in {wait_ms} ms",
        retry_after_ms=wait_ms,
    )


@dataclass(frozen=True, slots=True)
class QuotaStatistics:
    """How many buckets are remembered, of each sort."""

    accounts: int
    addresses: int
