"""Accounts in registers: the chain of each is one, and so is each handle, with all that looks like it.

A change is one more operation on the chain. Who may make it is decided by the chain as the register holds
it, at the moment in which it is appended, so two devices cannot revoke each other. Its request id is the
operation's hash: the same operation is appended once, however often it is asked for.

A handle is reserved before the chain names it, and given up after the chain has ceased to. Whatever breaks
off in between leaves a claim that no chain bears out, which whoever wants the handle finds stale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from folkmoot.protocol import limits
from folkmoot.protocol.accounts import claim
from folkmoot.protocol.accounts.actions import Close, SetHandle
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.claim import Claim
from folkmoot.protocol.accounts.handle import register_name
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.consensus.value import Make, Value

ACCOUNT: Final = "account/"


class Registers(Protocol):
    """See `actors.registrar`."""

    async def change(
        self, name: str, make: Make, request: bytes | None = None, *, terminal: bool = False
    ) -> Value | None: ...

    async def read(self, name: str) -> Value | None: ...


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

    async def change(self, operation: Operation) -> Chain:
        """Append an operation, whose signature was verified, unless it has been; the chain as it is then.

        Raises:
            WireError: see `Account.after`; `conflict`, when the handle is another's; `no_quorum`;
                `uncertain`.
        """
        account = operation.account
        before = await self.read(account)
        if not before.holds(operation):
            before.state.after(operation)  # nothing is reserved for what could not be appended
            if isinstance(operation.action, SetHandle) and operation.action.handle is not None:
                await self._claim(operation.action.handle, account)

        def make(value: Value | None) -> bytes | None:
            present = _chain_of(account, value)
            if present.holds(operation):
                return None
            return present.followed_by(operation, self._now_us()).encode()

        value = await self._registers.change(
            account_register(account),
            make,
            operation.hash[: limits.REQUEST_ID_BYTES],
            terminal=isinstance(operation.action, Close),
        )
        after = _chain_of(account, value)
        await self._give_up_former(after)
        return after

    async def _claim(self, handle: str, account: bytes) -> None:
        """Reserve a handle for an account.

        Raises:
            WireError: `conflict`, when it is taken or in quarantine; `no_quorum`; `uncertain`.
        """
        name = register_name(handle)
        held = _claim_of(await self._registers.read(name))
        is_borne_out = held is not None and held.account != account and await self._bears_out(held)

        def make(value: Value | None) -> bytes | None:
            present = _claim_of(value)
            taken = claim.take(
                present,
                account,
                handle,
                self._now_us(),
                # What was looked up is about `held`; whoever claimed it since has just done so.
                borne_out=is_borne_out or present != held,
            )
            return None if taken == present else taken.encode()

        await self._registers.change(name, make)

    async def _bears_out(self, held: Claim) -> bool:
        """Whether the chain of who claimed a handle names it."""
        named = (await self.read(held.account)).state.handle
        return named is not None and register_name(named) == register_name(held.handle)

    async def _give_up_former(self, chain: Chain) -> None:
        """Begin the quarantine of the handle the account had before its newest operation.

        Raises:
            WireError: `no_quorum`, `uncertain`; asking for the operation again does the rest.
        """
        former = Chain(chain.account, chain.entries[:-1]).state.handle
        present = chain.state.handle
        if former is None or (present is not None and register_name(present) == register_name(former)):
            return

        def make(value: Value | None) -> bytes | None:
            held = _claim_of(value)
            if held is None or held.account != chain.account:
                return None
            released = claim.release(held, self._now_us())
            return None if released == held else released.encode()

        await self._registers.change(register_name(former), make)


def _chain_of(account: bytes, value: Value | None) -> Chain:
    return Chain(account) if value is None else Chain.decode(account, value.body)


def _claim_of(value: Value | None) -> Claim | None:
    return None if value is None else Claim.decode(value.body)
