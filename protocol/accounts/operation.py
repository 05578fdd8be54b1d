"""One change of an account, signed by a key that may make it.

An operation names the account, its number in the account's chain (from 1) and the SHA-256 of the one before,
so that whoever has a chain can tell that nothing was left out, put in or reordered, without asking anybody.
Its payload is canonical MessagePack, as a record's is, and is kept and handed on exactly as it came.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, Self

import msgspec
from folkmoot.protocol import codec, limits
from folkmoot.protocol.accounts.actions import Action, read_action
from folkmoot.protocol.errors import BAD_REQUEST, BAD_SIGNATURE, TOO_LARGE, WireError
from folkmoot.protocol.identity import KeyPair, is_account, verify

VERSION: Final = 1
SIGNED_PREFIX: Final = b"folkmoot-account-v1\x00"
HASH_BYTES: Final = 32


class _Payload(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """The payload's map, its keys in canonical order."""

    account: bytes
    action: str
    body: dict[str, Any]
    number: int
    stamp: int
    version: int
    previous: bytes | None = None
    signer: bytes | None = None


class Operation:
    """One signed change, read and checked for form.

    Attributes:
        payload: the signed bytes, as received.
        signature: 64 bytes; not yet verified by reading.
        account: whose (34 bytes).
        number: its place in the account's chain, from 1.
        previous: the hash of the operation before; None for the first.
        signer: the key that signed, in account id form: the account's first key unless it says otherwise.
        stamp: microseconds since 1970 by the signer's clock; told, and never decided by.
        action: what is done.
        hash: SHA-256 of the payload.
    """

    __slots__ = ("account", "action", "hash", "number", "payload", "previous", "signature", "signer", "stamp")

    def __init__(self, payload: bytes, signature: bytes) -> None:
        if len(payload) > limits.ACCOUNT_OPERATION_BYTES:
            raise WireError(
                TOO_LARGE,
                f"an operation of {len(payload)} bytes; the limit is {limits.ACCOUNT_OPERATION_BYTES}",
            )
        if len(signature) != limits.SIGNATURE_BYTES:
            raise WireError(
                BAD_REQUEST, f"a signature of {len(signature)} bytes instead of {limits.SIGNATURE_BYTES}"
            )
        fields = codec.shaped(codec.decode_canonical(payload), _Payload, "an operation on an account")
        _check(fields)
        self.payload = payload
        self.signature = signature
        self.account = fields.account
        self.number = fields.number
        self.previous = fields.previous
        self.signer = fields.signer or fields.account
        self.stamp = fields.stamp
        self.action: Action = read_action(fields.action, fields.body)
        self.hash = hashlib.sha256(payload).digest()

    @classmethod
    def sign(
        cls, key: KeyPair, account: bytes, action: Action, *, previous: Operation | None, stamp: int
    ) -> Self:
        """Make the operation that follows `previous`, and sign it.

        Args:
            key: a key that may; see `history`.
            account: whose.
            action: what is done.
            previous: the newest operation of the account's chain; None for the first.
            stamp: microseconds since 1970.

        Raises:
            WireError: when the result would not be a valid operation.
        """
        fields: dict[str, Any] = {
            "account": account,
            "action": action.name,
            "body": action.to_body(),
            "number": 1 if previous is None else previous.number + 1,
            "stamp": stamp,
            "version": VERSION,
        }
        if previous is not None:
            fields["previous"] = previous.hash
        if key.account != account:
            fields["signer"] = key.account
        payload = codec.encode_canonical(fields)
        return cls(payload, key.sign(SIGNED_PREFIX + payload))

    @classmethod
    def from_wire(cls, value: object) -> Self:
        """Read `[payload, signature]`.

        Raises:
            WireError: saying which rule is broken.
        """
        match value:
            case [bytes(payload), bytes(signature)]:
                return cls(payload, signature)
        raise WireError(BAD_REQUEST, "an operation is [payload, signature], both binary")

    def to_wire(self) -> list[bytes]:
        """`[payload, signature]`."""
        return [self.payload, self.signature]

    def verify(self) -> None:
        """Check the signature.

        Raises:
            WireError: `bad_signature`.
        """
        if not verify(self.signer, self.signature, SIGNED_PREFIX + self.payload):
            raise WireError(BAD_SIGNATURE, f"operation {self.number} is not signed by the key it names")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Operation) and self.to_wire() == other.to_wire()

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"Operation({self.number} {self.action.name} {self.hash.hex()[:12]})"


def _check(fields: _Payload) -> None:
    if fields.version != VERSION:
        raise WireError(BAD_REQUEST, f"an operation of version {fields.version}; this node knows {VERSION}")
    if not is_account(fields.account):
        raise WireError(BAD_REQUEST, "the account is not an id of 34 bytes")
    if not 1 <= fields.number <= limits.ACCOUNT_OPERATIONS:
        raise WireError(
            BAD_REQUEST, f"operation {fields.number}; an account has at most {limits.ACCOUNT_OPERATIONS}"
        )
    if not 0 <= fields.stamp <= limits.STAMP_MAX:
        raise WireError(BAD_REQUEST, f"stamp {fields.stamp} is out of range")
    if (fields.previous is None) != (fields.number == 1):
        raise WireError(BAD_REQUEST, "every operation but the first names the one before it")
    if fields.previous is not None and len(fields.previous) != HASH_BYTES:
        raise WireError(BAD_REQUEST, f"a hash of {len(fields.previous)} bytes instead of {HASH_BYTES}")
    if fields.signer is not None and (not is_account(fields.signer) or fields.signer == fields.account):
        raise WireError(BAD_REQUEST, "signer is a key of 34 bytes, and absent for the account's first key")
