"""What is still to be done to an account, given what it is: one function a command.

Each takes the account as it is now and says which action is left; None when the effect is there already, so
that a command can be repeated. What would make no sense, or could not be undone, is said instead.
"""

from __future__ import annotations

from folkmoot.cli.errors import OperatorError
from folkmoot.protocol.accounts.actions import (
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
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.identity import account_from_text, account_to_text


def creation(state: Account, recovery: bytes | None) -> Action | None:
    """Begin the chain with this recovery key, or with none."""
    if not state.created:
        return Create(recovery)
    if state.recovery == recovery:
        return None
    held = "no recovery key" if state.recovery is None else "another recovery key"
    raise OperatorError(
        f"the account was created already, with {held}", hint=f"folkmoot user show {_name(state)} --history"
    )


def addition(state: Account, key: bytes, title: str) -> Action | None:
    """Let a device's key sign."""
    _require_created(state)
    if _signs(state, key):
        return None
    _require_unused(state, key)
    return AddKey(key, title)


def revocation(state: Account, key: bytes, reason: str) -> Action | None:
    """Let a device's key sign no more."""
    _require_created(state)
    held = state.keys.get(key)
    if held is None:
        raise OperatorError(
            f"{account_to_text(key)} is none of the account's keys",
            hint=f"folkmoot user keys list {_name(state)}",
        )
    if held.revoked is not None:
        return None
    if state.recovery is None and state.signing_keys() == (key,):
        raise OperatorError(
            "that is the only key that can sign, and there is no recovery key: nobody could use the account "
            "again",
            hint="folkmoot user keys add, or folkmoot user close",
        )
    return RevokeKey(key, reason)


def rotation(state: Account, old: bytes, new: bytes, title: str) -> Action | None:
    """Put a key in the place of another; it keeps the device's name if it gets no other."""
    _require_created(state)
    held = state.keys.get(old)
    if held is None:
        raise OperatorError(
            "the old key is none of the account's", hint=f"folkmoot user keys list {_name(state)}"
        )
    if held.revoked is not None and _signs(state, new):
        return None
    _require_unused(state, new)
    return RotateKey(old, new, title or held.title)


def recovering(state: Account, keys: tuple[bytes, ...], recovery: bytes | None) -> Action | None:
    """Start with these keys instead of all others.

    Args:
        state: see the module.
        keys: those that may sign from now on.
        recovery: the next recovery key; None to keep the one there is.
    """
    if state.recovery is None:
        raise OperatorError(
            "the account has no recovery key: it can never be recovered",
            hint=f"folkmoot user show {_name(state)}",
        )
    if set(state.signing_keys()) == set(keys) and recovery in (None, state.recovery):
        return None
    for key in keys:
        _require_unused(state, key)
    return Recover(keys, recovery)


def next_recovery(state: Account, recovery: bytes) -> Action | None:
    """Keep another recovery key."""
    return None if state.recovery == recovery else SetRecovery(recovery)


def naming(state: Account, handle: str | None) -> Action | None:
    """Be called by a handle, or by none."""
    if state.handle == handle:
        return None
    _require_created(state)
    return SetHandle(handle)


def closing(state: Account, reason: str) -> Action | None:
    """End the account."""
    if state.closed:
        return None
    _require_created(state)
    return Close(reason)


def suspension(state: Account, reason: str) -> Action | None:
    """Let nobody sign for it."""
    return None if state.suspended else Suspend(reason)


def restoration(state: Account, reason: str) -> Action | None:
    """Undo a suspension."""
    return Restore(reason) if state.suspended else None


def key_called(state: Account, named: str) -> bytes:
    """The key a person means: `did:key:…`, or the name of a device that may sign.

    Raises:
        OperatorError: there is none, or several have the name.
        WireError: it begins as a key does, and is none.
    """
    if named.startswith("did:key:"):
        return account_from_text(named)
    found = [each.key for each in state.keys.values() if each.title == named]
    valid = [key for key in found if state.keys[key].revoked is None] or found
    if len(valid) == 1:
        return valid[0]
    problem = "several devices are" if valid else "no device of the account is"
    raise OperatorError(f"{problem} called {named}", hint=f"folkmoot user keys list {_name(state)}")


def _require_created(state: Account) -> None:
    if not state.created:
        raise OperatorError(
            "the account has its first key only, and was not created in this cluster yet",
            hint="folkmoot user create KEYFILE --recovery RECOVERYFILE",
        )


def _require_unused(state: Account, key: bytes) -> None:
    held = state.keys.get(key)
    if key == state.recovery:
        raise OperatorError("that is the account's recovery key, which cannot be a device's")
    if held is not None:
        state_of = "can sign already" if held.revoked is None else "was revoked, and never signs again"
        raise OperatorError(
            f"{account_to_text(key)} {state_of}", hint="folkmoot user keys add, with a new file"
        )


def _signs(state: Account, key: bytes) -> bool:
    held = state.keys.get(key)
    return held is not None and held.revoked is None


def _name(state: Account) -> str:
    return account_to_text(state.id)
