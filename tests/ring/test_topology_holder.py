"""The topology actor: durable before seen, asked for only what helps, and conflicts said."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.actors.topology import META_KEY, METHOD, TopologyHolder
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.gossip.members import NOWHERE, Description, Member
from folkmoot.protocol.ring.errors import RingError
from folkmoot.protocol.ring.topology import NOTHING, Have, News, Summary, Topology

from tests.ring.samples import descriptor, node_id, numbered, slot, thirds

FIRST = Topology(numbered(9), thirds())
ME, ANNA, BERT = node_id(1), node_id(2), node_id(3)


def moved(topology: Topology, range_id: int, to: int) -> Topology:
    """The topology after one range went to another node, at its next epoch."""
    old = topology.ranges.get(range_id)
    assert old is not None
    new = dataclasses.replace(old, epoch=old.epoch + 1, slots=(slot("eu", to),))
    return Topology(topology.roster, topology.ranges.replace(new))


class World:
    """What surrounds one holder: peers who answer or do not, gossip, and a disk."""

    def __init__(self, topology: Topology | None = FIRST) -> None:
        self.peers: dict[bytes, Topology | None] = {}
        self.lies: dict[bytes, object] = {}
        self.asked: list[bytes] = []
        self.saved: list[Topology] = []
        self.announced: list[Summary] = []
        self.before_save: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        self.before_answer: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        self.spoken: set[bytes] = set()
        self.undecided: set[int] = set()
        self._heard: dict[bytes, Member] = {}
        self._version = 0
        self._changed = trio.Event()
        self.holder = TopologyHolder("demo", topology, self.save, self, self.announce, self.decided)

    async def save(self, data: bytes) -> None:
        await self.before_save()
        self.saved.append(Topology.decode(data))

    def announce(self, data: bytes) -> None:
        self.announced.append(Summary.decode(data))

    async def decided(self, known: Topology, news: News) -> News:
        """All that peers tell was agreed upon, but for what was not."""
        await trio.lowlevel.checkpoint()
        ranges = tuple(each for each in news.ranges if each.id not in self.undecided)
        return dataclasses.replace(news, ranges=ranges)

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        assert method == METHOD
        self.asked.append(node_id)
        await self.before_answer()
        if node_id in self.lies:
            return self.lies[node_id]
        if node_id not in self.peers:
            raise PeerUnreachable(f"node {node_id.hex()} is away")
        have = codec.shaped(params, Have, "have")
        return News.for_asker(self.peers[node_id], have).to_wire()

    def hear(self, node_id: bytes, summary: object) -> None:
        """Gossip brings what a member says of its topology."""
        meta: Any = {META_KEY: summary.encode() if isinstance(summary, Summary) else summary}
        description = Description("", "", NOWHERE, NOWHERE, NOWHERE, meta)
        self._heard[node_id] = Member.alive(node_id, description, 1)
        self._version += 1
        self._changed.set()
        self._changed = trio.Event()

    def members(self) -> Mapping[bytes, Member]:
        return self._heard

    def has_spoken(self, node_id: bytes) -> bool:
        return node_id in self.spoken

    async def wait_changed(self, seen: int) -> int:
        while self._version == seen:
            await self._changed.wait()
        return self._version


async def test_it_answers_where_a_key_is_and_where_a_node_stands() -> None:
    holder = World().holder
    assert holder.where(b"\x41").id == 1
    assert holder.ranges is FIRST.ranges
    assert holder.roster is FIRST.roster
    assert {holder.region_of(member.node_id) for member in FIRST.roster.nodes} == {"eu", "us"}
    assert holder.region_of(b"?" * 16) == ""


async def test_what_it_starts_with_is_durable_before_it_is_announced() -> None:
    world = World()

    async def nothing_announced() -> None:
        assert world.announced == []

    world.before_save = nothing_announced
    await world.holder.begin()
    assert world.saved == [FIRST]
    assert world.announced == [FIRST.summary]


async def test_a_node_without_topology_learns_it_from_a_peer(autojump_clock: trio.testing.MockClock) -> None:
    world = World(None)
    world.peers[ANNA] = FIRST
    assert world.holder.roster is None
    assert world.holder.ranges is None
    assert world.holder.summary == NOTHING
    await world.holder.begin()
    assert (world.saved, world.announced) == ([], [])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.holder.follow, world)
        await trio.testing.wait_all_tasks_blocked()
        world.hear(ANNA, FIRST.summary)
        assert await world.holder.wait_learned() == FIRST
        nursery.cancel_scope.cancel()


async def test_gossip_of_something_newer_is_followed(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    newer = world.peers[ANNA] = moved(FIRST, 1, 5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.holder.follow, world)
        world.hear(BERT, FIRST.summary)
        world.hear(ANNA, newer.summary)
        await trio.testing.wait_all_tasks_blocked()
        assert world.holder.current() == newer
        assert world.saved == [newer]
        assert world.announced == [newer.summary]
        assert world.asked == [ANNA]
        nursery.cancel_scope.cancel()


async def test_a_peer_that_is_away_is_asked_again_until_it_answers(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    newer = moved(FIRST, 2, 5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.holder.follow, world)
        world.hear(ANNA, newer.summary)
        await trio.sleep(3.5)
        assert 3 <= len(world.asked) <= 5
        assert world.holder.current() is FIRST
        world.peers[ANNA] = newer
        await trio.sleep(1.5)
        assert world.holder.current() == newer
        nursery.cancel_scope.cancel()
    assert "is away" in caplog.text


@pytest.mark.parametrize("summary", [None, b"", b"garbled", 7, "text", NOTHING])
async def test_gossip_without_a_topology_asks_nobody(
    summary: object, autojump_clock: trio.testing.MockClock
) -> None:
    world = World()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.holder.follow, world)
        world.hear(ANNA, summary)
        await trio.sleep(10)
        assert world.asked == []
        nursery.cancel_scope.cancel()


async def test_strangers_are_asked_once_they_have_spoken(autojump_clock: trio.testing.MockClock) -> None:
    """Any number of them may be invented; a node of another founding is real, and is to be told of."""
    world = World()
    stranger, newer = node_id(99), moved(FIRST, 1, 5)
    world.peers[stranger] = newer
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.holder.follow, world)
        world.hear(stranger, newer.summary)
        await trio.sleep(10)
        assert world.asked == []
        world.spoken.add(stranger)
        world.hear(stranger, newer.summary)
        await trio.sleep(1)
        assert world.holder.current() == newer
        nursery.cancel_scope.cancel()


async def test_a_node_without_topology_asks_those_who_have_spoken_before_any_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(None)
    world.peers[ANNA] = FIRST
    world.spoken.add(ANNA)
    for number in range(100, 400):
        world.hear(node_id(number), FIRST.summary)
    world.hear(ANNA, FIRST.summary)
    world.hear(ME, Summary(1, 4, b"?" * 16))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.holder.follow, world)
        await trio.sleep(10)
        assert world.holder.current() == FIRST
        assert world.asked[0] == ANNA
        assert len(world.asked) < 20, "and nobody for what it knows by then"
        nursery.cancel_scope.cancel()


async def test_another_topology_of_the_same_epochs_is_said_once(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    other = world.peers[ANNA] = Topology(numbered(3), thirds())
    with caplog.at_level(logging.ERROR):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.holder.follow, world)
            world.hear(ANNA, other.summary)
            await trio.sleep(60)
            assert world.asked == [ANNA]
            assert world.holder.statistics().conflicts == {ANNA}
            nursery.cancel_scope.cancel()
    assert caplog.text.count("another topology at the same epochs") == 1
    assert world.holder.current() is FIRST


async def test_a_conflict_ends_when_the_peer_is_corrected() -> None:
    world = World()
    world.peers[ANNA] = Topology(numbered(3), thirds())
    await world.holder.refresh(ANNA)
    world.peers[ANNA] = FIRST
    await world.holder.refresh(ANNA)
    assert world.holder.statistics().conflicts == frozenset()


async def test_refreshing_from_one_peer_is_done_once_at_a_time() -> None:
    world = World()
    world.peers[ANNA] = moved(FIRST, 0, 7)
    gate = trio.Event()
    world.before_answer = gate.wait
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(world.holder.refresh, ANNA)
        await trio.testing.wait_all_tasks_blocked()
        gate.set()
    assert world.asked == [ANNA]
    assert world.holder.where(b"").slots == (slot("eu", 7),)
    assert world.holder.statistics().fetches == world.holder.statistics().adopted == 1


async def test_news_that_overtake_each_other_lose_nothing_here_or_on_disk() -> None:
    world = World()
    one, other = moved(FIRST, 0, 7), moved(FIRST, 1, 8)
    have = Have.of(FIRST)
    first_may_finish = trio.Event()
    waits = [first_may_finish.wait, trio.lowlevel.checkpoint]

    async def wait_in_turn() -> None:
        await waits.pop(0)()

    world.before_save = wait_in_turn
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.holder.adopt, News.for_asker(one, have))
        await trio.testing.wait_all_tasks_blocked()
        assert world.holder.current() is FIRST
        await world.holder.adopt(News.for_asker(other, have))
        both = world.holder.current()
        first_may_finish.set()
    assert world.holder.current() == both == moved(one, 1, 8)
    assert world.saved[0] == both
    assert world.announced == [both.summary]


async def test_what_could_not_be_saved_is_not_seen_and_is_taken_again() -> None:
    world = World()
    newer = moved(FIRST, 0, 7)
    news = News.for_asker(newer, Have.of(FIRST))

    async def fail() -> None:
        raise OSError("the disk is full")

    world.before_save = fail
    with pytest.raises(OSError, match="full"):
        await world.holder.adopt(news)
    assert world.holder.current() is FIRST
    assert world.announced == []
    world.before_save = trio.lowlevel.checkpoint
    assert await world.holder.adopt(news)
    assert world.holder.current() == newer
    assert world.saved == [newer]
    assert not await world.holder.adopt(news)


async def test_parts_that_do_not_fit_change_nothing() -> None:
    world = World()
    with pytest.raises(WireError) as caught:
        await world.holder.adopt(News(NOTHING, None, (descriptor(1, 9, b"\x40", b"\x41"),), False))
    assert caught.value.kind is BAD_REQUEST
    assert world.holder.current() is FIRST
    assert world.saved == []


def lie(**changes: Any) -> dict[str, Any]:
    """A peer's whole topology, with one thing changed in all ranges."""
    wire = News.for_asker(FIRST, Have.of(None)).to_wire()
    for part in wire["ranges"]:
        part.update(epoch=part["epoch"] + 1)
        part.update(changes)
    return wire


