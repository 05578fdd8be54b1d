"""A second valid signature of one message: what Ed25519 allows whoever holds the key to make.

RFC 8032 derives the nonce from the message, so that signing twice gives the same bytes. A verifier cannot
tell: any nonce r gives a valid (R, S) with R = rB and S = r + H(R, A, M)·a mod L.

Source: RFC 8032, section 5.1.6.
"""

from __future__ import annotations

import hashlib

from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import SIGNED_PREFIX, Record
from nacl import bindings


def sign_again(device: KeyPair, record: Record, salt: bytes = b"another nonce") -> Record:
    """The same payload with another signature, made with a nonce of its own."""
    message = SIGNED_PREFIX + record.payload
    expanded = hashlib.sha512(device.seed).digest()
    clamped = bytes((expanded[0] & 248, *expanded[1:31], expanded[31] & 63 | 64))
    secret = bindings.crypto_core_ed25519_scalar_reduce(clamped + bytes(32))
    nonce = bindings.crypto_core_ed25519_scalar_reduce(hashlib.sha512(salt + message).digest())
    commitment = bindings.crypto_scalarmult_ed25519_base_noclamp(nonce)
    challenge = bindings.crypto_core_ed25519_scalar_reduce(
        hashlib.sha512(commitment + device.public + message).digest()
    )
    response = bindings.crypto_core_ed25519_scalar_add(
        nonce, bindings.crypto_core_ed25519_scalar_mul(challenge, secret)
    )
    return Record(record.payload, commitment + response)
