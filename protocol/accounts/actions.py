"""What can be done to an account. Who may do which of it is decided in `history`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from folkmoot.protocol import codec, limits
from folkmoot.protocol.accounts.handle import read_handle
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.identity import is_account
from msgspec import Meta, Struct

_Key = Annotated[bytes, Meta(min_length=limits.ACCOUNT_BYTES, max_length=limits.ACCOUNT_BYTES)]
_Name = Annotated[str, Meta(max_length=limits.KEY_NAME_CHARACTERS)]
_Reason = Annotated[str, Meta(max_length=limits.ACCOUNT_REASON_CHARACTERS)]


class _CreateBody(Struct, forbid_unknown_fields=True):
    recovery: _Key | None = None


class _AddKeyBody(Struct, forbid_unknown_fields=True):
    key: _Key
    name: _Name = ""


class _RevokeKeyBody(Struct, forbid_unknown_fields=True):
    key: _Key
    reason: _Reason = ""


class _RotateKeyBody(Struct, forbid_unknown_fields=True):
    new: _Key
    old: _Key
    name: _Name = ""


class _RecoverBody(Struct, forbid_unknown_fields=True):
    keys: Annotated[list[_Key], Meta(min_length=1, max_length=limits.CELL_DEVICES)]
    recovery: _Key | None = None


class _SetRecoveryBody(Struct, forbid_unknown_fields=True):
    recovery: _Key


class _SetHandleBody(Struct, forbid_unknown_fields=True):
    handle: str | None = None


class _ReasonBody(Struct, forbid_unknown_fields=True):
    reason: _Reason = ""


@dataclass(frozen=True, slots=True)
class Create:
    """Begin the chain, with the recovery key if there is to be one.

    Args:
        recovery: the public half of a key that is kept apart; it signs nothing but recoveries.
    """

    name: ClassVar[str] = "create"
    recovery: bytes | None = None

    def to_body(self) -> dict[str, Any]:
        """As signed."""
        return {} if self.recovery is None else {"recovery": self.recovery}


@dataclass(frozen=True, slots=True)
class AddKey:
    """Let another device sign.

    Args:
        key: the device's.
        title: what a person calls the device.
    """

    name: ClassVar[str] = "add_key"
    key: bytes
    title: str = ""

    def to_body(self) -> dict[str, Any]:
        """As signed."""
        return {"key": self.key} | ({"name": self.title} if self.title else {})


@dataclass(frozen=True, slots=True)
class RevokeKey:
    """Let a device sign nothing new.

    Args:
        key: the device's.
        reason: for people: lost, stolen, sold.
    """

    name: ClassVar[str] = "revoke_key"
    key: bytes
    reason: str = ""

    def to_body(self) -> dict[str, Any]:
        """As signed."""
        return {"key": self.key} | ({"reason": self.reason} if self.reason else {})


@dataclass(frozen=True, slots=True)
class RotateKey:
    """Put a new key in the place of an old one, in one step, so that no device is ever without.

    Args:
        old, new: the keys.
        title: what a person calls the device.
    """

    name: ClassVar[str] = "rotate_key"
    old: bytes
    new: bytes
    title: str = ""

    def to_body(self) -> dict[str, Any]:
        """As signed."""
        return {"new": self.new, "old": self.old} | ({"name": self.title} if self.title else {})


@dataclass(frozen=True, slots=True)
class Recover:
    """Revoke every key there is and start with others: by the recovery key alone.

    Args:
        keys: those that may sign from now on.
        recovery: the next recovery key; the same one stays without.
    """

    name: ClassVar[str] = "recover"
    keys: tuple[bytes, ...]
    recovery: bytes | None = None

    def to_body(self) -> dict[str, Any]:
        """As signed."""
        return {"keys": list(self.keys)} | ({} if self.recovery is None else {"recovery": self.recovery})


@dataclass(frozen=True, slots=True)
class SetRecovery:
    """Keep another recovery key from now on: by the present one, so that a thief of a device cannot."""

    name: ClassVar[str] = "set_recovery"
    recovery: bytes

    def to_body(self) -> dict[str, Any]:
        """As signed."""
        return {"recovery": self.recovery}


@dataclass(frozen=True, slots=True)
class SetHandle:
    """Be called by this handle; None for none. The handle's own register says who has it."""

    name: ClassVar[str] = "set_handle"
    handle: str | None

    def to_body(self) -> dict[str, Any]:
        """As signed."""
        return {} if self.handle is None else {"handle": self.handle}