LIES = [
    pytest.param(lie(epoch=2**63 - 1), id="the greatest number"),
    pytest.param(lie(epoch=2**64 - 1), id="beyond it"),
    pytest.param(lie(epoch=limits.EPOCH_MAX), id="the greatest epoch"),
    pytest.param(lie(epoch=2 + limits.EPOCH_STEP), id="a leap"),
    pytest.param(lie(slots=[{"region": "eu", "nodes": [b"?" * 16]}]), id="a node nobody knows"),
    pytest.param(lie(slots=[]), id="no slots"),
    pytest.param(lie(start=b"\x01"), id="a gap"),
    pytest.param(None, id="nil"),
    pytest.param(7, id="a number"),
    pytest.param({}, id="an empty map"),
    pytest.param({"summary": [1, 1000, b"?" * 16], "ranges": [], "more": True}, id="nothing, and more of it"),
    pytest.param({**lie(), "summary": [0, 2**64, b""]}, id="an endless summary"),
    pytest.param({**lie(), "roster": numbered(9, epoch=limits.EPOCH_MAX).to_wire()}, id="a last roster"),
]


@pytest.mark.parametrize("answer", LIES)
@pytest.mark.parametrize("known", [FIRST, None])
async def test_what_a_peer_should_not_say_leaves_no_trace(
    answer: object, known: Topology | None, autojump_clock: trio.testing.MockClock
) -> None:
    """It is neither kept nor told, the peer is not pestered, and others are still believed."""
    world = World(known)
    world.lies[ANNA] = answer
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.holder.follow, world)
        world.hear(ANNA, Summary(1, 1_000, b"?" * 16))
        await trio.sleep(60)
        assert (world.saved, world.announced, set(world.asked)) == ([], [], {ANNA})
        assert len(world.asked) <= 18, "all pages, once"
        assert world.holder.summary == (known.summary if known else NOTHING)
        newer = world.peers[BERT] = moved(FIRST, 1, 5)
        world.hear(BERT, newer.summary)
        await trio.sleep(3)
        assert world.holder.current() == newer
        del world.lies[ANNA]
        newest = world.peers[ANNA] = moved(newer, 2, 6)
        world.hear(ANNA, newest.summary)
        await trio.sleep(3)
        assert world.holder.current() == newest
        nursery.cancel_scope.cancel()


