"""Canonical MessagePack: one value, one spelling. Every other spelling is refused."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.errors import NOT_CANONICAL, TOO_LARGE, WireError
from folkmoot.protocol.limits import MESSAGE_COLLECTION_ITEMS, MESSAGE_DEPTH
from hypothesis import assume, given
from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SCALARS = st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT | st.binary(max_size=300)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(TEXT, inner, max_size=20),
    max_leaves=30,
)
Spell = Callable[[int], bytes]


def refuses(data: bytes) -> bool:
    try:
        codec.decode_canonical(data)
    except WireError as error:
        assert error.kind in (NOT_CANONICAL, TOO_LARGE)
        return True
    return False


@given(VALUES)
def test_a_value_survives_the_round_trip(value: Any) -> None:
    data = codec.encode_canonical(value)
    decoded = codec.decode_canonical(data)
    assert decoded == value and repr(decoded) == repr(_sorted(value))
    assert codec.unpack(data) == value


def _ascending(keys: Iterable[str]) -> list[str]:
    return sorted(keys, key=lambda key: key.encode())


def _sorted(value: Any) -> Any:
    """`value` with its maps in canonical order, so that `repr` tells True from 1."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in _ascending(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(TEXT, st.integers(0, 100), min_size=2, max_size=10), st.randoms(use_true_random=False))
def test_keys_stand_in_the_order_of_their_bytes(value: dict[str, int], random: Any) -> None:
    entries = [codec.pack(key) + codec.pack(item) for key, item in value.items()]
    header = bytes((0x80 | len(entries),))
    ascending = [
        codec.pack(key) + codec.pack(value[key]) for key in sorted(value, key=lambda key: key.encode())
    ]
    assert codec.encode_canonical(value) == header + b"".join(ascending)
    random.shuffle(entries)
    assume(entries != ascending)
    assert refuses(header + b"".join(entries))


@given(st.dictionaries(TEXT, st.integers(0, 100), min_size=1, max_size=10), st.data())
def test_a_repeated_key_is_refused(value: dict[str, int], data: st.DataObject) -> None:
    entries = [
        codec.pack(key) + codec.pack(value[key]) for key in sorted(value, key=lambda key: key.encode())
    ]
    at = data.draw(st.integers(0, len(entries) - 1))
    entries.insert(at, entries[at])
    assert refuses(bytes((0x80 | len(entries),)) + b"".join(entries))


# Every header that can announce a value: lead byte, and how the count or number follows.
INTEGERS: dict[str, tuple[range, Spell]] = {
    "uint8": (range(2**8), lambda number: b"\xcc" + number.to_bytes(1, "big")),
    "uint16": (range(2**16), lambda number: b"\xcd" + number.to_bytes(2, "big")),
    "uint32": (range(2**32), lambda number: b"\xce" + number.to_bytes(4, "big")),
    "uint64": (range(2**64), lambda number: b"\xcf" + number.to_bytes(8, "big")),
    "int8": (range(-(2**7), 2**7), lambda number: b"\xd0" + struct.pack(">b", number)),
    "int16": (range(-(2**15), 2**15), lambda number: b"\xd1" + struct.pack(">h", number)),
    "int32": (range(-(2**31), 2**31), lambda number: b"\xd2" + struct.pack(">i", number)),
    "int64": (range(-(2**63), 2**63), lambda number: b"\xd3" + struct.pack(">q", number)),
}
EDGES = sorted({sign * 2**bits + near for bits in range(65) for near in (-1, 0, 1) for sign in (-1, 1)})


@pytest.mark.parametrize("header", INTEGERS)
@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "in a map"])
def test_an_integer_has_one_header(header: str, wrapped: bool) -> None:
    numbers, spell = INTEGERS[header]
    refused = 0
    for number in EDGES:
        if number in numbers:
            spelled = spell(number)
            shortest = codec.encode_canonical(number)
            data = b"\x81\xa1n" + spelled if wrapped else spelled
            assert refuses(data) == (spelled != shortest), (number, header)
            refused += spelled != shortest
    assert refused > 10


COUNTED: dict[str, tuple[bytes, int, list[int], Callable[[int], bytes]]] = {
    "str8": (b"\xd9", 1, [0, 1, 31, 32, 255], lambda count: b"x" * count),
    "str16": (b"\xda", 2, [0, 31, 32, 255, 256, 5000], lambda count: b"x" * count),
    "str32": (b"\xdb", 4, [0, 31, 32, 65535, 65536], lambda count: b"x" * count),
    "bin8": (b"\xc4", 1, [0, 1, 255], lambda count: b"\xff" * count),
    "bin16": (b"\xc5", 2, [0, 255, 256, 65535], lambda count: b"\xff" * count),
    "bin32": (b"\xc6", 4, [0, 65535, 65536], lambda count: b"\xff" * count),
    "array16": (b"\xdc", 2, [0, 15, 16, 4096], lambda count: b"\x01" * count),
    "array32": (b"\xdd", 4, [0, 15, 16, 4096], lambda count: b"\x01" * count),
    "map16": (b"\xde", 2, [0, 1, 15, 16, 100], lambda count: _entries(count)),
    "map32": (b"\xdf", 4, [0, 1, 15, 16, 100], lambda count: _entries(count)),
}


