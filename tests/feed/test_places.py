"""Places in logs: bytes that say where somebody has come to, bound to what is followed by their cursor."""

from __future__ import annotations

import pytest
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.feed.cursor import CursorKind, decode, encode
from folkmoot.protocol.feed.places import PLACE_BYTES, LogPlace
from folkmoot.protocol.limits import CURSOR_BYTES
from hypothesis import given
from hypothesis import strategies as st

NUMBERS = st.integers(0, 2**64 - 1)
IDS = st.binary(min_size=16, max_size=16)
PLACES = st.builds(LogPlace, IDS, IDS, NUMBERS, NUMBERS, NUMBERS, st.integers(0, 2**32 - 1))


@given(PLACES)
def test_a_place_comes_back_as_it_went(place: LogPlace) -> None:
    data = place.encode()
    assert (len(data), LogPlace.decode(data)) == (PLACE_BYTES, place)


@given(PLACES, st.sampled_from([CursorKind.FOLLOW_AUTHOR, CursorKind.FOLLOW_RANGE]))
def test_its_cursor_is_one_of_its_stream_only(place: LogPlace, kind: CursorKind) -> None:
    cursor = encode(kind, b"subject", place.encode())
    assert len(cursor) <= CURSOR_BYTES
    assert LogPlace.decode(decode(kind, b"subject", cursor)) == place
    for other_kind, subject in ((kind, b"another"), (CursorKind.AUTHOR, b"subject")):
        with pytest.raises(WireError, match="not one of this feed"):
            decode(other_kind, subject, cursor)


@pytest.mark.parametrize("size", [0, 1, PLACE_BYTES - 1, PLACE_BYTES + 1])
def test_what_is_no_place_is_refused(size: int) -> None:
    with pytest.raises(WireError, match="no place in a log") as caught:
        LogPlace.decode(bytes(size))
    assert caught.value.kind is BAD_REQUEST
