"""Claims: what the register of a handle holds, and what may become of it.

Who has a handle is said by two registers, which cannot be changed at once: the account's chain names the
handle, and the handle's register names the account. So a handle is had in three steps.

1. *Claim*: the handle's register is changed to name the account, for the operation of a number (`take`).
2. That operation is appended to the account's chain, while the claim is *timely*: whoever appends it asks at
   every attempt, and claims again when it is not.
3. The handle had before is released, for the same number (`release`): its quarantine begins.

A handle is an account's when both say so. A register names one account, so at most one has the handle. Steps
may break off anywhere, and another account may want the handle at any time:

- A claim that was not followed by its operation is *stale* once the chain has another operation of that
  number, or long after it was timely. Whoever wants the handle notes the time, has the chain's register
  *rewritten* as it is, and takes the handle over. To rewrite it is an attempt with a ballot of its own, so no
  earlier attempt comes through any more (which merely asking the seats does not see to), and one that begins
  later finds that its claim is not timely. So two chains never name one handle, as long as clocks differ by
  less than nine minutes. If they differ by more, the chain that the handle's register does not name is not
  believed.
- A stale claim whose handle the chain named once was in force, and was not released: its quarantine begins
  when that is found (`lapse`).
- What is late (a release, or a claim, after which the account went on) finds a greater number, and changes
  nothing.

What an account gives up is kept from everybody else for a while. So it may not have given up too many lately
when it takes another (`check_room`), or one account could keep all handles there are from being had.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final, NamedTuple, Self

import msgspec
from folkmoot.protocol import codec, limits
from folkmoot.protocol.accounts.actions import SetHandle
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.handle import check_handle, read_handle, register_name
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, WireError
from folkmoot.protocol.identity import is_account

_QUARANTINE_US: Final = int(limits.HANDLE_QUARANTINE_S * 1e6)
_QUARANTINE_DAYS: Final = f"{limits.HANDLE_QUARANTINE_S / 86400:.0f} days"
_STALE_US: Final = int(limits.HANDLE_CLAIM_STALE_S * 1e6)
_TIMELY_US: Final = int(limits.HANDLE_OPERATION_S * 1e6)


class _Body(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """The claim's map, its keys in canonical order."""

    account: bytes
    claimed_us: int
    handle: str
    number: int
    released_us: int | None = None


