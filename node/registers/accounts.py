"""Accounts in registers: the chain of each is one, and so is each handle, with all that looks like it.

A change is one more operation on the chain. Who may make it is decided by the chain as the register holds
it, at the moment in which it is appended, so two devices cannot revoke each other. Its request id is the
operation's hash: the same operation is appended once, however often it is asked for.

A handle is claimed before the chain names it, and released after the chain has ceased to; see
`protocol.accounts.claim` for what that is safe from.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from folkmoot.protocol import limits
from folkmoot.protocol.accounts.actions import Close, SetHandle
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.claim import Bearing, Claim, bearing, check_room, lapse, release, take
from folkmoot.protocol.accounts.handle import register_name
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.consensus.value import Make, Value
from folkmoot.protocol.errors import CONFLICT, NO_QUORUM, WireError

ACCOUNT: Final = "account/"
_CLAIMS_MAX: Final = 3


class Registers(Protocol):
    """See `actors.registrar`."""

    async def change(
        self, name: str, make: Make, request: bytes | None = None, *, terminal: bool = False
    ) -> Value | None: ...

    async def read(self, name: str) -> Value | None: ...

    async def rewrite(self, name: str) -> Value | None: ...


def account_register(account: bytes) -> str:
    """The name of an account's register."""
    return f"{ACCOUNT}{account.hex()}"


class AccountRegisters:
    """See the module.

    Args:
        registers: reads and changes them.
        now_us: the wall clock, microseconds since 1970.
    """

    def __init__(self, registers: Registers, now_us: Callable[[], int]) -> None:
        self._registers = registers
        self._now_us = now_us

    async def read(self, account: bytes) -> Chain:
        """The chain of an account, as it is now.

        Raises:
            WireError: `no_quorum`.
        """
        return _chain_of(account, await self._registers.read(account_register(account)))

    async def change(self, operation: Operation, *, trusted: bool = False) -> Chain:
        """Append an operation, whose signature was verified, unless it has been; the chain as it is then.

        Args:
            operation: the next one of its account.
            trusted: whether the account may give up as many handles as it likes.

        Raises:
            WireError: see `Account.after`; `conflict`, when the handle is another's; `no_quorum`;
                `uncertain`.
        """
        for _ in range(_CLAIMS_MAX):
            try:
                after = await self._append(operation, await self._prepare(operation, trusted))
                break
            except _TooLate:
                continue
        else:
            raise WireError(NO_QUORUM, "handles are claimed too slowly now; ask again", retry_after_ms=1_000)
        await self._release_former(operation, after)
        return after

    async def _prepare(self, operation: Operation, trusted: bool) -> Claim | None:
        """See that an operation could be appended, and claim what it needs; None when it needs nothing.

        Raises:
            WireError: see `change`.
        """
        account, action = operation.account, operation.action
        before = await self.read(account)
        if before.holds(operation):
            return None
        before.state.after(operation)  # nothing is claimed for what could not be appended
        if isinstance(action, SetHandle) and action.handle is not None:
            if not trusted:
                check_room(before, action.handle, self._now_us())
            return await self._claim(action.handle, account, operation.number)
        return None

    async def _append(self, operation: Operation, claimed: Claim | None) -> Chain:
        """Have an operation be part of its account's chain; the chain as it is then.

        Raises:
            _TooLate: its claim has to be made again.
            WireError: see `change`.
        """
        account = operation.account

        def make(value: Value | None) -> bytes | None:
            present = _chain_of(account, value)
            if present.holds(operation):
                return None
            now_us = self._now_us()
            if claimed is not None and not claimed.is_timely(now_us):
                raise _TooLate(CONFLICT, "the claim on the handle is too old")
            return present.followed_by(operation, now_us).encode()

        request = operation.hash[: limits.REQUEST_ID_BYTES]
        ends = isinstance(operation.action, Close)
        value = await self._registers.change(account_register(account), make, request, terminal=ends)
        return _chain_of(account, value)

    async def _claim(self, handle: str, account: bytes, number: int) -> Claim:
        """Claim a handle for an account's operation of a number.

        Raises:
            WireError: `conflict`, when it is taken or in quarantine; `no_quorum`; `uncertain`.
        """
        name = register_name(handle)
        held = _claim_of(await self._registers.read(name))
        found: Bearing | None = None
        if held is not None and held.account != account and held.released_us is None:
            asked_us = self._now_us()
            chain = _chain_of(held.account, await self._registers.rewrite(account_register(held.account)))
            found = bearing(held, chain.state, [entry.operation for entry in chain.entries], asked_us)
            await self._change_claim(name, partial(lapse, found=found, now_us=asked_us))

        def taken(present: Claim | None) -> Claim:
            return take(present, account, handle, number, self._now_us(), found)

        claimed = await self._change_claim(name, taken)
        assert claimed is not None, "what was claimed is there"
        return claimed

    async def _release_former(self, operation: Operation, chain: Chain) -> None:
        """Begin the quarantine of the handle that an account had before an operation, if it gave it up.

        Raises:
            WireError: `no_quorum`, `uncertain`; asking for the operation again does the rest.
        """
        account, number = operation.account, operation.number
        before, after = (Chain(account, chain.entries[:end]).state.handle for end in (number - 1, number))
        if before is None or (after is not None and register_name(after) == register_name(before)):
            return
        now_us = self._now_us()
        await self._change_claim(
            register_name(before), partial(release, account=account, number=number, now_us=now_us)
        )

    async def _change_claim(self, name: str, change: Callable[[Claim | None], Claim | None]) -> Claim | None:
        """Change what the register of a handle holds; what it holds then."""

        def make(value: Value | None) -> bytes | None:
            present = _claim_of(value)
            following = change(present)
            return None if following is None or following == present else following.to_bytes()

        return _claim_of(await self._registers.change(name, make))


class _TooLate(WireError):
    """The claim that an operation rests on has to be made again."""


def _chain_of(account: bytes, value: Value | None) -> Chain:
    return Chain(account) if value is None else Chain.decode(account, value.body)


def _claim_of(value: Value | None) -> Claim | None:
    return None if value is None else Claim.from_bytes(value.body)
