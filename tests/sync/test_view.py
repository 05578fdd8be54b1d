"""The view over block sums reads the same as the plain one, with less scanning."""

from __future__ import annotations

from itertools import pairwise

from folkmoot.protocol.sync.view import balanced_bounds
from hypothesis import given
from hypothesis import strategies as st

from tests.sync.replicas import Replica

# Few blocks, many keys in each, and bounds on, before and after block edges.
HASHES = st.sampled_from(
    [b"\x00\x00", b"\x00\x0f", b"\x00\x10", b"\x00\x1f", b"\x80\x05", b"\xff\xf0", b"\xff\xff"]
)
KEYS = st.builds(lambda head, rest: head + rest, HASHES, st.binary(min_size=1, max_size=3))
CELLS = st.dictionaries(KEYS, st.binary(max_size=2), max_size=60)
BOUNDS = st.one_of(st.just(b""), KEYS, HASHES, st.binary(min_size=1, max_size=1))
INTERVALS = st.tuples(BOUNDS, BOUNDS).filter(lambda pair: pair[1] == b"" or pair[0] < pair[1])


@given(CELLS, INTERVALS)
def test_fingerprints_and_leaves_are_those_of_the_plain_view(
    cells: dict[bytes, bytes], interval: tuple[bytes, bytes]
) -> None:
    replica = Replica(cells)
    assert replica.blocked().fingerprint(*interval) == replica.plain().fingerprint(*interval)
    assert list(replica.blocked().leaves(*interval, 7)) == replica.plain().leaves(*interval, 7)


@given(CELLS, INTERVALS, st.integers(2, 16))
def test_a_split_leaves_something_on_both_sides_of_every_bound(
    cells: dict[bytes, bytes], interval: tuple[bytes, bytes], parts: int
) -> None:
    start, end = interval
    replica = Replica(cells)
    view = replica.blocked()
    bounds = view.split(start, end, parts)
    assert len(bounds) < parts
    edges = [start, *bounds, end]
    pieces = [view.fingerprint(low, high).count for low, high in pairwise(edges)]
    whole = view.fingerprint(start, end).count
    assert sum(pieces) == whole
    assert bool(bounds) == (whole >= 2)
    if bounds:
        assert min(pieces) >= 1


@given(st.integers(1, 500), st.integers(2, 16))
def test_equal_weights_are_cut_into_equal_parts(count: int, parts: int) -> None:
    keys = [number.to_bytes(2, "big") for number in range(count)]
    bounds = balanced_bounds([(key, 1) for key in keys], parts)
    at = [0, *(keys.index(bound) for bound in bounds), count]
    sizes = [high - low for low, high in pairwise(at)]
    assert len(sizes) == min(parts, count)
    assert max(sizes) - min(sizes) <= 1


def test_a_heavy_weight_becomes_a_part_of_its_own() -> None:
    assert balanced_bounds([(b"a", 1), (b"b", 1), (b"c", 1_000)], 16) == [b"c"]
    assert balanced_bounds([(b"a", 1_000), (b"b", 1), (b"c", 1)], 16) == [b"b", b"c"]
    assert balanced_bounds([(b"a", 1_000)], 16) == []


def test_whole_blocks_are_not_scanned() -> None:
    replica = Replica({bytes([at // 256, at % 256, 0]): b"" for at in range(0, 65_536, 16)})
    view = replica.blocked()
    assert view.fingerprint(b"", b"").count == 4_096
    assert view.fingerprint(b"\x04", b"\x08").count == 64
    assert replica.leaves_scanned == 0
    assert view.fingerprint(b"\x04\x01", b"\x08\x01").count == 64
    assert replica.leaves_scanned == 1