class Claim(NamedTuple):
    """What the register of a handle holds. Times are microseconds since 1970, by the clock of who wrote them.

    Args:
        account: whose claim it is (34 bytes).
        handle: as it is shown; others that look like it have the same register.
        number: of the operation the claim was made for; of a released one, the account's newest one then.
        claimed_us: when it was made.
        released_us: when it was released; None while it is not.
    """

    account: bytes
    handle: str
    number: int
    claimed_us: int
    released_us: int | None = None

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` made.

        Raises:
            WireError: it is no claim.
        """
        body = codec.shaped(codec.decode_canonical(data), _Body, "a claim")
        if not is_account(body.account):
            raise WireError(BAD_REQUEST, "a claim names what is no account id of 34 bytes")
        if not 0 <= body.number <= limits.ACCOUNT_OPERATIONS:
            raise WireError(BAD_REQUEST, f"a claim for operation {body.number}")
        if not all(0 <= time <= limits.STAMP_MAX for time in (body.claimed_us, body.released_us or 0)):
            raise WireError(BAD_REQUEST, "a claim has a time that is out of range")
        return cls(body.account, read_handle(body.handle), body.number, body.claimed_us, body.released_us)

    def to_bytes(self) -> bytes:
        """As canonical MessagePack: a map of its fields, `released_us` absent while it is not released."""
        fields: dict[str, Any] = self._asdict()
        if self.released_us is None:
            del fields["released_us"]
        return codec.encode_canonical(fields)

    @property
    def free_at_us(self) -> int | None:
        """When other accounts may have the handle; None while it is not released."""
        return None if self.released_us is None else self.released_us + _QUARANTINE_US

    def is_timely(self, now_us: int) -> bool:
        """Whether the operation it was made for may still be appended."""
        return self.released_us is None and abs(now_us - self.claimed_us) < _TIMELY_US


class Bearing(NamedTuple):
    """What the chain of a claim's account said about the claim.

    Args:
        claim: that was looked at.
        number: of the chain's newest operation.
        names: whether the account is called so.
        named: whether it ever was, as far as the chain goes.
        stale: whether the claim's operation is not there, and can no longer come.
    """

    claim: Claim
    number: int
    names: bool
    named: bool
    stale: bool


def bearing(claim: Claim, state: Account, operations: Iterable[Operation], asked_us: int) -> Bearing:
    """Whether the chain of a claim's account bears it out.

    Args:
        claim: as the handle's register holds it, unreleased.
        state, operations: the chain of the claim's account, rewritten as it was, after the claim was read;
            and what it makes of the account.
        asked_us: the time *before* the chain was read. By the time after it, an operation could have been
            appended in between that was still timely.
    """
    name = register_name(claim.handle)
    handles = {each.action.handle for each in operations if isinstance(each.action, SetHandle)}
    names = state.handle is not None and register_name(state.handle) == name
    return Bearing(
        claim,
        state.number,
        names,
        any(handle is not None and register_name(handle) == name for handle in handles),
        not names and (state.number >= claim.number or abs(asked_us - claim.claimed_us) >= _STALE_US),
    )


def check_room(chain: Chain, handle: str, now_us: int) -> None:
    """See that an account which takes a handle has not given up too many lately.

    Args:
        chain: of the account, as it is.
        handle: what it wants to be called. One that it gave up itself and takes back is none given up.
        now_us: microseconds since 1970.

    Raises:
        WireError: `conflict`, with `handle`, `given_up` and `free_at_us` in its details: how many are in
            quarantine, the present one among them, and when another can be taken.
    """
    free_at = _given_up(chain, register_name(handle), now_us)
    over = len(free_at) - limits.HANDLES_GIVEN_UP
    if over <= 0:
        return
    free_at_us = sorted(free_at)[over - 1]
    raise WireError(
        CONFLICT,
        f"{handle!r} would be one handle too many: those that an account gives up are kept from others for "
        f"{_QUARANTINE_DAYS}, {limits.HANDLES_GIVEN_UP} of them at most; take one of them back, or ask again "
        f"{_in_days(free_at_us - now_us)}",
        details={"handle": handle, "given_up": len(free_at), "free_at_us": free_at_us},
    )


def _given_up(chain: Chain, coming: str, now_us: int) -> list[int]:
    """When those registers of an account are free whose handles it will have given up by taking another."""
    called = [
        (None if action.handle is None else register_name(action.handle), decided_us)
        for action, decided_us in ((entry.operation.action, entry.decided_us) for entry in chain.entries)
        if isinstance(action, SetHandle)
    ]
    free_at: dict[str | None, int] = {}
    for (former, _), (name, at_us) in pairwise([*called, (coming, now_us)]):
        free_at.pop(name, None)
        if former not in (None, name):
            free_at[former] = at_us + _QUARANTINE_US
    return [at_us for at_us in free_at.values() if at_us > now_us]


def take(
    present: Claim | None,
    account: bytes,
    handle: str,
    number: int,
    now_us: int,
    found: Bearing | None = None,
) -> Claim:
    """The claim of an account on a handle, to be what its register holds next.

    Args:
        present: what it holds.
        account: who wants the handle; its chain must be ready for the operation.
        handle: in its form.
        number: of the operation that is to name it.
        now_us: microseconds since 1970.
        found: what was found about `present`, where that is an unreleased claim of another account.

    Raises:
        WireError: `conflict`, with `handle` in its details: another account has one that looks like it
            (`taken`), or had one and the quarantine is not over (`free_at_us`); `bad_request`, when it is
            reserved.
    """
    taken = Claim(account, handle, number, now_us)
    if present is not None and present.account == account:
        if number < present.number + (present.released_us is not None):
            raise WireError(
                CONFLICT,
                f"operation {number} is too late: {handle!r} was claimed or given up by a later one",
                details={"handle": handle},
            )
        return taken
    check_handle(handle)
    if present is None:
        return taken
    if (free_at_us := present.free_at_us) is not None:
        if now_us >= free_at_us:
            return taken
        raise _in_quarantine(handle, present.handle, free_at_us, now_us)
    if found is None or found.claim != present or not found.stale:
        alike = "is" if handle == present.handle else f"could be taken for {present.handle!r}, which is"
        raise WireError(
            CONFLICT,
            f"{handle!r} {alike} another account's: choose another",
            details={"handle": handle, "taken": present.handle},
        )
    if found.named:
        raise _in_quarantine(handle, present.handle, now_us + _QUARANTINE_US, now_us)
    return taken


def release(present: Claim | None, account: bytes, number: int, now_us: int) -> Claim | None:
    """What the register of a handle holds once an account has given it up.

    Args:
        present: what it holds.
        account: whose chain does not name the handle any more.
        number: of the operation since which it does not.
        now_us: microseconds since 1970; the quarantine begins.

    Returns:
        `present` where there is nothing to release: it was done, or the account has claimed it back since.
    """
    if (
        present is None
        or present.account != account
        or present.released_us is not None
        or present.number >= number
    ):
        return present
    return present._replace(number=number, released_us=now_us)


def lapse(present: Claim | None, found: Bearing, now_us: int) -> Claim | None:
    """What the register holds once a stale claim was found whose handle had been in force.

    Args:
        present: what it holds.
        found: about which claim.
        now_us: microseconds since 1970; the quarantine begins.

    Returns:
        `present` where the claim was not so, or is another by now.
    """
    if present != found.claim or not found.stale or not found.named:
        return present
    return found.claim._replace(number=found.number, released_us=now_us)


def _in_quarantine(handle: str, former: str, free_at_us: int, now_us: int) -> WireError:
    given_up = "was" if handle == former else f"could be taken for {former!r}, which was"
    return WireError(
        CONFLICT,
        f"{handle!r} {given_up} given up lately, and is free for others {_QUARANTINE_DAYS} after that: "
        f"choose another, or ask again {_in_days(free_at_us - now_us)}",
        details={"handle": handle, "free_at_us": free_at_us},
    )


def _in_days(wait_us: int) -> str:
    days = -(-wait_us // int(86_400 * 1e6))
    return "in a day" if days == 1 else f"in {days} days"