async def test_all_that_is_kept_can_be_started_from(autojump_clock: trio.testing.MockClock) -> None:
    """A peer that raises epochs by one step after another costs a node no start."""
    world, topology = World(), FIRST
    for _ in range(20):
        raised = tuple(
            dataclasses.replace(part, epoch=part.epoch + limits.EPOCH_STEP) for part in topology.ranges.ranges
        )
        assert await world.holder.adopt(News(NOTHING, None, raised, False))
        topology = world.holder.current()
    again = World(Topology.decode(world.saved[-1].encode()))
    await again.holder.begin()
    assert again.announced == [topology.summary]


async def test_it_gives_peers_what_they_lack_and_refuses_nonsense() -> None:
    newer = moved(FIRST, 1, 5)
    fetch = World(newer).holder.methods()[METHOD]
    news = News.from_wire(await fetch(ANNA, Have.of(FIRST).to_params()))
    assert news.roster is None
    assert [part.id for part in news.ranges] == [1]
    assert news.summary == newer.summary
    for nonsense in (None, {}, {"roster": -1, "epochs": []}, {"roster": 1, "epochs": [[1]]}):
        with pytest.raises(WireError):
            await fetch(ANNA, nonsense)


def test_the_directory_of_another_cluster_is_refused() -> None:
    world = World()
    with pytest.raises(RingError, match="cluster 'demo' and the configuration says 'other'"):
        TopologyHolder("other", FIRST, world.save, world, world.announce, world.decided)