@dataclass(frozen=True, slots=True)
class Close:
    """End the account: nothing follows."""

    name: ClassVar[str] = "close"
    reason: str = ""

    def to_body(self) -> dict[str, Any]:
        """As signed."""
        return {"reason": self.reason} if self.reason else {}


@dataclass(frozen=True, slots=True)
class Suspend:
    """Let nobody sign for the account until it is restored: by an operator."""

    name: ClassVar[str] = "suspend"
    reason: str = ""

    def to_body(self) -> dict[str, Any]:
        """As signed."""
        return {"reason": self.reason} if self.reason else {}


@dataclass(frozen=True, slots=True)
class Restore:
    """Undo a suspension: by an operator."""

    name: ClassVar[str] = "restore"
    reason: str = ""

    def to_body(self) -> dict[str, Any]:
        """As signed."""
        return {"reason": self.reason} if self.reason else {}


Action: TypeAlias = (
    Create | AddKey | RevokeKey | RotateKey | Recover | SetRecovery | SetHandle | Close | Suspend | Restore
)

BY_OPERATORS: Final = (Suspend, Restore)


def read_action(name: str, body: dict[str, Any]) -> Action:
    """The action of that name.

    Raises:
        WireError: `bad_request`: there is none, or its body is not one.
    """
    action = _read(name, body)
    for key in _keys_of(action):
        if not is_account(key):
            raise WireError(BAD_REQUEST, f"{name} names what is no Ed25519 key of 34 bytes")
    return action


def _read(name: str, body: dict[str, Any]) -> Action:
    what = f"the body of {name[:40]}"
    match name:
        case Create.name:
            return Create(codec.shaped(body, _CreateBody, what).recovery)
        case AddKey.name:
            added = codec.shaped(body, _AddKeyBody, what)
            return AddKey(added.key, added.name)
        case RevokeKey.name:
            revoked = codec.shaped(body, _RevokeKeyBody, what)
            return RevokeKey(revoked.key, revoked.reason)
        case RotateKey.name:
            rotated = codec.shaped(body, _RotateKeyBody, what)
            return RotateKey(rotated.old, rotated.new, rotated.name)
        case Recover.name:
            recovered = codec.shaped(body, _RecoverBody, what)
            return Recover(tuple(recovered.keys), recovered.recovery)
        case SetRecovery.name:
            return SetRecovery(codec.shaped(body, _SetRecoveryBody, what).recovery)
        case SetHandle.name:
            handle = codec.shaped(body, _SetHandleBody, what).handle
            return SetHandle(None if handle is None else read_handle(handle))
        case Close.name:
            return Close(codec.shaped(body, _ReasonBody, what).reason)
        case Suspend.name:
            return Suspend(codec.shaped(body, _ReasonBody, what).reason)
        case Restore.name:
            return Restore(codec.shaped(body, _ReasonBody, what).reason)
    raise WireError(BAD_REQUEST, f"{name[:40]!r} is nothing that can be done to an account")


def _keys_of(action: Action) -> tuple[bytes, ...]:
    match action:
        case Create(recovery):
            return () if recovery is None else (recovery,)
        case AddKey(key) | RevokeKey(key):
            return (key,)
        case RotateKey(old, new):
            return old, new
        case Recover(keys, recovery):
            return keys if recovery is None else (*keys, recovery)
        case SetRecovery(recovery):
            return (recovery,)
    return ()
