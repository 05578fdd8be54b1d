"""What clients are told of bytes that cannot be read: in the contract's words, not in those of a library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from folkmoot.protocol import codec, messages
from folkmoot.protocol.connection import Connection, Violation
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.record import Record

JARGON = ("unpack", "strict", "max_", "codec", "`", "$", "opcode", "Object", "object", "exceeds", "Error")


def sentence(decode: Callable[[bytes], object], data: bytes) -> str:
    with pytest.raises(WireError) as caught:
        decode(data)
    assert not [word for word in JARGON if word in caught.value.message], caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it ends in the middle of a value"),
        (b"\x92\x01", "it ends in the middle of a value"),
        (b"\xdb\xff\xff\xff\xff", "it ends in the middle of a value"),
        (b"\x01\x02", "something follows the value"),
        (b"\xc1", "begins no value"),
        (b"\x92\x01\xa2a\xfe", "a text is not valid UTF-8"),
    ],
)
def test_malformed(data: bytes, said: str) -> None:
    assert said in sentence(codec.unpack, data)
    assert said in sentence(codec.decode_canonical, data)
    assert said in sentence(lambda payload: Record.from_wire([payload, bytes(64)]), data)
    sentence(Cell.decode, data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x81\x01\x02", "a map key is neither text nor binary"),
        (b"\xd4\x01\x00", "an extension type"),
        (b"\xc7\x00\x01", "an extension type"),
        (b"\xdc\x20\x00" + bytes(0x2000), "an array of 8192 entries, over the limit"),
        (b"\xdd\xff\xff\xff\xff", "an array of 4294967295 entries, over the limit"),
        (b"\xdf\x00\x00\x20\x00", "a map of 8192 entries, over the limit"),
    ],
)
def test_not_for_a_message(data: bytes, said: str) -> None:
    assert said in sentence(codec.unpack, data)


def test_where_it_is_known_the_offset_is_told() -> None:
    assert sentence(codec.unpack, b"\x92\x01\xa2a\xfe").endswith("from its byte 1 on")
    assert sentence(codec.decode_canonical, b"\x01\x02").endswith("from byte 1 on")
    assert sentence(codec.decode_canonical, b"\x92\x01\xc1").endswith("byte 2 begins no value")


@pytest.mark.parametrize(
    "data", [b"\xc1", b"\xdb\xff\xff\xff\xff", b"\x93\x02\xa1a\xd4\x01\x00", b"\x91" * 600]
)
def test_a_goodbye_has_no_jargon(data: bytes) -> None:
    [said] = Connection().receive(data)
    assert isinstance(said, Violation)
    assert not [word for word in JARGON if word in said.error.message], said.error.message


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "hello: versions is missing"),
        ([], "hello: expected map, got array"),
        ({"versions": 1}, "hello: expected array, got integer, at versions"),
        ({"versions": [1]}, "hello: expected array of length 2, got 1, at versions"),
        ({"versions": [1, "1"]}, "hello: expected integer, got text, at versions[1]"),
        ({"versions": [1, 1], "client": None}, "hello: expected text, got nil, at client"),
    ],
)
def test_misshapen(value: Any, said: str) -> None:
    assert sentence(lambda _: codec.shaped(value, messages.Hello, "hello"), b"") == said
