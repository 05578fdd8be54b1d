"""The small machines inside the core: rumours, rounds, probes, seeds."""

from __future__ import annotations

import math
from random import Random

from folkmoot.protocol.gossip.broadcast import BroadcastQueue
from folkmoot.protocol.gossip.members import Endpoint, Member
from folkmoot.protocol.gossip.probe import Probe, Probes, Purpose, Relay, Rotation
from folkmoot.protocol.gossip.profile import LOOPBACK
from folkmoot.protocol.gossip.seeds import Seeds
from folkmoot.protocol.limits import GOSSIP_RELAYS
from hypothesis import given
from hypothesis import strategies as st

from tests.gossip.world import description, node_id

X, Y, Z, SELF = node_id("x"), node_id("y"), node_id("z"), node_id("self")


def test_a_rumour_replaces_the_one_before_about_the_same_subject() -> None:
    queue = BroadcastQueue()
    queue.put(X, b"x is suspect")
    queue.put(X, b"x is alive")
    assert len(queue) == 1
    assert queue.take(100, 3) == [b"x is alive"]


def test_a_dropped_rumour_is_told_no_more() -> None:
    queue = BroadcastQueue()
    queue.put(X, b"x is suspect")
    queue.put(Y, b"y is alive")
    queue.drop(X)
    queue.drop(Z)
    assert queue.take(100, 3) == [b"y is alive"]


def test_the_least_told_rumour_goes_first_then_the_newest() -> None:
    queue = BroadcastQueue()
    queue.put(X, b"first")
    assert queue.take(5, 3) == [b"first"]
    queue.put(Y, b"secnd")
    queue.put(Z, b"third")
    assert queue.take(15, 3) == [b"third", b"secnd", b"first"]


def test_a_rumour_too_long_for_the_room_does_not_hold_up_a_shorter_one() -> None:
    queue = BroadcastQueue()
    queue.put(X, b"short")
    queue.put(Y, b"much longer than the room there is")
    assert queue.take(10, 3) == [b"short"]


def test_a_rumour_is_told_as_often_as_the_limit_says() -> None:
    queue = BroadcastQueue()
    queue.put(X, b"news")
    assert [len(queue.take(100, 3)) for _ in range(5)] == [1, 1, 1, 0, 0]
    assert len(queue) == 0


@given(st.integers(1, 12), st.integers(0, 2**32))
def test_everyone_has_a_turn_before_anyone_has_a_second_one(count: int, seed: int) -> None:
    """SWIM, section 4.3: the time until a given member is probed is bounded by two rounds."""
    eligible = [node_id(f"n{number}") for number in range(count)]
    rotation = Rotation(Random(seed))
    for _ in range(3):
        assert sorted(rotation.next(eligible) or b"" for _ in eligible) == sorted(eligible)


def test_a_new_member_has_its_turn_in_the_round_under_way_and_a_gone_one_none() -> None:
    rotation = Rotation(Random(1))
    assert rotation.next([X, Y]) in (X, Y)
    rotation.add(Z)
    assert Z in {rotation.next([Z, Y]), rotation.next([Z, Y])}
    assert rotation.next([]) is None


def member(name: str) -> Member:
    return Member.alive(node_id(name), description(name), 1)


def test_an_acknowledgement_counts_only_from_the_target_or_an_asked_relay() -> None:
    probes = Probes(Random(1))
    probe = probes.start(member("x"), Purpose.ROTATION, 0.0, 0.5, 1.0)
    assert probes.acknowledged(probe.sequence, Y) is None
    assert probes.acknowledged(probe.sequence + 1, X) is None
    probe.relays = (Y,)
    assert probes.acknowledged(probe.sequence, Y) is probe
    assert probes.acknowledged(probe.sequence, X) is None, "an answered probe is over"


def test_a_nack_counts_once_and_only_from_an_asked_relay() -> None:
    probes = Probes(Random(1))
    probe = probes.start(member("x"), Purpose.ROTATION, 0.0, 0.5, 1.0)
    probe.relays = (Y,)
    for sender in (Y, Y, Z, X):
        probes.nacked(probe.sequence, sender)
    assert probe.nacks == (Y,)


