"""Which signatures hold: libsodium decides (decision 3), and the published vectors and OpenSSL agree."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from folkmoot.protocol.identity import MULTICODEC_ED25519, KeyPair, verify
from folkmoot.protocol.record import signature_holds
from hypothesis import given
from hypothesis import strategies as st

WYCHEPROOF = "conformance/ed25519/ed25519_test.json"

# RFC 8032, section 7.1: seed, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
]

# Encodings of points of small order (libsodium's `ge25519_has_small_order`): they would "sign" every message.
SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


class Case(NamedTuple):
    """One vector of the corpus."""

    number: int
    comment: str
    public: bytes
    message: bytes
    signature: bytes
    valid: bool


def cases_of(corpus: dict[str, Any]) -> Iterator[Case]:
    for group in corpus["testGroups"]:
        public = bytes.fromhex(group["publicKey"]["pk"])
        for test in group["tests"]:
            yield Case(
                test["tcId"],
                test["comment"],
                public,
                bytes.fromhex(test["msg"]),
                bytes.fromhex(test["sig"]),
                test["result"] == "valid",
            )


def openssl_verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_libsodium_openssl_and_wycheproof_agree(shared_data: Callable[[str], Path]) -> None:
    cases = list(cases_of(json.loads(shared_data(WYCHEPROOF).read_text())))
    assert {case.valid for case in cases} == {True, False} and len(cases) > 100
    disagreements = [
        case
        for case in cases
        if not (
            verify(MULTICODEC_ED25519 + case.public, case.signature, case.message)
            == openssl_verifies(case.public, case.signature, case.message)
            == case.valid
        )
    ]
    assert disagreements == []


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_the_vectors_of_the_rfc_hold(seed: str, public: str, message: str, signature: str) -> None:
    pair = KeyPair(bytes.fromhex(seed))
    assert pair.public.hex() == public
    assert pair.sign(bytes.fromhex(message)).hex() == signature
    assert verify(pair.account, bytes.fromhex(signature), bytes.fromhex(message))


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_keys_that_would_sign_anything_sign_nothing(public: str) -> None:
    identity_commitment = b"\x01" + bytes(31)
    account = MULTICODEC_ED25519 + bytes.fromhex(public)
    for message in (b"", b"anything", b"anything else"):
        assert not verify(account, identity_commitment + bytes(32), message)
        assert not verify(account, bytes.fromhex(public) + bytes(32), message)


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=300), bit=st.integers(0, 511))
def test_a_signature_holds_for_its_message_and_key_only(seed: bytes, message: bytes, bit: int) -> None:
    pair = KeyPair(seed)
    signature = pair.sign(message)
    assert verify(pair.account, signature, message)
    assert openssl_verifies(pair.public, signature, message)
    damaged = bytearray(signature)
    damaged[bit // 8] ^= 1 << bit % 8
    assert not verify(pair.account, bytes(damaged), message)
    assert not verify(pair.account, signature, message + b"x")
    assert not signature_holds(pair.account, signature, message)


@pytest.mark.parametrize("account", [b"", bytes(34), b"\xed\x01" + bytes(31), b"\xe7\x01" + bytes(32)])
def test_what_is_no_account_signs_nothing(account: bytes) -> None:
    assert not verify(account, bytes(64), b"message")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_seed_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32"):
        KeyPair(bytes(length))


def test_a_key_pair_does_not_print_its_secret() -> None:
    pair = KeyPair(b"\x05" * 32)
    assert pair.seed.hex() not in repr(pair) and "05, 05" not in repr(pair)
    assert "did:key:z6Mk" in repr(pair)
