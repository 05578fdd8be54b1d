"""Identities, signatures over challenges, and messages: what every implementation must agree on."""

from __future__ import annotations

from typing import Any

from folkmoot.protocol.identity import KeyPair, account_to_text

from tests.vectors.spelling import nested, spell

AUTH_PREFIX = b"folkmoot-auth-v1\x00"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def identity_vectors() -> dict[str, Any]:
    """Seeds, public keys, account ids and their text; and texts that are no account."""
    pairs = [KeyPair(bytes([number]) * 32) for number in (0, 1, 2, 127, 255)]
    text = account_to_text(pairs[0].account)
    return {
        "about": "Account ids, section 2 of the contract. Valid ones convert both ways; others are refused.",
        "valid": [
            {
                "seed": pair.seed.hex(),
                "public": pair.public.hex(),
                "account": pair.account.hex(),
                "text": account_to_text(pair.account),
            }
            for pair in pairs
        ],
        "invalid": [
            {"name": name, "text": bad}
            for name, bad in {
                "empty": "",
                "the prefix alone": "did:key:z",
                "another method": text.replace("did:key:", "did:web:"),
                "without the multibase letter": text.replace(":z", ":"),
                "hex under another multibase letter": "did:key:f" + pairs[0].account.hex(),
                "a letter base58 does not have": text[:-1] + "0",
                "cut short": text[:-1],
                "one letter too many": text + "1",
                "a leading one": text.replace(":z", ":z1"),
                "a secp256k1 key": "did:key:z" + base58(b"\xe7\x01" + pairs[0].public),
                "a key of 31 bytes": "did:key:z" + base58(b"\xed\x01" + pairs[0].public[:-1]),
                "surrounded by spaces": f" {text} ",
                "in capitals": text.upper(),
                "with a fragment": f"{text}#{text.removeprefix('did:key:')}",
            }.items()
        ],
    }


def auth_vectors() -> dict[str, Any]:
    """Signatures over a node's challenge, each valid for one node and one challenge only."""
    alice, bob = KeyPair(bytes([1]) * 32), KeyPair(bytes([3]) * 32)
    challenge, node = bytes(range(32)), bytes(range(16)).hex()
    message = AUTH_PREFIX + challenge + node.encode()
    cases = {
        "valid": (alice.sign(message), True),
        "by another key": (bob.sign(message), False),
        "for another challenge": (alice.sign(AUTH_PREFIX + bytes(32) + node.encode()), False),
        "for another node": (alice.sign(AUTH_PREFIX + challenge + b"0" * 32), False),
        "over the node id as 16 raw bytes": (alice.sign(AUTH_PREFIX + challenge + bytes(range(16))), False),
        "under a record's prefix": (alice.sign(b"folkmoot-record-v1\x00" + message[17:]), False),
        "without a prefix": (alice.sign(message[17:]), False),
    }
    return {
        "about": "Signatures for `auth`, section 4 of the contract: over the prefix, the challenge, and the "
        "node id as the text that `hello` gave.",
        "seed": alice.seed.hex(),
        "account": alice.account.hex(),
        "challenge": challenge.hex(),
        "node": node,
        "cases": [
            {"name": name, "signature": signature.hex(), "valid": valid}
            for name, (signature, valid) in cases.items()
        ],
    }


def message_vectors() -> dict[str, Any]:
    """Messages and what a receiver makes of their bytes, whole or in pieces."""
    return {
        "about": "Messages, section 1 of the contract. `event` is what the bytes are: a request, a "
        "notification, rejected (an error answers the msgid and the connection lives on) or fatal (a "
        "goodbye ends it).",
        "messages": [
            {"name": name, "bytes": data.hex(), **event} for name, (data, event) in _messages().items()
        ],
    }