def test_a_probe_waits_twice_and_fails_once() -> None:
    probes = Probes(Random(1))
    probe = probes.start(member("x"), Purpose.ROTATION, 0.0, 0.5, 1.0)
    assert probes.next_deadline() == 0.5
    assert probes.take_indirect(0.4) == []
    assert probes.take_indirect(0.5) == [probe]
    assert probes.take_indirect(0.6) == []
    assert probes.next_deadline() == 1.0
    probes.postpone(0.25)
    assert probes.take_failed(1.2) == []
    assert probes.take_failed(1.25) == [probe]
    assert probes.next_deadline() == math.inf


def test_relays_are_bounded_and_end_with_a_nack() -> None:
    probes = Probes(Random(1))
    relays = [probes.relay(X, Y, Endpoint("y", 2), number, 0.4) for number in range(GOSSIP_RELAYS)]
    assert all(isinstance(relay, Relay) for relay in relays)
    assert probes.relay(X, Y, Endpoint("y", 2), 0, 0.4) is None
    assert len({relay.sequence for relay in relays if relay}) == GOSSIP_RELAYS
    assert probes.take_nacks(0.4) == relays
    late = relays[0]
    assert late is not None
    assert probes.acknowledged(late.sequence, X) is None, "an answer after the nack is not passed on"


def test_sequence_numbers_wrap_and_skip_those_in_use() -> None:
    probes = Probes(Random(1))
    first = probes.start(member("x"), Purpose.ROTATION, 0.0, 0.5, 1.0)
    seen: set[int] = {first.sequence}
    for _ in range(2**16 - 1):
        probe = probes.start(member("y"), Purpose.RETRY, 0.0, 0.5, 1.0)
        assert isinstance(probes.acknowledged(probe.sequence, Y), Probe)
        seen.add(probe.sequence)
    assert len(seen) == 2**16
    assert probes.start(member("y"), Purpose.RETRY, 0.0, 0.5, 1.0).sequence != first.sequence


SEEDS = [Endpoint(f"s{number}", 1) for number in range(5)]


def test_seeds_are_asked_some_at_a_time_with_growing_pauses() -> None:
    seeds = Seeds(SEEDS, SELF, LOOPBACK, now=0.0)
    assert seeds.take_due(0.0, (), ()) == SEEDS[:3]
    assert seeds.take_due(0.05, (), ()) == []
    assert seeds.take_due(0.1, (), ()) == [*SEEDS[3:], SEEDS[0]]
    pauses = []
    for _ in range(8):
        due = seeds.next_deadline
        seeds.take_due(due, (), ())
        pauses.append(round(seeds.next_deadline - due, 3))
    assert pauses == [0.4, 0.8, *[LOOPBACK.join_retry_max_s] * 6], "and then for ever"
    assert not seeds.joined


def test_a_seed_is_accounted_for_while_its_address_or_its_node_lives() -> None:
    seeds = Seeds(SEEDS[:2], SELF, LOOPBACK, now=0.0)
    seeds.take_due(0.0, (), ())
    seeds.answered(SEEDS[0], X)
    assert seeds.joined
    assert seeds.take_due(seeds.next_deadline, {SEEDS[1]}, {X}) == []
    assert seeds.take_due(seeds.next_deadline, {SEEDS[1]}, set()) == [SEEDS[0]], "X is lost: ask again"
    assert seeds.take_due(seeds.next_deadline, set(), {X}) == [SEEDS[1]]


def test_a_node_that_is_its_own_only_seed_has_joined() -> None:
    seeds = Seeds(SEEDS[:1], SELF, LOOPBACK, now=0.0)
    seeds.take_due(0.0, (), ())
    seeds.answered(SEEDS[0], SELF)
    assert seeds.joined
    assert seeds.next_deadline == math.inf
