"""Accounts and keys: Ed25519 key pairs, account ids, their `did:key` text, signing and verifying.

An account id is the account's first public key with its multicodec prefix (34 bytes); in text it is the
W3C `did:key` form, whose `z` marks base58btc. Verification is libsodium's strict one (RFC 8032 with
small-order keys and non-canonical S refused), so that every node agrees on every signature; see
docs/decisions/0003-signature-verification.md.
"""

from __future__ import annotations

from typing import Final

import nacl.bindings
import nacl.exceptions
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.limits import ACCOUNT_BYTES, SIGNATURE_BYTES

MULTICODEC_ED25519: Final = b"\xed\x01"
SEED_BYTES: Final = 32
DID_KEY_PREFIX: Final = "did:key:z"

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUE: Final = {character: value for value, character in enumerate(_BASE58)}


class KeyPair:
    """An Ed25519 key pair of one device.

    Args:
        seed: 32 secret bytes (RFC 8032); drawn by the environment's generator, never by this module.
        owner: the account it is a key of (34 bytes); None when it is that account's first.

    Attributes:
        public: 32 bytes.
        account: the public key in account id form (34 bytes): the account that has it as its first key.
    """

    __slots__ = ("_secret", "account", "owner", "public", "seed")

    def __init__(self, seed: bytes, owner: bytes | None = None) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 seed is {SEED_BYTES} bytes, not {len(seed)}")
        self.seed = seed
        self.public, self._secret = nacl.bindings.crypto_sign_seed_keypair(seed)
        self.account = MULTICODEC_ED25519 + self.public
        self.owner = owner or self.account

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""
        return nacl.bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        of = "" if self.owner == self.account else f" of {account_to_text(self.owner)}"
        return f"KeyPair({account_to_text(self.account)}{of})"


def verify(account: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` (64 bytes) over `message` was made by the key in `account` (34 bytes)."""
    if not is_account(account) or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        nacl.bindings.crypto_sign_open(signature + message, account[2:])
    except nacl.exceptions.BadSignatureError:
        return False
    return True


def is_account(value: object) -> bool:
    """Whether `value` has the form of an account id: 34 bytes with the Ed25519 prefix."""
    return type(value) is bytes and len(value) == ACCOUNT_BYTES and value.startswith(MULTICODEC_ED25519)


def is_public_key(account: bytes) -> bool:
    """Whether an account id (34 bytes) is a key that anybody could sign with; takes as long as a signature.

    It is when it stands for a point of the curve's prime-order group (RFC 8032, section 5.1; cofactor aside).
    """
    return nacl.bindings.crypto_core_ed25519_is_valid_point(account[2:])


def account_to_text(account: bytes) -> str:
    """The `did:key:z…` form of a 34-byte account id."""
    number = int.from_bytes(account, "big")
    digits = ""
    while number:
        number, remainder = divmod(number, 58)
        digits = _BASE58[remainder] + digits
    return DID_KEY_PREFIX + digits


def account_from_text(text: str) -> bytes:
    """The 34-byte account id of a `did:key:z…` text.

    Raises:
        WireError: `bad_request`, when it is not an Ed25519 `did:key`.
    """
    digits = text.removeprefix(DID_KEY_PREFIX)
    if digits == text or not digits or len(digits) > 2 * ACCOUNT_BYTES:
        raise WireError(BAD_REQUEST, f"{text[:80]!r} is not an account: it should look like did:key:z6Mk…")
    number = 0
    for character in digits:
        if character not in _BASE58_VALUE:
            raise WireError(BAD_REQUEST, f"{text[:80]!r} has {character!r}, which base58 does not")
        number = number * 58 + _BASE58_VALUE[character]
    account = number.to_bytes((number.bit_length() + 7) // 8, "big")
    if not is_account(account) or account_to_text(account) != text:
        raise WireError(BAD_REQUEST, f"{text[:80]!r} is not an Ed25519 did:key")
    return account
