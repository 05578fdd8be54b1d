"""Keys: their order is the order of the space, and every cut of the space agrees with it."""

from __future__ import annotations

import hashlib

import pytest
from folkmoot.protocol import key as keys
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.limits import BLOCKS, BLOCKS_PER_LANE, ITEM_BYTES, LANES, STORE_KEY_BYTES
from hypothesis import given
from hypothesis import strategies as st

PLACES = st.binary(min_size=32, max_size=32).map(lambda public: b"\xed\x01" + public)
KINDS = st.sampled_from(sorted(set(keys.KIND_BYTE) - {keys.HELD}))
ITEMS = st.binary(min_size=1, max_size=ITEM_BYTES)
ALICE = KeyPair(b"\x01" * 32).account


@given(PLACES, KINDS, ITEMS)
def test_a_key_can_be_taken_apart(place: bytes, kind: str, item: bytes) -> None:
    key = keys.cell_key(place, kind, item)
    assert keys.parse_key(key) == (place, kind, item)
    assert key[:8] == hashlib.sha256(place).digest()[:8]
    assert len(key) < STORE_KEY_BYTES
    assert key.startswith(keys.kind_prefix(place, kind)) and key.startswith(keys.place_prefix(place))


@given(PLACES, KINDS, ITEMS)
def test_where_a_record_waits_is_a_key_of_the_same_lane(place: bytes, kind: str, item: bytes) -> None:
    key = keys.cell_key(place, kind, item)
    held = keys.held_key(key)
    assert keys.parse_key(held) == (place, keys.HELD, key[keys.KIND_AT :])
    assert keys.lane_of(held) == keys.lane_of(key)


@given(PLACES, ITEMS)
def test_lanes_and_blocks_cut_the_space_in_the_order_of_keys(place: bytes, item: bytes) -> None:
    key = keys.cell_key(place, "post", item)
    block, lane = keys.block_of(key), keys.lane_of(key)
    assert block // BLOCKS_PER_LANE == lane
    assert keys.block_start(block) <= key
    assert not keys.block_start(block + 1) or key < keys.block_start(block + 1)


def test_blocks_cover_the_space_once() -> None:
    starts = [keys.block_start(block) for block in range(BLOCKS)]
    assert starts == sorted(set(starts)) and starts[0] == b"\x00\x00"
    assert keys.block_start(BLOCKS) == b""
    assert {keys.lane_of(start) for start in starts} == set(range(LANES))
    assert [keys.block_of(start) for start in starts] == list(range(BLOCKS))
    assert keys.block_of(b"\xff" * 40) == BLOCKS - 1


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_the_end_of_a_prefix_is_the_least_key_beyond_it(prefix: bytes, key: bytes) -> None:
    end = keys.prefix_end(prefix)
    if end:
        assert (prefix <= key < end) == key.startswith(prefix)
    else:
        assert not prefix.strip(b"\xff")
        assert (prefix <= key) == key.startswith(prefix)


def test_kind_bytes_are_never_reused() -> None:
    """They are on disk and on the wire; a new kind gets a new number."""
    assert keys.KIND_BYTE == {
        "post": 1,
        "profile": 2,
        "follow": 3,
        "mute": 4,
        "block": 5,
        "bookmark": 6,
        "like": 7,
        "repost": 8,
        "report": 9,
        "label": 10,
        "vote": 11,
        "decision": 12,
        "appeal": 13,
        "list": 14,
        "listed": 15,
        "preference": 16,
        "held": 64,
    }


@pytest.mark.parametrize(
    ("place", "kind", "item"),
    [
        (ALICE, "poem", b"x"),
        (ALICE[2:], "post", b"x"),
        (b"\xe7\x01" + ALICE[2:], "post", b"x"),
        (ALICE, "post", b""),
        (ALICE, "post", b"x" * (ITEM_BYTES + 1)),
    ],
)
def test_what_can_be_no_key_is_refused(place: bytes, kind: str, item: bytes) -> None:
    with pytest.raises(WireError):
        keys.cell_key(place, kind, item)


@given(st.binary(max_size=200))
def test_other_bytes_are_no_key(data: bytes) -> None:
    with pytest.raises(WireError):
        keys.parse_key(data)


def test_a_key_whose_hash_is_anothers_is_refused() -> None:
    key = keys.cell_key(ALICE, "post", b"x")
    with pytest.raises(WireError):
        keys.parse_key(bytes((key[0] ^ 1,)) + key[1:])
    with pytest.raises(WireError):
        keys.parse_key(key[: keys.KIND_AT] + b"\xc8" + key[keys.ITEM_AT :])