def _entries(count: int) -> bytes:
    return b"".join(codec.pack(f"{number:03}") + b"\x01" for number in range(count))


@pytest.mark.parametrize("header", COUNTED)
def test_a_length_has_one_header(header: str) -> None:
    lead, width, counts, contents = COUNTED[header]
    outcomes = set()
    for count in counts:
        data = lead + count.to_bytes(width, "big") + contents(count)
        shortest = codec.encode_canonical(codec.unpack(data))
        assert refuses(data) == (data != shortest), (header, count)
        outcomes.add(data != shortest)
    assert True in outcomes or header == "bin8", "bin8 is the shortest there is"


@pytest.mark.parametrize(
    "value", [None, 1.0, float("nan"), {1: 2}, {b"x": 1}, {None: 1}, {1, 2}, object(), [[None]]]
)
def test_what_has_no_canonical_form_is_not_encoded(value: Any) -> None:
    with pytest.raises(WireError) as refusal:
        codec.encode_canonical(value)
    assert refusal.value.kind is NOT_CANONICAL


@pytest.mark.parametrize("value", ["\ud800", {"\ud800": 1}, 2**64, -(2**63) - 1])
def test_what_messagepack_cannot_hold_is_not_encoded(value: Any) -> None:
    with pytest.raises(WireError) as refusal:
        codec.encode_canonical(value)
    assert refusal.value.kind is NOT_CANONICAL


@pytest.mark.parametrize(
    "spelled",
    [
        "c0",
        "c1",
        "ca00000000",
        "cb0000000000000000",
        "d400ff",
        "d6ff00000000",
        "c70005",
        "810101",
        "81c001",
        "818001",
    ],
)
@pytest.mark.parametrize("prefix", ["", "91", "81a178"], ids=["alone", "in an array", "in a map"])
def test_forbidden_types_are_refused_wherever_they_stand(prefix: str, spelled: str) -> None:
    assert refuses(bytes.fromhex(prefix + spelled))


@given(VALUES, st.binary(min_size=1, max_size=9))
def test_bytes_after_the_value_are_refused(value: Any, tail: bytes) -> None:
    assert refuses(codec.encode_canonical(value) + tail)


@given(VALUES, st.data())
def test_a_value_cut_short_is_refused(value: Any, data: st.DataObject) -> None:
    whole = codec.encode_canonical(value)
    assert refuses(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_are_the_one_spelling(data: bytes) -> None:
    try:
        value = codec.decode_canonical(data)
    except WireError:
        return
    assert codec.encode_canonical(value) == data


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1x"], ids=["arrays", "maps"])
def test_nesting_is_bounded(opening: bytes) -> None:
    assert not refuses(opening * MESSAGE_DEPTH + b"\x01")
    assert refuses(opening * (MESSAGE_DEPTH + 1) + b"\x01")
    assert refuses(opening * 100_000 + b"\x01")


def test_collections_are_bounded() -> None:
    header = b"\xdc" + (MESSAGE_COLLECTION_ITEMS + 1).to_bytes(2, "big")
    assert refuses(header + b"\x01" * (MESSAGE_COLLECTION_ITEMS + 1))


def test_lengths_beyond_the_data_cost_nothing() -> None:
    for announced in (
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
    ):
        assert refuses(announced + b"\x01" * 100)


def test_of_the_published_spellings_one_is_canonical(shared_data: Callable[[str], Path]) -> None:
    """Each case of the suite lists every spelling of a value: the shortest is it, and the unsigned of two."""
    suite = json.loads(shared_data("conformance/msgpack/msgpack-test-suite.json").read_text())
    allowed = {"bool", "binary", "number", "bignum", "string", "array", "map"}
    compared = 0
    for case in (case for group in suite.values() for case in group):
        spellings = [bytes.fromhex(text.replace("-", "")) for text in case["msgpack"]]
        accepted = [data for data in spellings if not refuses(data)]
        whole = [data for data in spellings if data[:1] not in (b"\xca", b"\xcb")]
        if not allowed & case.keys() or "null" in json.dumps(case) or not whole:
            assert accepted == [], case
        else:
            assert accepted == [min(whole, key=lambda data: (len(data), data))], case
            compared += 1
    assert compared > 50
