"""Records: what a device signs, exactly as it travels, is stored and is returned.

A record is a payload (canonical MessagePack, the contract's section 3) and a signature over
`"folkmoot-record-v1" 0x00 payload`. Its id is the SHA-256 of the payload. Nothing is ever re-encoded: a node
keeps the bytes it received. Reading a record checks its form; `verify` checks the signature; neither asks
whether the author may write, which is the gate's affair.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, Self

import msgspec
from folkmoot.protocol import codec
from folkmoot.protocol.bodies import check_body
from folkmoot.protocol.decoder_words import malformed, misshapen
from folkmoot.protocol.errors import BAD_REQUEST, BAD_SIGNATURE, NOT_CANONICAL, TOO_LARGE, WireError
from folkmoot.protocol.feed.preferences import check_mark_time
from folkmoot.protocol.identity import KeyPair, is_account, verify
from folkmoot.protocol.key import KINDS_ERASING, KINDS_OF_TWO, KINDS_UNDER_SUBJECT, cell_key
from folkmoot.protocol.limits import (
    CELL_DEVICES,
    MESSAGE_DEPTH,
    RECORD_BYTES,
    RECORD_ID_BYTES,
    SIGNATURE_BYTES,
    STAMP_MAX,
)
from folkmoot.protocol.moderation.decision import KIND as DECISION
from folkmoot.protocol.moderation.decision import check_decision_time
from folkmoot.protocol.moderation.sampling import KIND as VOTE

VERSION: Final = 1
SIGNED_PREFIX: Final = b"folkmoot-record-v1\x00"


class _Payload(msgspec.Struct, omit_defaults=True):
    """The payload's map. Fields stand in the order of their names, which is the canonical order."""

    author: bytes
    body: dict[str, Any]
    item: bytes
    kind: str
    stamp: int
    version: int
    place: bytes | None = None
    seen: dict[str, int] | None = None
    signer: bytes | None = None


_decoder = msgspec.msgpack.Decoder(_Payload)
_encoder = msgspec.msgpack.Encoder(order="sorted")


class Record:
    """One signed statement, read and checked for form.

    Attributes:
        payload: the signed bytes, as received.
        signature: 64 bytes; not yet verified by reading.
        author, place: account ids; `place` is the author's own unless the record says otherwise.
        kind, item, body: what is said and about which item.
        device: the account id form of the key that signed: `signer`, or the author's first key.
        stamp: microseconds since 1970 by that device's clock.
        seen: of other devices, the greatest stamp the author had seen at this key.
        key: the cell's key.
        id: SHA-256 of the payload.
    """

    __slots__ = (
        "author",
        "body",
        "device",
        "id",
        "item",
        "key",
        "kind",
        "payload",
        "place",
        "seen",
        "signature",
        "stamp",
    )

    def __init__(self, payload: bytes, signature: bytes) -> None:
        if len(payload) > RECORD_BYTES:
            raise WireError(TOO_LARGE, f"a payload of {len(payload)} bytes; the limit is {RECORD_BYTES}")
        if len(signature) != SIGNATURE_BYTES:
            raise WireError(
                BAD_REQUEST, f"a signature of {len(signature)} bytes instead of {SIGNATURE_BYTES}"
            )
        fields = _read(payload)
        self.payload = payload
        self.signature = signature
        self.author = fields.author
        self.kind = fields.kind
        self.item = fields.item
        self.body = fields.body
        self.stamp = fields.stamp
        self.place = fields.place or fields.author
        self.device = fields.signer or fields.author
        self.seen = _seen(fields)
        _check_fields(fields)
        self.key = cell_key(self.place, self.kind, self.item)
        _check_authorship(self, fields)
        check_body(self.kind, self.item, self.body)
        _check_times(self)
        self.id = hashlib.sha256(payload).digest()

    @classmethod
    def from_wire(cls, value: object) -> Self:
        """Read `[payload, signature]` as decoded from a message.

        Raises:
            WireError: `bad_request`, `too_large` or `not_canonical`, saying which rule is broken.
        """
        if (
            not isinstance(value, list | tuple)
            or len(value) != 2
            or type(value[0]) is not bytes
            or type(value[1]) is not bytes
        ):
            raise WireError(BAD_REQUEST, "a record is [payload, signature], both binary")
        return cls(value[0], value[1])

    @classmethod
    def sign(
        cls,
        device: KeyPair,
        *,
        kind: str,
        item: bytes,
        body: Mapping[str, Any],
        stamp: int,
        author: bytes | None = None,
        place: bytes | None = None,
        seen: Mapping[bytes, int] | None = None,
    ) -> Self:
        """Make a record and sign it.

        Args:
            device: the key that signs.
            kind, item, body: see the contract's table.
            stamp: microseconds since 1970, greater than any this device used before.
            author: the account; the device's owner if not given.
            place: the subject's author, for kinds that live there.
            seen: device (34 bytes) → greatest stamp seen at this key; the own device is left out.

        Raises:
            WireError: when the result would not be a valid record.
        """
        author = author or device.owner
        fields: dict[str, Any] = {
            "author": author,
            "body": dict(body),
            "item": item,
            "kind": kind,
            "stamp": stamp,
            "version": VERSION,
        }
        if place is not None and place != author:
            fields["place"] = place
        others = {known.hex(): at for known, at in (seen or {}).items() if known != device.account}
        if others:
            fields["seen"] = others
        if author != device.account:
            fields["signer"] = device.account
        payload = codec.encode_canonical(fields)
        return cls(payload, device.sign(SIGNED_PREFIX + payload))

    @property
    def deleted(self) -> bool:
        """Whether this record is a deletion, which absorbs everything else at its key."""
        return self.kind == "post" and self.body.get("deleted") is True

    @property
    def erases(self) -> bool:
        """Whether nothing older than this record is kept at its key, once superseded."""
        return self.kind in KINDS_ERASING and self.body.get("erase") is True

    @property
    def takes_back(self) -> bool:
        """Whether it leaves less at its key than there was, and so has room on a disk that is nearly full."""
        return self.deleted or self.erases

    def verify(self) -> None:
        """Check the signature.

        Raises:
            WireError: `bad_signature`.
        """
        if not signature_holds(self.device, self.signature, self.payload):
            raise WireError(BAD_SIGNATURE, f"record {self.id.hex()[:16]}… is not signed by its device's key")

    def to_wire(self) -> list[bytes]:
        """`[payload, signature]`."""
        return [self.payload, self.signature]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return self.payload == other.payload and self.signature == other.signature

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Record({self.kind} {self.id.hex()[:12]} stamp={self.stamp})"


