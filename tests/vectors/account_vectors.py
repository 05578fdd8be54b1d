"""Operations on accounts and handles that every implementation must read, and those every one must refuse."""

# ruff: noqa: RUF001 (letters that pass for others are among what handles are about)

from __future__ import annotations

import hashlib
from typing import Any

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
from folkmoot.protocol.accounts.claim import Claim
from folkmoot.protocol.accounts.handle import check_handle, register_name, skeleton
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.accounts.operation import SIGNED_PREFIX, Operation
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.limits import ACCOUNT_OPERATION_BYTES, ACCOUNT_OPERATIONS, STAMP_MAX

from tests.vectors.spelling import Fields, as_json, bin8, spell, spell_fields, spell_map

FIRST, LAPTOP, PHONE, RECOVERY, NEXT_RECOVERY, OPERATOR, STRANGER = (
    KeyPair(bytes([number]) * 32) for number in range(1, 8)
)
STAMP = 1_700_000_000_000_000
HASH = hashlib.sha256(b"the operation before").digest()

BASE: Fields = {
    "account": bin8(FIRST.account),
    "action": spell("set_handle"),
    "body": spell({"handle": "alice"}),
    "number": spell(2),
    "previous": bin8(HASH),
    "stamp": spell(STAMP),
    "version": spell(1),
}

# The life of an account, each step with its key.
LIFE: tuple[tuple[str, KeyPair, Action], ...] = (
    ("begin, with a recovery key", FIRST, Create(RECOVERY.account)),
    ("let a laptop sign", FIRST, AddKey(LAPTOP.account, "laptop")),
    ("be called alice", LAPTOP, SetHandle("alice")),
    ("put a new key in a device", LAPTOP, RotateKey(FIRST.account, PHONE.account, "phone, new")),
    ("revoke the laptop's key", PHONE, RevokeKey(LAPTOP.account, "stolen")),
    ("be suspended by an operator", OPERATOR, Suspend("flooding")),
    ("be restored", OPERATOR, Restore("it was the laptop")),
    ("recover, and keep another recovery key", RECOVERY, Recover((STRANGER.account,), NEXT_RECOVERY.account)),
    ("go back to the first recovery key", NEXT_RECOVERY, SetRecovery(RECOVERY.account)),
    ("have no handle", STRANGER, SetHandle(None)),
    ("close", STRANGER, Close("goodbye")),
)
# After so many steps of that life: what cannot follow, and why.
REFUSED: tuple[tuple[int, str, KeyPair, Action], ...] = (
    (0, "a chain that does not begin with create", FIRST, SetHandle("alice")),
    (0, "created by another key", LAPTOP, Create()),
    (1, "created twice", FIRST, Create()),
    (1, "a key that is none of the account's", STRANGER, SetHandle("alice")),
    (1, "the recovery key does what devices do", RECOVERY, SetHandle("alice")),
    (1, "a device's key recovers", FIRST, Recover((STRANGER.account,))),
    (1, "a device's key replaces the recovery key", FIRST, SetRecovery(STRANGER.account)),
    (1, "the recovery key becomes a device's", FIRST, AddKey(RECOVERY.account)),
    (2, "a key is added twice", FIRST, AddKey(LAPTOP.account)),
    (4, "a key that was rotated away", FIRST, SetHandle("bob")),
    (5, "a key that was revoked", LAPTOP, SetHandle("bob")),
    (5, "a key that was revoked is added again", PHONE, AddKey(LAPTOP.account)),
    (5, "a key is revoked twice", PHONE, RevokeKey(LAPTOP.account)),
    (5, "restored without having been suspended", OPERATOR, Restore()),
    (6, "a device's key while the account is suspended", PHONE, SetHandle("bob")),
    (6, "suspended twice", OPERATOR, Suspend()),
    (8, "the old recovery key", RECOVERY, Recover((PHONE.account,))),
    (11, "after the end", STRANGER, SetHandle("alice")),
    (11, "recovered after the end", RECOVERY, Recover((PHONE.account,))),
)


def operation_vectors() -> dict[str, Any]:
    """The file on operations, ready to be written as JSON."""
    chain: list[Operation] = []
    states = [Account.plain(FIRST.account)]
    for _, key, action in LIFE:
        chain.append(_signed(key, action, chain))
        states.append(states[-1].after(chain[-1]))
    return {
        "about": "Operations on an account. `payload` and `signature` are hex, as is every `hex` inside "
        "`body`; `seed` is the Ed25519 seed of the signing key. `chain` is the life of one account: each "
        "step must be accepted after those before it, and makes this of the account. `cannot_follow` are "
        "well-formed and rightly signed, and refused after the first `after` steps of that life. `invalid` "
        "are refused by themselves.",
        "account": account_to_text(FIRST.account),
        "chain": [
            _step(name, key, operation, state)
            for (name, key, _), operation, state in zip(LIFE, chain, states[1:], strict=True)
        ],
        "cannot_follow": [
            _refused(after, name, _signed(key, action, chain[:after]), states[after])
            for after, name, key, action in REFUSED
        ],
        "invalid": [
            {"name": name, "payload": payload.hex(), "signature": signature.hex(), "error": error}
            for error, cases in _invalid().items()
            for name, (payload, signature) in cases.items()
        ],
    }