def _messages() -> dict[str, tuple[bytes, dict[str, Any]]]:
    hello = {"versions": [1, 1], "client": "vectors/1", "features": []}
    request: dict[str, Any] = {"event": "request"}
    return {
        "hello": (
            spell([0, 0, "hello", [hello]]),
            {**request, "msgid": 0, "method": "hello", "params": hello},
        ),
        "ping": (spell([0, 1, "ping", [{}]]), {**request, "msgid": 1, "method": "ping", "params": {}}),
        "the greatest msgid": (
            spell([0, 2**32 - 1, "ping", [{}]]),
            {**request, "msgid": 2**32 - 1, "method": "ping", "params": {}},
        ),
        "longer headers than needed": (
            b"\xdc\x00\x04\xcc\x00\xcd\x00\x02\xd9\x04ping\xdd\x00\x00\x00\x01\xde\x00\x00",
            {**request, "msgid": 2, "method": "ping", "params": {}},
        ),
        "nested sixteen deep": (
            b"\x94\x00\x03" + spell("ping") + b"\x91\x81" + spell("x") + nested(13),
            {**request, "msgid": 3, "method": "ping", "params": {"x": _lists(13)}},
        ),
        "a notification": (
            spell([2, "feed.credit", [{"credit": 5}]]),
            {"event": "notification", "method": "feed.credit", "params": {"credit": 5}},
        ),
    } | _wrong_messages()


def _wrong_messages() -> dict[str, tuple[bytes, dict[str, Any]]]:
    rejected = {"event": "rejected", "error": "bad_request"}
    fatal = {"event": "fatal", "error": "bad_request"}
    too_large = {"event": "fatal", "error": "too_large"}
    odd = b"\x94\x00\x01" + spell("ping") + b"\x91\x81"  # a ping whose params map still lacks its entry
    return {
        "params is a map": (spell([0, 4, "ping", {}]), {**rejected, "msgid": 4}),
        "params is empty": (spell([0, 5, "ping", []]), {**rejected, "msgid": 5}),
        "two params": (spell([0, 6, "ping", [{}, {}]]), {**rejected, "msgid": 6}),
        "params holds a list": (spell([0, 7, "ping", [[]]]), {**rejected, "msgid": 7}),
        "params is nil": (spell([0, 8, "ping", None]), {**rejected, "msgid": 8}),
        "the method is a number": (spell([0, 9, 1, [{}]]), {**rejected, "msgid": 9}),
        "the method is binary": (spell([0, 10, b"ping", [{}]]), {**rejected, "msgid": 10}),
        "a number": (spell(1), fatal),
        "a map": (spell({"method": "ping"}), fatal),
        "an empty array": (spell([]), fatal),
        "five parts": (spell([0, 1, "ping", [{}], 1]), fatal),
        "a fourth kind": (spell([3, 1, "ping", [{}]]), fatal),
        "a kind that is a truth value": (spell([False, 1, "ping", [{}]]), fatal),
        "a negative msgid": (spell([0, -1, "ping", [{}]]), fatal),
        "a msgid of 33 bits": (spell([0, 2**32, "ping", [{}]]), fatal),
        "a msgid that is a float": (spell([0, 1.0, "ping", [{}]]), fatal),
        "a notification whose params is a map": (spell([2, "feed.credit", {}]), fatal),
        "a response with an error and a result": (spell([1, 0, {"code": 1}, {}]), fatal),
        "a response whose error is a string": (spell([1, 0, "no", None]), fatal),
        "the byte that is never used": (b"\xc1", fatal),
        "text that is not UTF-8": (b"\x94\x00\x01\xa2\xff\xfe\x91\x80", fatal),
        "an extension type": (
            odd + spell("x") + b"\xd4\x05\x00",
            fatal,
        ),
        "a map key that is a number": (odd + b"\x01\x01", fatal),
        "nested seventeen deep": (
            odd + spell("x") + nested(14),
            too_large,
        ),
        "an array of 4,097": (
            odd + spell("x") + b"\xdc\x10\x01" + b"\x01" * 4097,
            too_large,
        ),
    }


def _lists(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def base58(data: bytes) -> str:
    """Base58btc, for texts that `account_to_text` would not write."""
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, remainder = divmod(number, 58)
        digits = BASE58[remainder] + digits
    return digits
