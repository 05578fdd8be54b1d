"""Section 3, the form: which payloads are records, and which rule each other one breaks.

Every payload here is well signed, so that only its form can be at fault.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import Any

import msgpack
import pytest
from nacl import bindings

from tests.contract.speaker import Device, Place, opened, uuid7

pytestmark = pytest.mark.cluster

MINUTE_US = 60_000_000
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


def pairs(*entries: tuple[bytes, bytes]) -> bytes:
    """A map of entries that are packed already, in the order given."""
    return bytes([0x80 | len(entries)]) + b"".join(key + value for key, value in entries)


def word(text: str) -> bytes:
    return bytes(msgpack.packb(text))


class Draft:
    """A post's payload in pieces, to be spelled in other ways.

    Args:
        author: 34 bytes.
        now_us: its stamp, and the time in its item.
    """

    def __init__(self, author: bytes, now_us: int) -> None:
        self.fields = {
            "author": b"\xc4\x22" + author,
            "body": pairs((word("text"), word("hello"))),
            "item": b"\xc4\x10" + uuid7(now_us // 1000, int.from_bytes(os.urandom(7), "big")),
            "kind": word("post"),
            "stamp": msgpack.packb(now_us),
            "version": b"\x01",
        }

    def spelled(self, **changes: bytes) -> bytes:
        """With some values spelled otherwise, or further keys, in order."""
        fields = {**self.fields, **changes}
        return pairs(*((word(key), fields[key]) for key in sorted(fields)))


def non_canonical(draft: Draft) -> dict[str, bytes]:
    """The same post against one rule each."""
    fields, right = draft.fields, draft.spelled()
    ordered = [(word(key), fields[key]) for key in sorted(fields)]
    text = word("hello")
    author = fields["author"][2:]

    def body(*entries: tuple[bytes, bytes]) -> bytes:
        return draft.spelled(body=pairs((word("text"), text), *entries))

    stamp = int(msgpack.unpackb(fields["stamp"]))
    return {
        "nil": body((word("warning"), b"\xc0")),
        "a float": body((word("x"), b"\xcb" + struct.pack(">d", 1.5))),
        "a float of four bytes": body((word("x"), b"\xca" + struct.pack(">f", 1.0))),
        "a float for a stamp": draft.spelled(stamp=b"\xcb" + struct.pack(">d", stamp)),
        "an extension": body((word("x"), b"\xd4\x05\x00")),
        "a timestamp": body((word("x"), b"\xd6\xff\x00\x00\x00\x01")),
        "keys out of order": pairs(*reversed(ordered)),
        "keys of the body out of order": draft.spelled(
            body=pairs((word("text"), text), (word("lang"), word("en")))
        ),
        "keys in the order of UTF-16": draft.spelled(
            body=pairs((word("text"), text), (word("\U00010000"), b"\x01"), (word("\uffff"), b"\x01"))
        ),
        "a key twice": pairs(*ordered, ordered[-1]),
        "a key of the body twice": draft.spelled(body=pairs((word("text"), text), (word("text"), text))),
        "an integer in 8 bits": draft.spelled(version=b"\xcc\x01"),
        "an integer in 64 bits": body((word("x"), b"\xcf" + struct.pack(">Q", 70_000))),
        "a positive integer as a signed one": body((word("x"), b"\xd0\x05")),
        "a positive stamp as a signed one": draft.spelled(stamp=b"\xd3" + struct.pack(">q", stamp)),
        "a negative integer in 16 bits": body((word("x"), b"\xd1\xff\xff")),
        "text with a long header": draft.spelled(kind=b"\xd9\x04post"),
        "text with a longer header": draft.spelled(body=pairs((word("text"), b"\xda\x00\x05hello"))),
        "a key with a long header": right.replace(word("kind"), b"\xd9\x04kind"),
        "binary with a long header": draft.spelled(author=b"\xc5\x00\x22" + author),
        "a list with a long header": body((word("x"), b"\xdc\x00\x01\x01")),
        "a map with a long header": draft.spelled(body=b"\xde\x00\x01" + word("text") + text),
        "the whole map with a long header": b"\xde\x00" + bytes([right[0] & 15]) + right[1:],
        "a key that is a number": body((b"\x05", b"\x01")),
        "a key that is binary": draft.spelled(body=pairs((word("text"), text), (b"\xc4\x01y", b"\x01"))),
        "place spelled out": draft.spelled(place=fields["author"]),
        "signer spelled out": draft.spelled(signer=fields["author"]),
        "seen spelled out": draft.spelled(seen=b"\x80"),
        "something after it": right + b"\xc0",
        "two of them": right + right,
        "a part of it": right[:-3],
        "nothing": b"",
        "invalid UTF-8": draft.spelled(body=pairs((word("text"), b"\xa2\xc3\x28"))),
    }


async def test_what_is_not_canonical_is_refused(node: Place, ann: Device, now_us: int) -> None:
    draft = Draft(ann.account, now_us)
    cases = non_canonical(draft)
    async with opened(node) as connection:
        names = {name: await connection.status(ann.frame(payload)) for name, payload in cases.items()}
        assert {name: outcome for name, outcome in names.items() if outcome != "not_canonical"} == {}
        assert await connection.status(ann.frame(draft.spelled())) == "stored"


def other_shapes(draft: Draft) -> dict[str, bytes]:
    """Canonical payloads that are not records of version 1."""
    author = draft.fields["author"][2:]
    missing = {key: {k: v for k, v in draft.fields.items() if k != key} for key in draft.fields}
    return {
        **{
            f"no {key}": pairs(*((word(name), fields[name]) for name in sorted(fields)))
            for key, fields in missing.items()
        },
        "no map": b"\x93\x01\x02\x03",
        "version 2": draft.spelled(version=b"\x02"),
        "version 0": draft.spelled(version=b"\x00"),
        "a version that is text": draft.spelled(version=word("1")),
        "an author of 33 bytes": draft.spelled(author=b"\xc4\x21" + author[:33]),
        "an author of another curve": draft.spelled(author=b"\xc4\x22\xe7\x01" + author[2:]),
        "an author that is text": draft.spelled(author=b"\xd9\x22" + bytes(34)),
        "binary for text": draft.spelled(body=pairs((word("text"), b"\xc4\x05hello"))),
        "text for binary": draft.spelled(item=word("sixteen bytes 16")),
        "a negative stamp": draft.spelled(stamp=b"\xff"),
        "a stamp that is true": draft.spelled(stamp=b"\xc3"),
        "a kind nobody knows": draft.spelled(kind=word("poke")),
        "the kind of records under review": draft.spelled(kind=word("held")),
        "a body that is a list": draft.spelled(body=b"\x90"),
        "no text": draft.spelled(body=b"\x80"),
        "a deletion and more": draft.spelled(
            body=pairs((word("deleted"), b"\xc3"), (word("text"), word("hello")))
        ),
        "deleted: false": draft.spelled(body=pairs((word("deleted"), b"\xc2"))),
        "an empty item": draft.spelled(item=b"\xc4\x00"),
        "an item of 15 bytes": draft.spelled(item=draft.fields["item"][:1] + b"\x0f" + bytes(15)),
        "a UUID of version 4": draft.spelled(item=b"\xc4\x10" + bytes(6) + b"\x40" + b"\x00\x80" + bytes(7)),
        "a UUID of another variant": draft.spelled(item=b"\xc4\x10" + bytes(6) + b"\x70" + bytes(9)),
        "seen by a name": draft.spelled(seen=pairs((word("phone"), b"\x01"))),
        "seen of the own device": draft.spelled(seen=pairs((word(author.hex()), b"\x01"))),
        "seen in capitals": draft.spelled(seen=pairs((word(("ed01" + "AB" * 32)), b"\x01"))),
        "seen before time": draft.spelled(seen=pairs((word("ed01" + "ab" * 32), b"\xff"))),
        "a ref that is text": draft.spelled(
            body=pairs((word("reply_to"), word("x")), (word("text"), word("hello")))
        ),
        "tags that are numbers": draft.spelled(
            body=pairs((word("tags"), b"\x91\x01"), (word("text"), word("hello")))
        ),
    }


async def test_what_is_no_record_is_a_bad_request(node: Place, ann: Device, now_us: int) -> None:
    draft = Draft(ann.account, now_us)
    async with opened(node) as connection:
        names = {}
        for name, payload in other_shapes(draft).items():
            names[name] = await connection.status(ann.frame(payload))
        assert {name: outcome for name, outcome in names.items() if outcome != "bad_request"} == {}


@pytest.mark.parametrize(
    "entry", [None, 1, "text", b"bytes", [], [b""], [b"", b"", b""], ["text", "text"], {}, [1, 2]], ids=repr
)
async def test_what_is_no_pair_is_a_bad_request(node: Place, entry: Any) -> None:
    async with opened(node) as connection:
        assert await connection.status(entry) in ("bad_request", "not_canonical")


async def test_unknown_keys_pass_through_unharmed(node: Place, ann: Device, now_us: int) -> None:
    draft = Draft(ann.account, now_us)
    payload = draft.spelled(
        body=pairs(
            (word("mood"), pairs((word("deep"), b"\x93\x01\x02\xc3"))),
            (word("text"), word("hello")),
            (word("\uffff"), b"\x01"),
            (word("\U00010000"), b"\x02"),
        ),
        zz=word("of a later version"),
    )
    record = ann.frame(payload)
    async with opened(node) as connection:
        assert await connection.status(record) == "stored"
        cell = await connection.cell((ann.account, "post", draft.fields["item"][2:]))
        assert cell is not None and cell["records"] == [record]


async def test_sizes_are_bounded_exactly(node: Place, ann: Device, now_us: int) -> None:
    def sized(size: int, draft: Draft) -> list[bytes]:
        empty = len(draft.spelled(body=pairs((word("pad"), b"\xc5" + bytes(2)), (word("text"), word("x")))))
        padding = size - empty
        pad = b"\xc5" + padding.to_bytes(2, "big") + bytes(padding)
        payload = draft.spelled(body=pairs((word("pad"), pad), (word("text"), word("x"))))
        assert len(payload) == size
        return ann.frame(payload)

    async with opened(node) as connection:
        assert await connection.status(sized(16384, Draft(ann.account, now_us))) == "stored"
        assert await connection.status(sized(16385, Draft(ann.account, now_us))) == "too_large"
        for text, outcome in (("\U0001f426" * 3000, "stored"), ("é" * 3001, "too_large")):
            item = uuid7(now_us // 1000 + len(text))
            assert await connection.status(ann.record("post", item, {"text": text}, now_us)) == outcome
        for size, outcome in ((1, "stored"), (128, "stored"), (129, "bad_request"), (0, "bad_request")):
            record = ann.record("profile", b"n" * size, {"value": "x"}, now_us)
            assert await connection.status(record) == outcome, size


async def test_clocks_may_be_five_minutes_ahead_and_no_more(node: Place, ann: Device, now_us: int) -> None:
    other = Device(os.urandom(32)).account.hex()
    soon, late = now_us + 4 * MINUTE_US, now_us + 6 * MINUTE_US
    async with opened(node) as connection:

        async def post(item_us: int, stamp: int, **more: Any) -> str:
            item = uuid7(item_us // 1000, int.from_bytes(os.urandom(7), "big"))
            return await connection.status(ann.record("post", item, {"text": "when"}, stamp, **more))

        assert await post(soon, soon) == "stored"
        assert await post(now_us, late) == "bad_request"
        assert await post(late, now_us) == "bad_request"
        assert await post(now_us, now_us, seen={other: soon}) == "stored"
        assert await post(now_us, now_us, seen={other: late}) == "bad_request"
        assert await post(1, 1) == "stored", "the past is nobody's business"
        assert await post(now_us, 2**63) == "bad_request"
        assert await post(now_us, 2**64 - 1) == "bad_request"


async def test_signatures_are_over_the_prefix_and_strict(node: Place, ann: Device, now_us: int) -> None:
    payload = Draft(ann.account, now_us).spelled()
    right = ann.frame(payload)[1]
    scalar = int.from_bytes(right[32:], "little")
    wrong = {
        "without the prefix": ann.sign(payload),
        "with another prefix": ann.sign(b"folkmoot-auth-v1\0" + payload),
        "of another key": Device(os.urandom(32)).sign(b"folkmoot-record-v1\0" + payload),
        "all zeros": bytes(64),
        "a flipped bit": bytes([right[0] ^ 1]) + right[1:],
        "a scalar beyond the group": right[:32] + (scalar + GROUP_ORDER).to_bytes(32, "little"),
    }
    async with opened(node) as connection:
        for name, signature in wrong.items():
            assert await connection.status([payload, signature]) == "bad_signature", name
        for signature in (b"", right[:63], right + b"\0"):
            assert await connection.status([payload, signature]) in ("bad_request", "bad_signature")
        assert await connection.status([payload, right]) == "stored"


def resigned(device: Device, payload: bytes) -> bytes:
    """Another valid signature of the same payload: RFC 8032 with a random nonce instead of its own."""
    message = b"folkmoot-record-v1\0" + payload
    digest = bytearray(hashlib.sha512(device.key.encode()).digest()[:32])
    digest[0] &= 248
    digest[31] = (digest[31] & 127) | 64
    secret = int.from_bytes(digest, "little") % GROUP_ORDER
    nonce = int.from_bytes(os.urandom(40), "little") % GROUP_ORDER
    point = bindings.crypto_scalarmult_ed25519_base_noclamp(nonce.to_bytes(32, "little"))
    challenge = int.from_bytes(hashlib.sha512(point + device.account[2:] + message).digest(), "little")
    scalar = (nonce + challenge * secret) % GROUP_ORDER
    return point + scalar.to_bytes(32, "little")


async def test_of_two_signatures_the_smaller_is_kept(node: Place, ann: Device, now_us: int) -> None:
    draft = Draft(ann.account, now_us)
    payload = draft.spelled()
    signatures = sorted([ann.frame(payload)[1], resigned(ann, payload), resigned(ann, payload)])
    async with opened(node) as connection:
        for signature in (signatures[1], signatures[2], signatures[0], signatures[1]):
            assert await connection.status([payload, signature]) in ("stored", "duplicate")
        cell = await connection.cell((ann.account, "post", draft.fields["item"][2:]))
        assert cell is not None and cell["records"] == [[payload, signatures[0]]]


async def test_a_device_that_is_not_the_accounts_may_not_write(
    node: Place, ann: Device, bob: Device, now_us: int
) -> None:
    item = uuid7(now_us // 1000)
    forged = ann.record("post", item, {"text": "as ann"}, now_us, signer=bob.account)
    async with opened(node) as connection:
        assert await connection.status([forged[0], bob.frame(forged[0])[1]]) == "revoked_key"
        assert await connection.status(bob.frame(ann.record("post", item, {"text": "x"}, now_us)[0])) == (
            "bad_signature"
        )
        assert await connection.cell((ann.account, "post", item)) is None
