"""What a chain of operations makes of an account: a pure fold, the same for whoever has the chain.

An account without a chain is what its id says: one key, which may sign, and no way back when it is lost. The
first operation, `create`, is signed by that key and can name a *recovery key*, which from then on is the one
key that can undo everything the others do: it may revoke, recover and close, and nobody else may replace it.

What a key that is revoked had signed stays as it is; see `docs/guarantees.md` for what a node does with what
it signs afterwards. A key that was revoked never signs again, by whatever name it is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from folkmoot.protocol import limits
from folkmoot.protocol.accounts.actions import (
    BY_OPERATORS,
    Action,
    AddKey,
    Close,
    Create,
    Recover,
    Restore,
    RevokeKey,
    RotateKey,
    SetHandle,
    SetRecovery,
    Suspend,
)
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, FORBIDDEN, REVOKED_KEY, WireError

# How many operations must be left over after each kind, of those an account may have in its life. What a
# thief of devices can do is at an end before what undoes it; whoever was suspended can be restored.
_KEPT: Final[Mapping[type[Action], int]] = {
    Close: 0,
    Recover: 1,
    Restore: 8,
    Suspend: 9,
    RevokeKey: 16,
}
RESERVED: Final = 32  # for all of these together


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """One key that may sign, or once might.

    Args:
        key: in account id form.
        title: what a person calls the device.
        added: the number of the operation since which it may; 0 for the account's first key.
        revoked: the number of the operation since which it may not; None while it may.
    """

    key: bytes
    title: str = ""
    added: int = 0
    revoked: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """What an account is after some operations.

    Args:
        id: 34 bytes.
        keys: every key that ever could sign, by itself.
        number: of the newest operation; 0 when there is none.
        head: its hash; None when there is none.
        recovery: the recovery key, if there is one.
        handle: what the account calls itself.
        created: whether its own keys have begun the chain; operators may have, before them.
        suspended, closed: whether nobody may sign for it for now, or ever again.
    """

    id: bytes
    keys: Mapping[bytes, DeviceKey] = field(default_factory=dict)
    number: int = 0
    head: bytes | None = None
    recovery: bytes | None = None
    handle: str | None = None
    created: bool = False
    suspended: bool = False
    closed: bool = False

    @classmethod
    def plain(cls, account: bytes) -> Account:
        """An account of which nothing is known but its id."""
        return cls(account, {account: DeviceKey(account)})

    def may_sign(self, key: bytes) -> bool:
        """Whether what `key` signs today is the account's word."""
        held = self.keys.get(key)
        return held is not None and held.revoked is None and not self.suspended and not self.closed

    def signing_keys(self) -> tuple[bytes, ...]:
        """The keys that are not revoked, oldest first."""
        return tuple(held.key for held in self.keys.values() if held.revoked is None)

    def after(self, operation: Operation) -> Account:
        """What the account is after one more operation, whose signature holds.

        Raises:
            WireError: `conflict`, when it does not follow the newest one; `revoked_key` or `forbidden`, when
                its signer may not do that; `bad_request`, when it can be done to no such account.
        """
        if operation.account != self.id:
            raise WireError(BAD_REQUEST, "the operation is on another account")
        if operation.number != self.number + 1 or operation.previous != self.head:
            raise WireError(
                CONFLICT,
                f"operation {operation.number} does not follow this account's newest, which is number "
                f"{self.number}: read the account, and sign again",
                details={"number": self.number, "head": self.head},
            )
        if self.closed:
            raise WireError(CONFLICT, "the account is closed; nothing follows that")
        self._check_room(operation.action)
        self._check_signer(operation.signer, operation.action)
        done = self._done(operation.action, operation.number)
        if not done.closed and done.recovery is None and not done.signing_keys():
            raise WireError(
                BAD_REQUEST,
                "that would leave no key that can sign, and there is no recovery key: add another key first",
            )
        return replace(done, number=operation.number, head=operation.hash)

    def _check_room(self, action: Action) -> None:
        left = limits.ACCOUNT_OPERATIONS - self.number - 1
        if left < _KEPT.get(type(action), RESERVED):
            raise WireError(
                CONFLICT,
                f"the account has had {self.number} operations of {limits.ACCOUNT_OPERATIONS}; what is left "
                "is for revoking keys, recovering and closing",
            )

    def _check_signer(self, signer: bytes, action: Action) -> None:
        if isinstance(action, BY_OPERATORS):
            return  # who is an operator is not in the chain: whoever decides the operation asks
        if isinstance(action, Create):
            allowed = signer == self.id and self.may_sign(signer)
        elif isinstance(action, Recover | SetRecovery):
            allowed = self.recovery is not None and signer == self.recovery
        elif isinstance(action, RevokeKey | Close) and self.recovery is not None and signer == self.recovery:
            allowed = True
        else:
            allowed = self.may_sign(signer)
        if allowed:
            return
        held = self.keys.get(signer)
        if held is not None and held.revoked is not None:
            raise WireError(REVOKED_KEY, f"the key that signed {action.name} was revoked")
        if isinstance(action, Recover | SetRecovery) and self.recovery is None:
            raise WireError(FORBIDDEN, "the account has no recovery key, and can never be recovered")
        if self.suspended and held is not None:
            raise WireError(
                FORBIDDEN, "the account is suspended: its keys can do nothing until it is restored"
            )
        raise WireError(FORBIDDEN, f"the key that signed {action.name} may not do that")

    def _done(self, action: Action, number: int) -> Account:
        match action:
            case Create(recovery):
                self._check_recovery(recovery, ())
                if self.created:
                    raise WireError(CONFLICT, "the account was created already")
                return replace(self, recovery=recovery, created=True)
            case _ if not self.created and not isinstance(action, BY_OPERATORS):
                raise WireError(BAD_REQUEST, "an account's first operation is create")
            case AddKey(key, title):
                return replace(self, keys=self._with([(key, title)], number))
            case RevokeKey(key):
                return replace(self, keys=self._without([key], number))
            case RotateKey(old, new, title):
                left = replace(self, keys=self._without([old], number))
                return replace(left, keys=left._with([(new, title)], number))
            case Recover(coming, recovery):
                self._check_recovery(recovery, coming)
                left = replace(self, keys=self._without(self.signing_keys(), number))
                return replace(
                    left,
                    keys=left._with([(key, "") for key in coming], number),
                    recovery=recovery or self.recovery,
                )
            case SetRecovery(recovery):
                self._check_recovery(recovery, ())
                return replace(self, recovery=recovery)
            case SetHandle(handle):
                return replace(self, handle=handle)
            case Suspend() | Restore():
                suspended = isinstance(action, Suspend)
                if suspended == self.suspended:
                    state = "suspended already" if suspended else "not suspended"
                    raise WireError(CONFLICT, f"the account is {state}")
                return replace(self, suspended=suspended)
            case Close():
                return replace(
                    self, keys=self._without(self.signing_keys(), number), handle=None, closed=True
                )
        raise AssertionError(f"an action that nothing is done for: {action}")

    def _with(self, added: Iterable[tuple[bytes, str]], number: int) -> dict[bytes, DeviceKey]:
        keys = dict(self.keys)
        for key, title in added:
            if key in keys:
                state = "is one of them already" if keys[key].revoked is None else "was revoked, for ever"
                raise WireError(CONFLICT, f"of the account's keys the new one {state}")
            if key == self.recovery:
                raise WireError(BAD_REQUEST, "the recovery key signs recoveries, and cannot be a device's")
            keys[key] = DeviceKey(key, title, added=number)
        if sum(held.revoked is None for held in keys.values()) > limits.CELL_DEVICES:
            raise WireError(
                BAD_REQUEST, f"an account has at most {limits.CELL_DEVICES} keys; revoke one first"
            )
        return keys

    def _without(self, revoked: Iterable[bytes], number: int) -> dict[bytes, DeviceKey]:
        keys = dict(self.keys)
        for key in revoked:
            held = keys.get(key)
            if held is None or held.revoked is not None:
                raise WireError(CONFLICT, "the key to revoke is none of the account's, or was revoked before")
            keys[key] = replace(held, revoked=number)
        return keys

    def _check_recovery(self, recovery: bytes | None, coming: Iterable[bytes]) -> None:
        if recovery is not None and (recovery in self.keys or recovery in coming):
            raise WireError(BAD_REQUEST, "the recovery key must be a key of its own, kept apart from devices")


def fold(account: bytes, operations: Iterable[Operation]) -> Account:
    """What a chain makes of an account; each signature is verified.

    Raises:
        WireError: as `Operation.verify` and `Account.after`, naming the operation.
    """
    state = Account.plain(account)
    for operation in operations:
        operation.verify()
        state = state.after(operation)
    return state