def signature_holds(device: bytes, signature: bytes, payload: bytes) -> bool:
    """Whether `signature` over `payload` was made by `device` (an account id form of 34 bytes)."""
    return verify(device, signature, SIGNED_PREFIX + payload)


def record_id(payload: bytes) -> bytes:
    """The 32-byte id of a payload."""
    digest = hashlib.sha256(payload).digest()
    assert len(digest) == RECORD_ID_BYTES
    return digest


def _read(payload: bytes) -> _Payload:
    try:
        fields = _decoder.decode(payload)
    except msgspec.ValidationError as error:
        codec.decode_canonical(payload)  # if it is not canonical, that is said before what is missing
        raise WireError(BAD_REQUEST, f"the payload has the wrong shape: {misshapen(error)}") from error
    except codec.DecodeErrors as error:
        raise WireError(
            NOT_CANONICAL, f"the payload is not one MessagePack map: {malformed(error)}"
        ) from error
    codec.assert_canonical_types(fields.body, depth=MESSAGE_DEPTH - 1)
    if _encoder.encode(fields) != payload:
        codec.decode_canonical(payload)  # passes when all that differs is a key this version does not know
        _refuse_spelled_defaults(fields)
    return fields


def _refuse_spelled_defaults(fields: _Payload) -> None:
    """An optional key is absent when it has its default; spelled out, one statement would have two ids."""
    if fields.place == fields.author:
        raise WireError(NOT_CANONICAL, "place is given though it is the author; leave it out")
    if fields.signer == fields.author:
        raise WireError(NOT_CANONICAL, "signer is given though it is the account's first key; leave it out")
    if fields.seen == {}:
        raise WireError(NOT_CANONICAL, "seen is given though it is empty; leave it out")


def _check_fields(fields: _Payload) -> None:
    _refuse_spelled_defaults(fields)
    if fields.version != VERSION:
        raise WireError(BAD_REQUEST, f"record version {fields.version}; this node knows {VERSION}")
    if not is_account(fields.author):
        raise WireError(BAD_REQUEST, "author is not an account id of 34 bytes")
    if fields.signer is not None and not is_account(fields.signer):
        raise WireError(BAD_REQUEST, "signer is not a key of 34 bytes")
    if not 0 <= fields.stamp <= STAMP_MAX:
        raise WireError(BAD_REQUEST, "stamp is not a number of microseconds since 1970")


def _seen(fields: _Payload) -> dict[bytes, int]:
    if not fields.seen:
        return {}
    if len(fields.seen) >= CELL_DEVICES:
        raise WireError(
            TOO_LARGE, f"seen names {len(fields.seen)} devices; an account has at most {CELL_DEVICES}"
        )
    seen: dict[bytes, int] = {}
    own = fields.signer or fields.author
    for text, stamp in fields.seen.items():
        device = _device_from_hex(text)
        if device is None or device == own or not 0 <= stamp <= STAMP_MAX:
            raise WireError(
                BAD_REQUEST,
                f"seen has {text[:80]!r}: it maps the lowercase hex of other devices' keys to stamps",
            )
        seen[device] = stamp
    return seen


def _device_from_hex(text: str) -> bytes | None:
    try:
        device = bytes.fromhex(text)
    except ValueError:
        return None
    return device if is_account(device) and device.hex() == text else None


def _check_times(record: Record) -> None:
    """What a record erases is told by age, so it is the newest of all that its author has seen there."""
    if record.kind == "preference":
        check_mark_time(record.item, record.body, record.stamp)
    if record.kind == DECISION:
        check_decision_time(record.item, record.stamp)
    if record.erases and record.stamp <= max(record.seen.values(), default=-1):
        raise WireError(BAD_REQUEST, "a record that erases has a greater stamp than all in its seen")


def _check_authorship(record: Record, fields: _Payload) -> None:
    """One author a cell: who writes under another's place ends the item with their own account.

    And nobody follows, mutes or blocks themselves.
    """
    if record.kind in KINDS_OF_TWO and record.item == record.author:
        raise WireError(BAD_REQUEST, f"a {record.kind} of oneself: the item is another account's 34 bytes")
    if record.kind in KINDS_UNDER_SUBJECT:
        if not record.item.endswith(record.author):
            raise WireError(BAD_REQUEST, f"the item of a {record.kind} ends with its author's 34 bytes")
        if record.kind == DECISION and fields.place is None:
            raise WireError(BAD_REQUEST, "nobody decides about what they wrote themselves")
        if record.kind == VOTE and "sample" in record.body and fields.place is None:
            raise WireError(BAD_REQUEST, "nobody judges what they wrote themselves")
    elif fields.place is not None:
        raise WireError(BAD_REQUEST, f"a {record.kind} lives with its author; leave place out")
