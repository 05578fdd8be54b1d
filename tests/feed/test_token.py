"""Session tokens: joining loses nothing, the bound holds, and only what nodes gave out is taken back."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.crdt import clock as clocks
from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.key import cell_key, lane_of
from folkmoot.protocol.limits import ITEM_BYTES, LANES, STAMP_AHEAD_US, TOKEN_BYTES, TOKEN_PAIRS
from folkmoot.protocol.token import Token
from hypothesis import given
from hypothesis import strategies as st


def account(number: int) -> bytes:
    """An account id that follows from a number."""
    return b"\xed\x01" + hashlib.sha256(b"account %d" % number).digest()


def key(place: int, item: int = 0) -> bytes:
    """The key of a numbered post."""
    return cell_key(account(place), "post", item.to_bytes(16, "big"))


CLOCKS = st.dictionaries(st.integers(0, 3).map(account), st.integers(0, 9), min_size=1, max_size=3)
KEYS = st.builds(key, st.integers(0, 5), st.integers(0, 3))
SEEN = st.lists(st.tuples(KEYS, CLOCKS), max_size=20)
LARGE = st.lists(st.tuples(st.builds(key, st.integers(0, 300)), CLOCKS), max_size=300)
TOKENS = st.builds(Token.of, st.one_of(SEEN, LARGE))


def joined(seen: list[tuple[bytes, clocks.Clock]]) -> dict[bytes, clocks.Clock]:
    """All that was seen, by key."""
    everything: dict[bytes, clocks.Clock] = {}
    for at, clock in seen:
        everything[at] = clocks.join(everything.get(at, {}), clock)
    return everything


def demands(token: Token, at: bytes, clock: clocks.Clock) -> bool:
    """Whether the token would turn away a replica with `clock` at `at`."""
    return token.at_quorum(at) or not token.covered_by(at, clock)


@given(SEEN)
def test_a_replica_must_cover_all_that_was_seen_at_a_key(seen: list[tuple[bytes, clocks.Clock]]) -> None:
    token = Token.of(seen)
    assert token.lanes == frozenset()
    for at, clock in seen:
        for device, stamp in clock.items():
            short = clocks.join(dict.fromkeys(clock, 9), {}) | {device: stamp - 1}
            assert not token.covered_by(at, short)
    assert all(token.covered_by(at, clock) for at, clock in joined(seen).items())
    assert token.covered_by(key(99), {})


@given(TOKENS, TOKENS, KEYS, CLOCKS)
def test_a_joined_token_asks_for_all_that_either_does(
    one: Token, other: Token, at: bytes, clock: clocks.Clock
) -> None:
    both = one.join(other)
    if demands(one, at, clock) or demands(other, at, clock):
        assert demands(both, at, clock)
    assert both == other.join(one)
    assert both.join(one) == both
    assert one.join(Token()) == one


@given(LARGE)
def test_past_the_bound_the_fullest_lanes_are_read_at_quorum(seen: list[tuple[bytes, clocks.Clock]]) -> None:
    token = Token.of(seen)
    assert sum(map(len, token.cells.values())) <= TOKEN_PAIRS
    assert all(token.at_quorum(at) or at in token.cells for at, _ in seen)
    assert not any(token.at_quorum(at) for at in token.cells)
    if sum(map(len, joined(seen).values())) <= TOKEN_PAIRS:
        assert token == Token(joined(seen))


def test_one_busy_account_costs_one_lane() -> None:
    quiet = [(key(number), {account(number): 1}) for number in range(10)]
    busy = [(key(77, item), {account(77): item}) for item in range(TOKEN_PAIRS)]
    token = Token.of(quiet + busy)
    assert token.lanes == frozenset({lane_of(key(77))})
    assert set(token.cells) == {at for at, _ in quiet if not token.at_quorum(at)}


@given(TOKENS, st.frozensets(KEYS))
def test_confirmed_cells_leave_and_others_stay(token: Token, confirmed: frozenset[bytes]) -> None:
    rest = token.without((at, token.cells.get(at, {})) for at in confirmed)
    assert set(rest.cells) == set(token.cells) - confirmed
    assert rest.lanes == token.lanes


def test_an_older_record_confirmed_leaves_what_was_seen_since() -> None:
    token = Token.of([(key(1), {account(1): 200, account(2): 50})])
    assert token.without([(key(1), {account(1): 100})]) == token
    rest = token.without([(key(1), {account(1): 200})])
    assert rest == Token.of([(key(1), {account(2): 50})])
    assert rest.without([(key(1), {account(2): 51})]) == Token()


@given(TOKENS)
def test_tokens_survive_the_journey(token: Token) -> None:
    data = token.encode()
    assert Token.decode(data) == token
    assert Token.decode(data).encode() == data


def test_the_largest_token_is_within_its_bound() -> None:
    longest = [cell_key(account(at), "like", bytes([at]) * ITEM_BYTES) for at in range(TOKEN_PAIRS)]
    token = Token.of((at, {account(number): 2**63 - 1}) for number, at in enumerate(longest))
    assert len(token.cells) == TOKEN_PAIRS
    assert len(token.encode()) <= TOKEN_BYTES


PAIR = [key(1), account(1), 7]
NO_LANES = bytes(LANES // 8)


def wire(version: Any = 1, lanes: Any = NO_LANES, pairs: Any = (PAIR,)) -> bytes:
    """A token's bytes, made by hand."""
    return codec.pack([version, lanes, list(pairs)])


