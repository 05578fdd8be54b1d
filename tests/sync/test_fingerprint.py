"""Fingerprints form a group over sets of leaves."""

from __future__ import annotations

import hashlib

from folkmoot.protocol.sync.fingerprint import EMPTY, Fingerprint, leaf_hash
from hypothesis import given
from hypothesis import strategies as st

LEAF = st.binary(min_size=32, max_size=32)
LEAVES = st.lists(LEAF, max_size=20)


@given(LEAVES)
def test_order_does_not_matter(leaves: list[bytes]) -> None:
    assert Fingerprint.of(leaves) == Fingerprint.of(sorted(leaves)) == Fingerprint.of(reversed(leaves))


@given(LEAVES, LEAVES)
def test_the_fingerprint_of_a_union_is_the_combination(one: list[bytes], other: list[bytes]) -> None:
    assert Fingerprint.of(one).combine(Fingerprint.of(other)) == Fingerprint.of(one + other)
    assert Fingerprint.of(one).combine(EMPTY) == Fingerprint.of(one)


@given(LEAVES, LEAF)
def test_removing_undoes_adding(leaves: list[bytes], leaf: bytes) -> None:
    whole = Fingerprint.of(leaves)
    assert whole.add(leaf) == Fingerprint.of([*leaves, leaf])
    assert whole.add(leaf).remove(leaf) == whole


@given(LEAVES)
def test_encoding_is_exact(leaves: list[bytes]) -> None:
    whole = Fingerprint.of(leaves)
    assert whole.encode() == whole.count.to_bytes(8, "big") + whole.total.to_bytes(32, "big")
    assert whole.digest() == hashlib.sha256(whole.encode()).digest()[:16]


def test_sums_wrap_and_counts_tell_what_sums_cannot() -> None:
    most = b"\xff" * 32
    assert Fingerprint.of([most, bytes(31) + b"\x01"]) == Fingerprint(2, 0)
    assert Fingerprint.of([bytes(32)]).digest() != EMPTY.digest()


def test_a_leaf_depends_on_key_and_cell() -> None:
    assert leaf_hash(b"key", b"cell") == hashlib.sha256(b"keycell").digest()