def _signed(key: KeyPair, action: Action, before: list[Operation]) -> Operation:
    stamp = STAMP + len(before)
    return Operation.sign(key, FIRST.account, action, previous=before[-1] if before else None, stamp=stamp)


def _step(name: str, key: KeyPair, operation: Operation, state: Account) -> dict[str, Any]:
    return {
        "name": name,
        "seed": key.seed.hex(),
        "payload": operation.payload.hex(),
        "signature": operation.signature.hex(),
        "hash": operation.hash.hex(),
        "number": operation.number,
        "signer": account_to_text(operation.signer),
        "action": operation.action.name,
        "body": as_json(operation.action.to_body()),
        "makes": {
            "keys": [account_to_text(key) for key in state.signing_keys()],
            "recovery": state.recovery and account_to_text(state.recovery),
            "handle": state.handle,
            "suspended": state.suspended,
            "closed": state.closed,
        },
    }


def _refused(after: int, name: str, operation: Operation, state: Account) -> dict[str, Any]:
    try:
        state.after(operation)
    except WireError as error:
        return {
            "name": name,
            "after": after,
            "payload": operation.payload.hex(),
            "signature": operation.signature.hex(),
            "error": error.kind.name,
        }
    raise AssertionError(f"{name}: it was not refused")


def _with(**fields: bytes) -> bytes:
    return spell_fields({**BASE, **fields})


def _action(name: str, body: dict[str, Any]) -> bytes:
    return _with(action=spell(name), body=spell(body))


def _invalid() -> dict[str, dict[str, tuple[bytes, bytes]]]:
    def signed(payloads: dict[str, bytes]) -> dict[str, tuple[bytes, bytes]]:
        return {name: (payload, FIRST.sign(SIGNED_PREFIX + payload)) for name, payload in payloads.items()}

    payload = spell_fields(BASE)
    signature = FIRST.sign(SIGNED_PREFIX + payload)
    return {
        "not_canonical": signed(_not_canonical()),
        "bad_request": signed(_bad_fields() | _bad_bodies())
        | {"a signature of 63 bytes": (payload, signature[:-1])},
        "too_large": signed(_too_large()),
        "bad_signature": {
            "signed by another key": (payload, LAPTOP.sign(SIGNED_PREFIX + payload)),
            "signed without the prefix": (payload, FIRST.sign(payload)),
            "signed as a record": (payload, FIRST.sign(b"folkmoot-record-v1\x00" + payload)),
            "a bit of the signature flipped": (payload, bytes((signature[0] ^ 1,)) + signature[1:]),
        },
    }


def _not_canonical() -> dict[str, bytes]:
    pairs = [(spell(name), value) for name, value in sorted(BASE.items())]
    return {
        "keys descending": spell_map(pairs[::-1]),
        "a key twice": spell_map([pairs[0], *pairs]),
        "a uint8 where a fixint would do": _with(number=b"\xcc\x02"),
        "nil for no handle": _with(body=spell({"handle": None})),
        "nil for no operation before": _with(number=spell(1), previous=b"\xc0"),
        "a byte after the end": spell_fields(BASE) + b"\x00",
        "cut short": spell_fields(BASE)[:-1],
        "empty": b"",
    }


def _bad_fields() -> dict[str, bytes]:
    required = [name for name in BASE if name != "previous"]
    return {
        **{
            f"without {name}": spell_fields({key: BASE[key] for key in BASE if key != name})
            for name in required
        },
        "a list": spell([1, 2]),
        "a version to come": _with(version=spell(2)),
        "a field of a later version": _with(extra=spell(1)),
        "an account of 33 bytes": _with(account=bin8(FIRST.account[:-1])),
        "a signer spelled out though it is the first key": _with(signer=bin8(FIRST.account)),
        "a signer that is a secp256k1 key": _with(signer=bin8(b"\xe7\x01" + LAPTOP.public)),
        "number nought": _with(number=spell(0)),
        "a number past the last": _with(number=spell(ACCOUNT_OPERATIONS + 1)),
        "the first operation with one before it": _with(number=spell(1)),
        "the second without the first": spell_fields({key: BASE[key] for key in BASE if key != "previous"}),
        "a hash cut short": _with(previous=bin8(HASH[:-1])),
        "a negative stamp": _with(stamp=spell(-1)),
        "a stamp of 64 bits": _with(stamp=spell(STAMP_MAX + 1)),
        "an action nobody knows": _action("sell", {}),
    }


