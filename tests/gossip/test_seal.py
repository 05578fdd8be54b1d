"""Only members read and write datagrams, and each counts once."""

from __future__ import annotations

from random import Random

import pytest
from folkmoot.protocol.errors import BAD_REQUEST, BAD_SIGNATURE, CONFLICT, WireError
from folkmoot.protocol.gossip.seal import (
    NONCE_BYTES,
    OVERHEAD_BYTES,
    PAYLOAD_BYTES,
    WINDOW_COUNTERS,
    KeyRing,
    Opener,
    Sealer,
)
from folkmoot.protocol.limits import GOSSIP_DATAGRAM_BYTES
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = b"o" * 32, b"n" * 32
SENDER = b"s" * 16
random = Random(1)


def sealer(ring: KeyRing, *, cluster: str = "moot", boot: int = 1) -> Sealer:
    return Sealer(ring, cluster, SENDER, boot)


def seal(by: Sealer, payload: bytes = b"payload") -> bytes:
    return by.seal(payload, random.randbytes(NONCE_BYTES))


def test_what_is_sealed_opens_with_its_sender_boot_and_count() -> None:
    ring = KeyRing([OLD])
    by, opener = sealer(ring, boot=7), Opener(ring, "moot")
    assert opener.open(seal(by)) == (SENDER, 7, 1, b"payload")
    assert opener.open(seal(by)) == (SENDER, 7, 2, b"payload")


def test_the_greatest_payload_makes_the_greatest_datagram() -> None:
    ring = KeyRing([OLD])
    datagram = seal(sealer(ring), bytes(PAYLOAD_BYTES))
    assert len(datagram) == GOSSIP_DATAGRAM_BYTES
    assert Opener(ring, "moot").open(datagram).payload == bytes(PAYLOAD_BYTES)


@pytest.mark.parametrize(
    ("ring", "cluster"),
    [
        pytest.param(KeyRing([NEW]), "moot", id="another key"),
        pytest.param(KeyRing([OLD]), "other", id="another cluster"),
    ],
)
def test_strangers_are_refused(ring: KeyRing, cluster: str) -> None:
    with pytest.raises(WireError) as caught:
        Opener(ring, cluster).open(seal(sealer(KeyRing([OLD]))))
    assert caught.value.kind is BAD_SIGNATURE


def test_keys_rotate_without_a_datagram_lost() -> None:
    """Add the new key everywhere, then seal with it everywhere, then drop the old one."""
    rings = KeyRing([OLD]), KeyRing([OLD])
    by, opener = sealer(rings[0]), Opener(rings[1], "moot")
    steps = [(0, [OLD, NEW]), (1, [OLD, NEW]), (0, [NEW, OLD]), (1, [NEW, OLD]), (0, [NEW]), (1, [NEW])]
    for node, keys in steps:
        rings[node].replace(keys)
        assert opener.open(seal(by)).payload == b"payload"
    with pytest.raises(WireError):
        opener.open(seal(sealer(KeyRing([OLD]), boot=2)))


def test_a_repeat_is_refused_and_reordering_is_not() -> None:
    ring = KeyRing([OLD])
    by, opener = sealer(ring), Opener(ring, "moot")
    datagrams = [seal(by) for _ in range(5)]
    for position in (0, 3, 1, 4, 2):
        opener.open(datagrams[position])
    for datagram in datagrams:
        with pytest.raises(WireError) as caught:
            opener.open(datagram)
        assert caught.value.kind is CONFLICT


def test_what_is_older_than_the_window_counts_as_a_repeat() -> None:
    ring = KeyRing([OLD])
    by, opener = sealer(ring), Opener(ring, "moot")
    early = [seal(by) for _ in range(3)]
    opener.open(early[0])
    for _ in range(WINDOW_COUNTERS - 1):
        latest = seal(by)
    opener.open(latest)
    assert opener.open(early[2]).counter == 3, "the last one within the window"
    with pytest.raises(WireError):
        opener.open(early[1])
    with pytest.raises(WireError):
        opener.open(early[0])


def test_a_new_boot_starts_afresh_and_ends_the_old_one() -> None:
    ring = KeyRing([OLD])
    opener = Opener(ring, "moot")
    before, after = sealer(ring, boot=1), sealer(ring, boot=2)
    opener.open(seal(before))
    unseen = [seal(before) for _ in range(3)][-1]
    assert opener.open(seal(after)).counter == 1
    with pytest.raises(WireError) as caught:
        opener.open(unseen)
    assert caught.value.kind is CONFLICT


@given(st.lists(st.integers(1, 3 * WINDOW_COUNTERS), min_size=1, max_size=40))
def test_no_counter_is_ever_taken_twice(order: list[int]) -> None:
    """Against the obvious implementation, which remembers everything."""
    ring = KeyRing([OLD])
    by, opener = sealer(ring), Opener(ring, "moot")
    datagrams = {count: seal(by) for count in range(1, max(order) + 1)}
    taken: set[int] = set()
    for count in order:
        expected = count not in taken and count > max(taken, default=0) - WINDOW_COUNTERS
        try:
            opener.open(datagrams[count])
            accepted = True
        except WireError:
            accepted = False
        assert accepted == expected
        taken.add(count)


@given(st.binary(max_size=GOSSIP_DATAGRAM_BYTES + 10))
def test_hostile_bytes_raise_nothing_but_the_typed_error(data: bytes) -> None:
    with pytest.raises(WireError) as caught:
        Opener(KeyRing([OLD, NEW]), "moot").open(data)
    fits = OVERHEAD_BYTES <= len(data) <= GOSSIP_DATAGRAM_BYTES
    assert caught.value.kind is (BAD_SIGNATURE if fits else BAD_REQUEST)


@given(st.integers(0, OVERHEAD_BYTES + 6), st.integers(1, 255))
def test_every_byte_of_a_datagram_is_authentic(position: int, flip: int) -> None:
    ring = KeyRing([OLD])
    datagram = bytearray(seal(sealer(ring)))
    datagram[position] ^= flip
    with pytest.raises(WireError) as caught:
        Opener(ring, "moot").open(bytes(datagram))
    assert caught.value.kind is BAD_SIGNATURE


@pytest.mark.parametrize("keys", [[], [b"short"], [OLD, b""]])
def test_a_ring_holds_whole_keys(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        KeyRing(keys)
