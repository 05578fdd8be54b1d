"""Cursors: a position goes out and comes back, and nothing else does."""

from __future__ import annotations

import pytest
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.feed.cursor import CursorKind, decode, encode
from folkmoot.protocol.limits import CURSOR_BYTES, ITEM_BYTES
from hypothesis import given
from hypothesis import strategies as st

ACCOUNT = b"\xed\x01" + bytes(32)
AUTHOR = CursorKind.AUTHOR
POSITIONS = st.binary(max_size=ITEM_BYTES)
SUBJECTS = st.binary(min_size=34, max_size=34)


@given(SUBJECTS, POSITIONS)
def test_a_cursor_names_its_position(subject: bytes, position: bytes) -> None:
    cursor = encode(AUTHOR, subject, position)
    assert len(cursor) <= CURSOR_BYTES
    assert decode(AUTHOR, subject, cursor) == position


@given(SUBJECTS, SUBJECTS, POSITIONS)
def test_a_cursor_of_another_feed_is_refused(one: bytes, other: bytes, position: bytes) -> None:
    if one != other:
        with pytest.raises(WireError, match="not one of this feed") as caught:
            decode(AUTHOR, other, encode(AUTHOR, one, position))
        assert caught.value.kind is BAD_REQUEST


@given(SUBJECTS, st.binary(min_size=1, max_size=ITEM_BYTES), st.data())
def test_a_changed_cursor_is_refused(subject: bytes, position: bytes, data: st.DataObject) -> None:
    cursor = bytearray(encode(AUTHOR, subject, position))
    cursor[data.draw(st.integers(0, len(cursor) - 1))] ^= data.draw(st.integers(1, 255))
    for forged in (bytes(cursor), encode(AUTHOR, subject, position)[:-1]):
        with pytest.raises(WireError) as caught:
            decode(AUTHOR, subject, forged)
        assert caught.value.kind is BAD_REQUEST


def test_subject_and_position_cannot_trade_bytes() -> None:
    cursor = encode(AUTHOR, ACCOUNT, b"ab")
    shifted = cursor[:-2] + b"b"
    with pytest.raises(WireError):
        decode(AUTHOR, ACCOUNT + b"a", shifted)


@pytest.mark.parametrize("cursor", [None, 7, "text", b"", b"\x01", bytes(10), bytes(257)])
def test_what_no_page_gave_is_refused(cursor: object) -> None:
    with pytest.raises(WireError) as caught:
        decode(AUTHOR, ACCOUNT, cursor)
    assert caught.value.kind is BAD_REQUEST
