"""Fingerprints: what a set of leaves comes to, in 40 bytes that can be added and taken apart.

A leaf is one cell as reconciliation sees it: its key, and the SHA-256 of key and cell bytes. The fingerprint
of a set is the number of its leaves and the sum of their hashes mod 2^256. Sums form a group, so that a
block's row is kept current by one addition and one subtraction a write, and the fingerprint of a range is
the sum of its blocks'.

Source: A. Meyer, "Range-Based Set Reconciliation", arXiv:2212.13567 (2023), section on fingerprints from
monoids; the group is that of negentropy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LEAF_BYTES: Final = 32
DIGEST_BYTES: Final = 16

# A key, and the hash of it and its cell.
Leaf = tuple[bytes, bytes]

_MODULUS: Final = 1 << (8 * LEAF_BYTES)


def leaf_hash(key: bytes, cell: bytes) -> bytes:
    """The hash that stands for the cell `cell` (encoded) at `key`: 32 bytes."""
    return hashlib.sha256(key + cell).digest()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The fingerprint of a set of leaves.

    Args:
        count: how many leaves.
        total: the sum of their hashes, read big-endian, mod 2^256.
    """

    count: int = 0
    total: int = 0

    @classmethod
    def of(cls, leaves: Iterable[bytes]) -> Fingerprint:
        """The fingerprint of the leaves with these hashes (32 bytes each)."""
        count = total = 0
        for leaf in leaves:
            count += 1
            total += int.from_bytes(leaf, "big")
        return cls(count, total % _MODULUS)

    def add(self, leaf: bytes) -> Fingerprint:
        """With one more leaf."""
        return Fingerprint(self.count + 1, (self.total + int.from_bytes(leaf, "big")) % _MODULUS)

    def remove(self, leaf: bytes) -> Fingerprint:
        """Without a leaf that is in the set."""
        assert self.count > 0, "a leaf is removed only from a set it is in"
        return Fingerprint(self.count - 1, (self.total - int.from_bytes(leaf, "big")) % _MODULUS)

    def combine(self, other: Fingerprint) -> Fingerprint:
        """Of the union with a disjoint set."""
        return Fingerprint(self.count + other.count, (self.total + other.total) % _MODULUS)

    def without(self, other: Fingerprint) -> Fingerprint:
        """Of what is left without a set that is part of this one."""
        assert self.count >= other.count, "a set has no larger part"
        return Fingerprint(self.count - other.count, (self.total - other.total) % _MODULUS)

    def encode(self) -> bytes:
        """Count (8 bytes) and sum (32), both big-endian."""
        return self.count.to_bytes(8, "big") + self.total.to_bytes(LEAF_BYTES, "big")

    def digest(self) -> bytes:
        """What is sent to be compared: SHA-256 of the encoding, cut to 16 bytes."""
        return hashlib.sha256(self.encode()).digest()[:DIGEST_BYTES]


EMPTY: Final = Fingerprint()
