"""`account.change`, `account.get`, `account.history` and `handle.get`: what clients ask about accounts.

An operation proves itself, as a record does: whoever brings it needs no proof of their own, but for what only
operators may do. It is verified, appended to the account's register, kept here and told to all other nodes;
then it is answered. Bringing the same operation again does whatever is left of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from folkmoot.node.accounts.keys import AccountKeys, account_map
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import FeedReading
from folkmoot.node.environment import Executor
from folkmoot.node.operators import operators_only
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.accounts.actions import BY_OPERATORS, SetHandle
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.handle import check_handle, register_name
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.community.value import OPERATOR
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, FORBIDDEN, NOT_FOUND, WireError
from folkmoot.protocol.identity import is_account


class Registers(Protocol):
    """See `registers.accounts`."""

    async def read(self, account: bytes) -> Chain: ...

    async def change(self, operation: Operation, *, trusted: bool = False) -> Chain: ...


class Follower(Protocol):
    """See `actors.account_follower`."""

    async def tell(self, chain: Chain) -> None: ...


class ChangeQuota(Protocol):
    """Says how much an address may ask of the seats, and what accounts may be called."""

    def admit_change(self, address: str, now: float) -> WireError | None: ...

    def admit_handle(self, account: bytes, handle: str) -> WireError | None: ...


class AccountMethods:
    """See the module.

    Args:
        keys: what this node knows of accounts.
        registers: what is decided about them.
        follower: has all nodes know.
        feeds: reads profiles.
        reviews: whether an account (34 bytes) may decide, and so sees what is hidden.
        quota: see `ChangeQuota`.
        executor: where signatures are verified.
        now_us: the wall clock, microseconds since 1970.
        now: monotonic seconds.
    """

    def __init__(
        self,
        keys: AccountKeys,
        registers: Registers,
        follower: Follower,
        feeds: FeedReading,
        reviews: Callable[[bytes], bool],
        quota: ChangeQuota,
        executor: Executor,
        now_us: Callable[[], int],
        now: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._registers = registers
        self._follower = follower
        self._feeds = feeds
        self._reviews = reviews
        self._quota = quota
        self._executor = executor
        self._now_us = now_us
        self._now = now

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {
            "account.change": self.change,
            "account.get": self.get,
            "account.history": self.history,
            "handle.get": self.handle_get,
        }

    async def change(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Append an operation to an account's chain; what the account is then."""
        operation = Operation.from_wire(
            codec.shaped(params, messages.AccountChange, "account.change").operation
        )
        if operation.stamp > self._now_us() + limits.STAMP_AHEAD_US:
            raise WireError(
                BAD_REQUEST, "the operation's stamp is more than 5 minutes ahead: is the clock right?"
            )
        if isinstance(operation.action, BY_OPERATORS):
            operators_only(asker, f"operations that {operation.action.name} an account")
            if asker.device != operation.signer:
                raise WireError(
                    FORBIDDEN, "the operation is signed by another key than the one that proved itself"
                )
        self._pay(asker)
        handle = operation.action.handle if isinstance(operation.action, SetHandle) else None
        if handle is not None and (refusal := self._quota.admit_handle(operation.account, handle)):
            raise refusal
        await self._executor.run(operation.verify)
        chain = await self._registers.change(operation, trusted=OPERATOR in asker.roles)
        await self._follower.tell(chain)
        return account_map(chain.state)

    async def get(self, asker: Asker, params: Params) -> dict[str, Any]:
        """What an account is: its keys, handle and profile."""
        asked = codec.shaped(params, messages.AccountGet, "account.get")
        state = (await self._chain(asker, asked.account, current=asked.current)).state
        found = await self._feeds.profile(asked.account)
        whole = asker.account is not None and (asker.account == asked.account or self._reviews(asker.account))
        told = {
            **account_map(state),
            "profile": found.as_seen(whole=whole),
            "counts": {"followers": found.followers},
        }
        if whole and found.decisions:
            told["profile_decisions"] = found.decisions
        return told if found.complete else {**told, "profile_cut": True}

    async def history(self, asker: Asker, params: Params) -> dict[str, Any]:
        """The operations on an account, in order: all there can be fit a message."""
        asked = codec.shaped(params, messages.AccountHistory, "account.history")
        chain = await self._chain(asker, asked.account, current=asked.current)
        entries = chain.entries[asked.after :]
        return {
            "account": asked.account,
            "number": chain.number,
            "operations": [entry.to_wire() for entry in entries],
        }

    async def handle_get(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Who has a handle."""
        handle = check_handle(codec.shaped(params, messages.HandleGet, "handle.get").handle)
        account = self._keys.with_handle(register_name(handle), handle)
        if account is None:
            raise WireError(NOT_FOUND, f"no account has the handle {handle}")
        return {"handle": handle, "account": account}

    async def _chain(self, asker: Asker, account: bytes, *, current: bool) -> Chain:
        if not is_account(account):
            raise WireError(BAD_REQUEST, "account is not an account id of 34 bytes")
        if not current:
            return self._keys.chain(account)
        self._pay(asker)
        return await self._registers.read(account)

    def _pay(self, asker: Asker) -> None:
        """Charge an address for what costs all seats something.

        Raises:
            WireError: `rate_limited`.
        """
        if OPERATOR not in asker.roles and (error := self._quota.admit_change(asker.address, self._now())):
            raise error
