"""Topologies: newer parts travel in any order and all nodes come to the same."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Any

import pytest
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.key import block_of
from folkmoot.protocol.ring.errors import PlacementError, RingError
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.protocol.ring.topology import (
    NOTHING,
    WIDEST,
    Have,
    News,
    Summary,
    Topology,
    in_conflict,
    should_fetch,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.ring.samples import descriptor, node_id, numbered, roster, slot, thirds

FOUNDERS = roster({"ap": 1, "eu": 1, "us": 1}).nodes
FIRST = Topology(numbered(4), thirds())


def at_epochs(roster_epoch: int, epochs: tuple[int, int, int]) -> Topology:
    """What agreement made of `FIRST`: the content of a part follows from its epoch."""
    parts = tuple(
        dataclasses.replace(part, epoch=epoch, slots=(slot("eu", epoch),))
        for part, epoch in zip(thirds().ranges, epochs, strict=True)
    )
    return Topology(numbered(4 + roster_epoch, epoch=roster_epoch), RangeMap(parts))


EPOCHS = st.integers(1, 4)
TOPOLOGIES = st.builds(at_epochs, EPOCHS, st.tuples(EPOCHS, EPOCHS, EPOCHS))


def told(asker: Topology | None, teller: Topology | None) -> Topology | None:
    """What an asker has after asking once, over the wire."""
    have = codec.shaped(codec.unpack(codec.pack(Have.of(asker).to_params())), Have, "have")
    wire = codec.pack(News.for_asker(teller, have).to_wire())
    return News.from_wire(codec.unpack(wire)).joined_to(asker, "demo")


@given(TOPOLOGIES, TOPOLOGIES)
def test_after_asking_each_part_is_the_newer_of_both(mine: Topology, theirs: Topology) -> None:
    joined = told(mine, theirs)
    assert joined is not None
    assert joined.roster.epoch == max(mine.roster.epoch, theirs.roster.epoch)
    epochs = zip(mine.ranges.ranges, theirs.ranges.ranges, joined.ranges.ranges, strict=True)
    assert all(after.epoch == max(own.epoch, other.epoch) for own, other, after in epochs)
    assert told(theirs, mine) == joined
    assert told(joined, theirs) is joined
    assert told(None, theirs) == theirs
    assert told(mine, None) is mine
    assert told(None, None) is None


@given(st.lists(TOPOLOGIES, min_size=2, max_size=5), st.integers(0, 2**32))
def test_asking_only_when_it_may_help_all_come_to_the_same(start: list[Topology], seed: int) -> None:
    nodes, random = list(start), Random(seed)
    fetches = 0
    while True:
        pairs = [
            (asker, teller)
            for asker in range(len(nodes))
            for teller in range(len(nodes))
            if should_fetch(nodes[asker].summary, nodes[teller].summary)
        ]
        if not pairs:
            break
        asker, teller = random.choice(pairs)
        before = nodes[asker]
        after = told(before, nodes[teller])
        assert after is not None
        # Equal numbers of different parts may make one fruitless fetch, never a pair of them.
        assert after is not before or told(nodes[teller], before) is not nodes[teller]
        nodes[asker] = after
        fetches += 1
        assert fetches <= 60
    assert len({one.summary.digest for one in nodes}) == 1
    assert all(one == nodes[0] for one in nodes)


@given(TOPOLOGIES, TOPOLOGIES)
def test_of_two_that_differ_at_least_one_asks(one: Topology, other: Topology) -> None:
    asks = should_fetch(one.summary, other.summary) or should_fetch(other.summary, one.summary)
    assert asks == (one != other)
    assert should_fetch(NOTHING, one.summary)
    assert not should_fetch(one.summary, NOTHING)
    assert not in_conflict(one.summary, one.summary)


def test_founders_compute_the_same_topology() -> None:
    one = Topology.bootstrap("demo", FOUNDERS, {"ap": 1, "eu": 1, "us": 1})
    other = Topology.bootstrap("demo", reversed(FOUNDERS), {"us": 1, "eu": 1, "ap": 1})
    assert one == other
    assert one.summary == other.summary
    assert one.summary.roster_epoch == 1
    assert one.summary.ranges_epoch == 64
    with pytest.raises(PlacementError, match="region 'eu' lacks 1"):
        Topology.bootstrap("demo", FOUNDERS, {"eu": 2})


def test_founders_who_were_told_differently_find_out() -> None:
    three = Topology.bootstrap("demo", FOUNDERS, 3)
    two = Topology.bootstrap("demo", FOUNDERS, 2)
    assert in_conflict(three.summary, two.summary)
    assert should_fetch(three.summary, two.summary)
    assert should_fetch(two.summary, three.summary)
    assert told(three, two) is three


@given(TOPOLOGIES)
def test_what_is_kept_comes_back(topology: Topology) -> None:
    assert Topology.decode(topology.encode()) == topology
    assert Summary.decode(topology.summary.encode()) == topology.summary
    assert len(topology.summary.encode()) <= 40


def kept(topology: Topology = FIRST, **changes: Any) -> bytes:
    """What a node keeps, with some of it as another version or a faulty peer might have left it."""
    value = codec.unpack(topology.encode())
    for part in value["ranges"]:
        part.update(changes)
    return codec.pack(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        codec.pack([]),
        codec.pack({}),
        FIRST.encode()[:-1],
        kept(epoch=2**63 - 1),
        kept(epoch=limits.EPOCH_MAX + 1),
        kept(slots=[{"region": "eu", "nodes": [node_id(9)]}]),
        kept(start=b"\x01"),
    ],
)
def test_what_was_kept_and_cannot_be_used_is_said(data: bytes) -> None:
    with pytest.raises(RingError, match="kept cannot be used"):
        Topology.decode(data)


def test_the_greatest_epochs_there_can_be_are_told_kept_and_read_again() -> None:
    """What a node can hold it can say in gossip and in answers, and hold again after a restart."""
    count = limits.RANGES
    bounds = [b"", *(number.to_bytes(2, "big") for number in range(1, count)), b""]
    greatest = limits.EPOCH_MAX
    ranges = (descriptor(at, greatest, bounds[at], bounds[at + 1]) for at in range(count))
    last = Topology(numbered(limits.ROSTER_NODES, epoch=greatest), RangeMap(tuple(ranges)))
    assert last.summary.ranges_epoch == count * greatest
    assert Summary.decode(last.summary.encode()) == last.summary
    assert len(last.summary.encode()) <= len(WIDEST.encode())
    assert Topology.decode(last.encode()) == last
    wire = codec.pack(News.for_asker(last, Have.of(None)).to_wire())
    assert len(wire) < limits.MESSAGE_BYTES
    assert News.from_wire(codec.unpack(wire)).summary == last.summary


def test_a_topology_too_large_to_be_kept_is_refused() -> None:
    slots = tuple(slot("r" * limits.SLUG_CHARACTERS, 2 * at + 1, 2 * at + 2) for at in range(16))
    bounds = [b"", *(number.to_bytes(2, "big") * 200 for number in range(1, limits.RANGES)), b""]
    ranges = (descriptor(at, 1, bounds[at], bounds[at + 1], *slots) for at in range(limits.RANGES))
    with pytest.raises(RingError, match="at most"):
        Topology(numbered(32), RangeMap(tuple(ranges))).encode()


STEP = limits.EPOCH_STEP


@pytest.mark.parametrize(
    ("news", "takes"),
    [
        pytest.param(News(NOTHING, None, (descriptor(0, 1 + STEP, b"", b"\x40"),), False), True, id="a step"),
        pytest.param(
            News(NOTHING, None, (descriptor(0, 2 + STEP, b"", b"\x40"),), False), False, id="a leap"
        ),
        pytest.param(News(NOTHING, numbered(4, epoch=1 + STEP), (), False), True, id="a step of the roster"),
        pytest.param(News(NOTHING, numbered(4, epoch=2 + STEP), (), False), False, id="a leap of the roster"),
        pytest.param(
            News(
                NOTHING,
                None,
                (descriptor(7, 2 + STEP, b"", b"\x20"), descriptor(0, 2, b"\x20", b"\x40")),
                False,
            ),
            False,
            id="a new range that leaps",
        ),
        pytest.param(
            News(
                NOTHING,
                None,
                (descriptor(7, 1 + STEP, b"", b"\x20"), descriptor(0, 2, b"\x20", b"\x40")),
                False,
            ),
            True,
            id="a range was split",
        ),
        pytest.param(
            News(NOTHING, None, (descriptor(0, 2, b"", b"\x40", slot("eu", 5)),), False),
            False,
            id="a node that is not on the roster",
        ),
        pytest.param(
            News(NOTHING, numbered(5, epoch=2), (descriptor(0, 2, b"", b"\x40", slot("eu", 5)),), False),
            True,
            id="a node that comes with the roster",
        ),
        pytest.param(
            News(NOTHING, roster({"eu": 2}, epoch=2), (), False), False, id="a roster without those who hold"
        ),
    ],
)
def test_what_is_taken_of_newer_parts(news: News, takes: bool) -> None:
    if takes:
        joined = news.joined_to(FIRST, "demo")
        assert joined is not None
        assert joined.summary.ranges_epoch + joined.summary.roster_epoch > 4
        return
    with pytest.raises(WireError) as caught:
        news.joined_to(FIRST, "demo")
    assert caught.value.kind is BAD_REQUEST


@pytest.mark.parametrize(("epoch", "takes"), [(1, True), (STEP, True), (STEP + 1, False)])
def test_a_first_topology_is_not_far_from_a_founding(epoch: int, takes: bool) -> None:
    parts = tuple(dataclasses.replace(part, epoch=epoch) for part in thirds().ranges)
    news = News(NOTHING, numbered(4), parts, False)
    if takes:
        assert news.joined_to(None, "demo") == Topology(numbered(4), RangeMap(parts))
    else:
        with pytest.raises(WireError, match="leaps"):
            news.joined_to(None, "demo")


def test_the_last_epochs_are_out_of_reach_of_a_peer_that_steps() -> None:
    """An answer a millisecond, for a year, is not near."""
    assert limits.EPOCH_STEP * 1000 * 3600 * 24 * 365 < limits.EPOCH_MAX


def test_a_map_too_large_for_one_answer_comes_in_pages() -> None:
    count = limits.TOPOLOGY_REPLY_RANGES * 2 + 5
    bounds = [b"", *(number.to_bytes(2, "big") for number in range(1, count)), b""]
    ranges = RangeMap(tuple(descriptor(at, 1, bounds[at], bounds[at + 1]) for at in range(count)))
    whole = Topology(FIRST.roster, ranges)
    have = Have.of(None)
    news = News.for_asker(whole, have)
    pages = 1
    while news.more:
        assert len(news.ranges) == limits.TOPOLOGY_REPLY_RANGES * pages
        news = news.followed_by(News.for_asker(whole, have.with_news(news)))
        pages += 1
    assert pages == 3
    assert news.joined_to(None, "demo") == whole


NEWS = News.for_asker(FIRST, Have.of(None)).to_wire()


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        NEWS | {"summary": None},
        NEWS | {"summary": [1, 2, bytes(17)]},
        NEWS | {"summary": [-1, 2, b""]},
        NEWS | {"ranges": None},
        NEWS | {"ranges": [None]},
        NEWS | {"ranges": NEWS["ranges"] * 100},
        NEWS | {"more": 1},
        NEWS | {"roster": []},
    ],
)
def test_a_peers_nonsense_is_a_bad_request(value: Any) -> None:
    with pytest.raises(WireError) as caught:
        News.from_wire(value)
    assert caught.value.kind is BAD_REQUEST


@pytest.mark.parametrize(
    "data", [None, "text", 7, b"", b"\xc1", codec.pack([1, 2]), codec.pack([1, 2, bytes(17)])]
)
def test_a_garbled_summary_is_a_bad_request(data: Any) -> None:
    with pytest.raises(WireError) as caught:
        Summary.decode(data)
    assert caught.value.kind is BAD_REQUEST


@pytest.mark.parametrize(
    ("news", "topology"),
    [
        (News(NOTHING, roster({"eu": 1}, epoch=2, cluster="other"), (), False), FIRST),
        (News(NOTHING, None, (descriptor(9, 1, b"\x10", b"\x20"),), False), FIRST),
        (News(NOTHING, None, (descriptor(1, 2, b"\x40", b"\x70"),), False), FIRST),
        (News(NOTHING, FIRST.roster, thirds().ranges[:2], False), None),
    ],
)
def test_parts_that_do_not_fit_are_refused(news: News, topology: Topology | None) -> None:
    with pytest.raises(WireError) as caught:
        news.joined_to(topology, "demo")
    assert caught.value.kind is BAD_REQUEST


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 32, 64])
def test_a_cluster_begins_with_as_many_ranges_as_it_is_told(count: int) -> None:
    ranges = Topology.bootstrap("demo", FOUNDERS, 3, count).ranges.ranges
    assert [owner.id for owner in ranges] == list(range(count))
    assert {block_of(owner.start or bytes(2)) % (limits.BLOCKS // count) for owner in ranges} == {0}


@pytest.mark.parametrize("count", [-1, 0, 3, 12, 65, 128])
def test_lanes_that_cannot_be_dealt_out_evenly(count: int) -> None:
    with pytest.raises(RingError, match=f"not with {count}"):
        Topology.bootstrap("demo", FOUNDERS, 3, count)