def test_bytes_made_by_hand_are_a_token() -> None:
    assert Token.decode(wire()) == Token.of([(key(1), {account(1): 7})])
    assert Token.decode(wire(lanes=bytes(7) + b"\x05", pairs=[])) == Token(lanes=frozenset({0, 2}))


@pytest.mark.parametrize(
    "data",
    [
        None,
        "text",
        b"",
        b"\xc1",
        wire()[:-1],
        wire() + b"\0",
        codec.pack({}),
        codec.pack([1, NO_LANES]),
        codec.pack([1, NO_LANES, [], 0]),
        wire(version=2),
        wire(version=True),
        wire(lanes=bytes(7)),
        wire(lanes=0),
        wire(pairs=[PAIR, PAIR]),
        wire(pairs=[[key(1), account(1)]]),
        wire(pairs=[[key(1), account(1), -1]]),
        wire(pairs=[[key(1), account(1), 2**63]]),
        wire(pairs=[[key(1), account(1)[1:] + b"\0", 1]]),
        wire(pairs=[[key(1), account(1)[1:], 1]]),
        wire(pairs=[[b"\0" * 50, account(1), 1]]),
        wire(pairs=[[b"", account(1), 1]]),
        wire(pairs=sorted([key(at), account(at), 1] for at in range(TOKEN_PAIRS + 1))),
        wire(pairs=sorted(([key(at), account(at), 1] for at in (1, 2)), reverse=True)),
        wire(lanes=(1 << lane_of(key(1))).to_bytes(8, "big")),
    ],
)
def test_anything_else_is_a_bad_request(data: object) -> None:
    with pytest.raises(WireError) as caught:
        Token.decode(data)
    assert caught.value.kind is BAD_REQUEST


def test_what_nobody_can_have_seen_yet_is_refused() -> None:
    now_ms = 1_000_000
    latest_us = now_ms * 1000 + 2 * STAMP_AHEAD_US

    def seen(stamp: int) -> bytes:
        return Token.of([(key(1), {account(1): stamp})]).encode()

    assert Token.decode(seen(latest_us), now_ms) == Token.decode(seen(latest_us))
    with pytest.raises(WireError, match="nobody can have written yet") as refused:
        Token.decode(seen(latest_us + 1), now_ms)
    assert refused.value.kind is BAD_REQUEST


def test_a_huge_token_is_not_even_decoded() -> None:
    with pytest.raises(WireError) as caught:
        Token.decode(b"\xc1" * (TOKEN_BYTES + 1))
    assert caught.value.kind is TOO_LARGE


@given(st.binary(max_size=200))
def test_random_bytes_never_do_more_than_fail(data: bytes) -> None:
    with pytest.raises(WireError):
        Token.decode(data)


@given(TOKENS, st.data())
def test_a_flipped_bit_is_refused_or_is_another_well_formed_token(token: Token, data: st.DataObject) -> None:
    whole = bytearray(token.encode())
    at = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[at // 8] ^= 1 << at % 8
    try:
        assert Token.decode(bytes(whole)) != token
    except WireError as error:
        assert error.kind in (BAD_REQUEST, TOO_LARGE)