def _bad_bodies() -> dict[str, bytes]:
    key = LAPTOP.account
    return {
        "a body that is a list": _with(body=spell([])),
        "a handle not in its form": _action("set_handle", {"handle": "Alice"}),
        "a handle that mixes scripts": _action("set_handle", {"handle": "\u0430lice"}),
        "a handle that is a number": _action("set_handle", {"handle": 7}),
        "a key of a later version in a body": _action("set_handle", {"handle": "alice", "since": 1}),
        "no key to add": _action("add_key", {}),
        "a key to add of 33 bytes": _action("add_key", {"key": key[:-1]}),
        "a key to add that is a secp256k1 key": _action("add_key", {"key": b"\xe7\x01" + key[2:]}),
        "a device's name of 65 characters": _action("add_key", {"key": key, "name": "x" * 65}),
        "a rotation from nothing": _action("rotate_key", {"new": key}),
        "a recovery without keys": _action("recover", {"keys": []}),
        "no recovery key to set": _action("set_recovery", {}),
        "a reason of 281 characters": _action("close", {"reason": "x" * 281}),
        "a reason that is binary": _action("suspend", {"reason": b"spam"}),
    }


def _too_large() -> dict[str, bytes]:
    short = len(_action("suspend", {"reason": "\U0001f702" * 100}))
    more = (ACCOUNT_OPERATION_BYTES - short) // 4 + 1
    return {"a payload that is too long": _action("suspend", {"reason": "\U0001f702" * (100 + more)})}


HANDLES = (
    *(
        "alice",
        "Alice.Smith-2",
        "@bob",
        "BOB",
        "PAYPAL",
        "paypai",
        "paypa1",
        "modem",
        "rnodern",
        "savvy",
        "sawy",
    ),
    *("\uff21\uff2c\uff29\uff23\uff25", "\ufb01nn", "\u0130stanbul", "stra\u00dfe", "STRASSE", "cafe\u0301"),
    *("josé", "jose", "ΟΔΟΣ", "οδοσ", "Москва", "вера", "bepa", "раураӏ", "Հայկ", "შოთა", "ᏣᎳᎩ", "ⴰⵎⴰⵣⵉⵖ"),
    *("אבג-7", "علي", "على", "علي٣", "دانیال", "हिन्दी", "বাংলা", "தமிழ்", "ไทย", "བོད", "မြန်မာ", "ខ្មែរ", "አማርኛ"),
    *("東京", "東京tokyo", "ひらカナ漢字", "ロ二", "口ニ", "한국어", "kim김", "ㄅㄆㄇ", "42", "x" * 30),
)
NO_HANDLES = {
    "empty": "",
    "one letter": "a",
    "31 letters": "x" * 31,
    "a separator first": ".alice",
    "a separator last": "alice-",
    "two separators together": "al._ice",
    "a space": "al ice",
    "a zero width joiner": "al\u200dice",
    "an override of direction": "\u202ealice",
    "a soft hyphen": "al\u00adice",
    "a Hangul filler": "al\u3164ice",
    "a picture": "al\U0001f600ice",
    "an apostrophe": "o'brien",
    "a Cyrillic letter among Latin ones": "al\u0456ce",
    "Greek among Latin": "\u03b1lpha",
    "Hangul beside Hiragana": "\ud55c\u304b\u306a",
    "digits of two kinds": "\u0639\u0644\u064a\u0663\u06f3",
    "a digit before text from right to left": "7\u0639\u0644\u064a",
    "an accent on nothing": "\u0301alice",
    "an accent on a digit": "a1\u0301",
    "one accent twice": "e\u0301\u0301ve",
    "five accents": "a\u0301\u0302\u0303\u0304\u0306",
    "a name that is kept": "admin",
    "what looks like one": "M0DERAT0R",
}


def handle_vectors() -> dict[str, Any]:
    """The file on handles and claims, ready to be written as JSON."""
    claim = Claim(FIRST.account, "alice", 3, STAMP)
    return {
        "about": "Handles. `text` is what a person types, `handle` its form, which is signed, stored and "
        "shown, `skeleton` what it has in common with what looks like it, and `register` names the register "
        "that says whose it is. `invalid` texts are no handles, or kept for others: bad_request. `claims` "
        "are what such a register holds, in hex.",
        "valid": [_handle(text) for text in HANDLES],
        "invalid": [{"name": name, "text": text} for name, text in NO_HANDLES.items()],
        "claims": [
            _claim("claimed", claim),
            _claim("released", claim._replace(number=4, released_us=STAMP + 1)),
        ],
    }


def _handle(text: str) -> dict[str, str]:
    handle = check_handle(text)
    return {"text": text, "handle": handle, "skeleton": skeleton(handle), "register": register_name(handle)}


def _claim(name: str, claim: Claim) -> dict[str, Any]:
    return {"name": name, "bytes": claim.to_bytes().hex(), "account": account_to_text(claim.account)} | {
        key: value for key, value in claim._asdict().items() if key != "account"
    }
