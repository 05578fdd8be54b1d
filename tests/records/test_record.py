"""Records under damage: whatever the bytes, reading them ends in a record or in a `WireError`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.bodies import is_uuid7, make_uuid7, post_time_ms
from folkmoot.protocol.errors import BAD_REQUEST, NOT_CANONICAL, ErrorKind, WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.limits import ITEM_BYTES
from folkmoot.protocol.record import Record, record_id
from hypothesis import given
from hypothesis import strategies as st

from tests.records.test_canonical import VALUES
from tests.vectors.generate import FOLDER

ALICE, LAPTOP = KeyPair(b"\x01" * 32), KeyPair(b"\x02" * 32)
SIGNATURE = bytes(64)
PAYLOADS = [
    bytes.fromhex(case["payload"])
    for case in json.loads((FOLDER / "records.json").read_text())["valid"]
    if len(case["payload"]) < 2000
]
NAMES = ["author", "body", "item", "kind", "place", "seen", "signer", "stamp", "version", "later"]
BODY_NAMES = [
    *("text", "lang", "reply_to", "root", "quote", "tags", "media", "warning", "deleted", "later"),
    *("labels", "mentions", "reply_from", "quote_from"),
]


def reads(payload: Any, signature: Any = SIGNATURE) -> Record | None:
    """The record, or None when it is refused as it should be: with a `WireError` and nothing else."""
    try:
        record = Record.from_wire([payload, signature])
    except WireError:
        return None
    assert record.payload == payload
    assert codec.encode_canonical(codec.decode_canonical(payload)) == payload
    return record


@given(st.data())
def test_damaged_payloads_end_in_a_wire_error_or_a_record(data: st.DataObject) -> None:
    payload = data.draw(st.sampled_from(PAYLOADS))
    at = data.draw(st.integers(0, len(payload)))
    damaged = payload[:at] + data.draw(st.binary(max_size=5)) + payload[at + data.draw(st.integers(0, 5)) :]
    reads(damaged)


@given(st.sampled_from(PAYLOADS), st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_never_leaves_the_id_as_it_was(payload: bytes, at: int, bit: int) -> None:
    damaged = bytearray(payload)
    damaged[at % len(payload)] ^= 1 << bit
    record = reads(bytes(damaged))
    assert record is None or record.id != record_id(payload)


@given(st.binary(max_size=80))
def test_random_bytes_are_refused(payload: bytes) -> None:
    assert reads(payload) is None


@given(
    st.sampled_from(PAYLOADS),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3),
    st.sets(st.sampled_from(NAMES)),
)
def test_canonical_maps_of_any_contents(payload: bytes, changed: dict[str, Any], dropped: set[str]) -> None:
    fields = {**codec.decode_canonical(payload), **changed}
    reads(codec.encode_canonical({name: value for name, value in fields.items() if name not in dropped}))


@given(name=st.sampled_from(BODY_NAMES), value=VALUES)
def test_any_value_for_any_key_of_a_body(name: str, value: Any) -> None:
    fields = codec.decode_canonical(PAYLOADS[0])
    for body in ({"text": "x", name: value}, {"text": value}, {"deleted": value}, value):
        reads(codec.encode_canonical({**fields, "body": body}))


@given(VALUES)
def test_any_value_instead_of_a_record(value: Any) -> None:
    for wire in (value, [value], [PAYLOADS[0], value], [value, SIGNATURE], [PAYLOADS[0], SIGNATURE, value]):
        if wire != [PAYLOADS[0], SIGNATURE]:
            with pytest.raises(WireError):
                Record.from_wire(wire)


@given(
    value=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES, max_size=3),
    stamp=st.integers(0, 2**63 - 1),
    item=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
    seen=st.dictionaries(st.binary(min_size=32, max_size=32), st.integers(0, 2**63 - 1), max_size=15),
)
def test_what_is_signed_reads_back(
    value: dict[str, Any], stamp: int, item: str, seen: dict[bytes, int]
) -> None:
    clock = {b"\xed\x01" + public: at for public, at in seen.items()}
    record = Record.sign(
        LAPTOP,
        author=ALICE.account,
        kind="profile",
        item=item.encode()[:ITEM_BYTES],
        body={**value, "value": "x"},
        stamp=stamp,
        seen=clock,
    )
    record.verify()
    again = Record.from_wire(record.to_wire())
    assert again == record and hash(again) == hash(record) and again.id == record_id(record.payload)
    assert (again.author, again.place, again.device) == (ALICE.account, ALICE.account, LAPTOP.account)
    assert again.seen == clock and again.stamp == stamp and again.body == {**value, "value": "x"}


def test_the_own_device_is_left_out_of_seen() -> None:
    seen = {ALICE.account: 5, LAPTOP.account: 6}
    record = Record.sign(ALICE, kind="profile", item=b"name", body={"value": "x"}, stamp=7, seen=seen)
    assert record.seen == {LAPTOP.account: 6}


@pytest.mark.parametrize(
    ("payload", "kind"),
    [(b"\x81\xa1x\xc0", NOT_CANONICAL), (b"\x81\xa1x\x01", BAD_REQUEST), (b"\x80\x00", NOT_CANONICAL)],
)
def test_form_is_looked_at_before_contents(payload: bytes, kind: ErrorKind) -> None:
    with pytest.raises(WireError) as refusal:
        Record(payload, SIGNATURE)
    assert refusal.value.kind is kind


def test_signing_what_cannot_be_written_is_refused() -> None:
    for body in ({"text": "\ud800"}, {"text": "x", "score": 1.5}, {"text": "x" * 3001}, {"deleted": 1}):
        with pytest.raises(WireError):
            Record.sign(ALICE, kind="post", item=make_uuid7(1, 1), body=body, stamp=1)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1), st.integers(0, 2**48 - 1))
def test_the_items_of_posts_stand_in_the_order_of_time(time_ms: int, random_bits: int, other_ms: int) -> None:
    item, other = make_uuid7(time_ms, random_bits), make_uuid7(other_ms, 0)
    assert is_uuid7(item) and post_time_ms(item) == time_ms
    if time_ms != other_ms:
        assert (item < other) == (time_ms < other_ms)
