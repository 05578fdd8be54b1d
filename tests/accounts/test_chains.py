"""Chains as bytes: kept whole, compared, and looked up by time."""

from __future__ import annotations

import pytest
from folkmoot.protocol import codec, limits
from folkmoot.protocol.accounts.actions import AddKey, Close, Create, Restore, RevokeKey, SetHandle, Suspend
from folkmoot.protocol.accounts.chain import Chain, Entry
from folkmoot.protocol.accounts.history import fold
from folkmoot.protocol.errors import BAD_SIGNATURE, CONFLICT, WireError
from folkmoot.protocol.identity import KeyPair

from tests.accounts.story import FIRST, RECOVERY, SECOND, STRANGER, Story

SECOND_US = 1_000_000
NOW = 1_700_000_000 * SECOND_US


def life() -> Chain:
    """Five operations, a second apart."""
    told = Story(
        (FIRST, Create(RECOVERY.account)),
        (FIRST, AddKey(SECOND.account, "laptop")),
        (SECOND, SetHandle("alice")),
        (SECOND, RevokeKey(FIRST.account, "lost")),
        (SECOND, Close()),
    )
    times = range(NOW, NOW + 5 * SECOND_US, SECOND_US)
    return Chain(FIRST.account, [Entry(*each) for each in zip(told.operations, times, strict=True)])


def test_a_chain_is_read_as_it_was_written() -> None:
    chain = life()
    again = Chain.decode(FIRST.account, chain.encode())
    again.verify()
    assert (again.entries, again.hashes, again.state) == (chain.entries, chain.hashes, chain.state)
    assert again.state == fold(FIRST.account, [entry.operation for entry in chain.entries])
    assert Chain.decode(FIRST.account, Chain(FIRST.account).encode()).number == 0


def test_a_chain_grows_by_what_may_follow() -> None:
    whole = life()
    grown = Chain(FIRST.account)
    for operation, decided_us in whole.entries:
        assert not grown.holds(operation)
        grown = grown.followed_by(operation, decided_us)
        assert grown.holds(operation) and whole.begins_with(grown)
        assert grown.begins_with(whole) == (grown.number == whole.number)
    assert grown.encode() == whole.encode()
    with pytest.raises(WireError) as refusal:
        grown.followed_by(whole.entries[2].operation, NOW)
    assert refusal.value.kind == CONFLICT


def lost(chain: Chain, key: KeyPair) -> list[bool]:
    """Whether a key had lost its right to sign, second by second."""
    return [chain.had_lost(key.account, NOW + second * SECOND_US) for second in range(-1, 6)]


def test_since_when_a_key_cannot_sign_any_more() -> None:
    assert lost(life(), FIRST) == [False] * 4 + [True] * 3
    assert lost(life(), SECOND) == [False] * 5 + [True] * 2, "which it could not before it was added, either"
    assert lost(life(), STRANGER) == [False] * 7


def test_clocks_that_differ_take_nothing_from_a_key_that_was_added_late() -> None:
    told = Story(
        (FIRST, Create(RECOVERY.account)),
        (FIRST, SetHandle("alice")),
        (FIRST, AddKey(SECOND.account)),
        (STRANGER, Suspend("spam")),
        (STRANGER, Restore()),
        (SECOND, RevokeKey(FIRST.account)),
    )
    times = (NOW + second * SECOND_US for second in (0, 9, 2, 3, 1, 2))
    chain = Chain(FIRST.account, [Entry(*each) for each in zip(told.operations, times, strict=True)])
    assert lost(chain, SECOND) == [False] * 7, "it was restored, by a clock, before it was suspended"
    assert lost(chain, FIRST) == [False] * 3 + [True] * 4


def test_a_chain_cut_short_or_with_a_tail_is_not_read() -> None:
    data = life().encode()
    for hostile in (*(data[:end] for end in range(len(data))), data + b"\x00"):
        with pytest.raises(WireError):
            Chain.decode(FIRST.account, hostile)


def test_what_is_no_chain_is_refused() -> None:
    first = life().entries[0].to_wire()
    assert Chain.decode(FIRST.account, codec.pack([first])).number == 1
    for value in (
        7,
        {"operations": [first]},
        [first, None],
        [first[:2]],
        [[*first, 0]],
        [[*first[:2], -1]],
        [[*first[:2], 2**63]],
        [[*first[:2], "1"]],
        [first] * (limits.ACCOUNT_OPERATIONS + 1),
    ):
        with pytest.raises(WireError):
            Chain.decode(FIRST.account, codec.pack(value))


def test_a_chain_of_another_account_or_with_a_false_signature_is_refused() -> None:
    chain = life()
    with pytest.raises(WireError):
        Chain.decode(STRANGER.account, chain.encode())
    values = codec.unpack(chain.encode())
    values[2][1] = values[1][1]
    forged = Chain.decode(FIRST.account, codec.pack(values))
    with pytest.raises(WireError) as refusal:
        forged.verify()
    assert refusal.value.kind == BAD_SIGNATURE
