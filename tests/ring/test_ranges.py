"""Range maps: a partition at all times, replaced only upwards."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol import codec, key
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.ring.errors import RingError
from folkmoot.protocol.ring.placement import bootstrap_map
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap, Slot
from hypothesis import given
from hypothesis import strategies as st

from tests.ring.samples import descriptor, node_id, roster, slot, thirds

KEYS = st.binary(min_size=1, max_size=60)


@st.composite
def maps(draw: st.DrawFn) -> RangeMap:
    """Any partition into up to 12 ranges, with any epochs and nodes."""
    bounds = [b"", *sorted(draw(st.sets(KEYS, max_size=11))), b""]
    ids = draw(st.permutations(range(len(bounds) - 1)))
    return RangeMap(
        tuple(
            descriptor(
                range_id,
                draw(st.integers(1, 5)),
                bounds[at],
                bounds[at + 1],
                *(slot("eu", number) for number in draw(st.sets(st.integers(0, 9), min_size=1, max_size=3))),
            )
            for at, range_id in enumerate(ids)
        )
    )


@given(maps(), KEYS)
def test_every_key_lies_in_exactly_the_range_looked_up(ranges: RangeMap, where: bytes) -> None:
    assert [found for found in ranges.ranges if found.covers(where)] == [ranges.lookup(where)]


@given(maps(), maps())
def test_equal_digests_mean_equal_maps(one: RangeMap, other: RangeMap) -> None:
    assert (one.digest() == other.digest()) == (one == other)


@given(maps())
def test_descriptors_survive_the_wire(ranges: RangeMap) -> None:
    for found in ranges.ranges:
        assert RangeDescriptor.from_wire(codec.unpack(codec.pack(found.to_wire()))) == found


@given(maps(), st.data())
def test_newer_than_is_exactly_what_a_join_takes(ranges: RangeMap, data: st.DataObject) -> None:
    mine = RangeMap(
        tuple(
            RangeDescriptor(r.id, data.draw(st.integers(1, 5)), r.start, r.end, r.slots)
            for r in ranges.ranges
        )
    )
    newer = ranges.newer_than(mine.epochs())
    joined = mine.join(ranges.ranges)
    assert joined == mine.join(newer)
    assert joined.newer_than(mine.epochs()) == newer
    assert joined.epochs() == {r: max(epoch, mine.epochs()[r]) for r, epoch in ranges.epochs().items()}
    assert ranges.join(mine.ranges).epochs() == joined.epochs()
    assert joined.join(newer) is joined


def test_ranges_of_a_node_include_the_one_it_is_moving_into() -> None:
    ranges = thirds().replace(descriptor(1, 2, b"\x40", b"\x80", slot("eu", 1, 2)))
    assert [r.id for r in ranges.of_node(node_id(2))] == [1]
    assert [r.id for r in ranges.of_node(node_id(1))] == [0, 1, 2]
    assert ranges.of_node(node_id(3)) == ()
    found = ranges.get(1)
    assert found is not None
    assert found.nodes() == (node_id(1), node_id(2))
    assert found.slots[0].reader == node_id(1)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([], "a map of 0 ranges"),
        ([descriptor(0, 1, b"\x01", b"")], "no range holds the keys before 01"),
        ([descriptor(0, 1, b"", b"\x01")], "no range holds the keys from 01 on"),
        ([descriptor(0, 1, b"", b"\x01"), descriptor(1, 1, b"\x02", b"")], "0 and 1 leave a gap before 02"),
        ([descriptor(0, 1, b"", b"\x02"), descriptor(1, 1, b"\x01", b"")], "0 and 1 overlap at 01"),
        ([descriptor(0), descriptor(1, 1, b"\x01", b"")], "0 and 1 overlap at 01"),
        ([descriptor(0, 1, b"", b"\x01"), descriptor(0, 1, b"\x01", b"")], "the same id"),
        ([descriptor(0), descriptor(1)], "overlap"),
    ],
)
def test_a_map_that_is_not_a_partition_is_refused(parts: list[RangeDescriptor], sentence: str) -> None:
    with pytest.raises(RingError, match=sentence):
        RangeMap(tuple(parts))


@pytest.mark.parametrize(
    ("newer", "sentence"),
    [
        (descriptor(7, 2, b"\x40", b"\x80"), "range 7 is not in the map"),
        (descriptor(1, 1, b"\x40", b"\x80", slot("eu", 9)), "range 1 is at epoch 1"),
        (descriptor(1, 2, b"\x40", b"\x79"), "gap"),
        (descriptor(1, 2, b"\x40", b"\x81"), "overlap"),
    ],
)
def test_a_descriptor_is_replaced_only_by_a_later_one_of_its_bounds(
    newer: RangeDescriptor, sentence: str
) -> None:
    with pytest.raises(RingError, match=sentence):
        thirds().replace(newer)


def test_replacing_leaves_the_old_map_as_it_was() -> None:
    old = thirds()
    new = old.replace(descriptor(1, 2, b"\x40", b"\x80", slot("us", 5)))
    assert old == thirds()
    assert new.lookup(b"\x41").slots == (slot("us", 5),)
    assert new.newer_than(old.epochs()) == (new.lookup(b"\x41"),)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Slot("eu", ()), "a slot of 0 nodes"),
        (lambda: slot("eu", 1, 2, 3), "a slot of 3 nodes"),
        (lambda: slot("eu", 1, 1), "two different"),
        (lambda: slot("E U", 1), "region of a slot"),
        (lambda: Slot("eu", (b"short",)), "not 16 bytes"),
        (lambda: descriptor(0, 0), "epochs at 1"),
        (lambda: descriptor(-1), "ids begin at 0"),
        (lambda: descriptor(0, 1, b"\x02", b"\x02"), "not after its start"),
        (lambda: descriptor(0, 1, b"", b"x" * 512), "longer than 511"),
        (lambda: descriptor(0, 1, b"", b"", slot("eu", 1), slot("us", 2, 1)), "one node in two slots"),
        (lambda: descriptor(0, 1, b"", b"", *(slot("eu", n) for n in range(17))), "17 slots"),
    ],
)
def test_a_descriptor_that_cannot_be_is_refused(make: Any, sentence: str) -> None:
    with pytest.raises(RingError, match=sentence):
        make()


GOOD = descriptor(3, 2, b"\x40", b"\x80").to_wire()


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        {},
        GOOD | {"id": -1},
        GOOD | {"epoch": 0},
        GOOD | {"start": "text"},
        GOOD | {"start": b"\x80"},
        GOOD | {"end": b"x" * 512},
        GOOD | {"slots": []},
        GOOD | {"slots": [{"region": "eu", "nodes": []}]},
        GOOD | {"slots": [{"region": "eu", "nodes": [b"short"]}]},
        GOOD | {"slots": [{"region": "eu", "nodes": [node_id(1)]}] * 2},
        GOOD | {"slots": [{"region": "e u", "nodes": [node_id(1)]}]},
    ],
)
def test_a_peers_nonsense_is_a_bad_request(value: Any) -> None:
    with pytest.raises(WireError) as caught:
        RangeDescriptor.from_wire(value)
    assert caught.value.kind is BAD_REQUEST


@given(st.binary(min_size=34, max_size=34))
def test_the_first_ranges_are_the_lanes(place: bytes) -> None:
    where = key.place_prefix(place)
    assert BOOTSTRAPPED.lookup(where).id == key.lane_of(where)


BOOTSTRAPPED = bootstrap_map(roster({"eu": 1}), 1)


def test_a_fresh_cluster_has_64_ranges_at_epoch_1() -> None:
    assert BOOTSTRAPPED.epochs() == dict.fromkeys(range(64), 1)
