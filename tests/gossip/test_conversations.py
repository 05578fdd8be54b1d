"""What nodes say to each other when something happens, told as conversations."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from folkmoot.protocol.gossip import events, messages, push_pull
from folkmoot.protocol.gossip.members import Endpoint, Member, State
from folkmoot.protocol.gossip.membership import Membership
from folkmoot.protocol.gossip.profile import LAN, LOOPBACK, PROFILES, Profile, push_pull_interval_s

from tests.gossip.world import DATAGRAM, World, description, name_of, node_id


def said(world: World) -> list[str]:
    """The transcript without its times."""
    return [line.split(" ", 1)[1] for line in world.transcript]


def started(names: str, profile: Profile = LOOPBACK, seed: int = 1) -> World:
    """A cluster whose members know each other and have nothing more to say."""
    world = World(seed, profile)
    world.start_all(names)
    world.run(5)
    world.transcript.clear()
    for node in world.nodes.values():
        node.changes.clear()
    return world


def acquainted(own: str, other: str) -> Membership:
    """A core alone, started at time 0, that has heard of one other node."""
    core = Membership(Member.alive(node_id(own), description(own), 1), [], LOOPBACK, Random(1), 0.0)
    alive = messages.Alive(node_id(other), 1, description(other))
    core.handle(events.DatagramReceived(node_id(other), Endpoint(other, DATAGRAM), (alive,)), 0.0)
    return core


def test_a_node_that_joins_is_announced_to_all_by_its_seed() -> None:
    world = started("abc")
    world.start("d", "a")
    took = world.run_until(lambda: world.complete("abcd"), 1.0)
    assert took < 0.01, "two round trips"
    assert said(world)[:3] == ["d → a: exchange", "a → b: alive d@1", "a → c: alive d@1"]


def test_idle_nodes_say_ping_and_ack_and_nothing_else() -> None:
    world = started("abc")
    world.run(10)
    assert {line.split(": ")[1].split(" ")[0] for line in said(world)} <= {"ping", "ack", "compare"}
    assert 3 * 9 * 2 <= len(said(world)) <= 3 * 11 * 2 + 3


def test_a_killed_node_is_probed_at_once_by_all_ways_and_its_silence_told_to_all() -> None:
    world = started("abc")
    world.kill("c")
    world.run(LOOPBACK.reset_timeout_s - 0.1)
    asked = [line for line in said(world) if line.startswith("a → ")]
    assert asked[:2] == ["a → c: ping c", "a → b: ping-request c"]
    world.run_until(lambda: world.sees("b", "c") is State.SUSPECT, 0.2)
    world.run_until(lambda: world.sees("a", "c") is State.SUSPECT, 0.2)
    assert "a → c: suspect c@1 by a" in said(world), "the accused hears it, too"
    world.run_until(lambda: world.sees("a", "c") is world.sees("b", "c") is State.DEAD, 10.0)


def test_a_refused_connection_is_evidence_enough() -> None:
    world = started("abcd")
    world.kill("d", resets=False)
    world.tell("a", events.ConnectionRefused(node_id("d")))
    assert said(world) == ["a → d: suspect d@1 by a", "a → b: suspect d@1 by a", "a → c: suspect d@1 by a"]
    world.run(0.01)
    assert all(world.sees(name, "d") is State.SUSPECT for name in "abc")


def test_a_second_report_of_what_is_known_is_not_told_again() -> None:
    world = started("abcd")
    world.kill("d", resets=False)
    world.tell("a", events.ConnectionRefused(node_id("d")))
    world.transcript.clear()
    world.tell("a", events.ConnectionRefused(node_id("d")))
    world.tell("a", events.ConnectionRefused(node_id("nobody")))
    world.tell("a", events.ConnectionRefused(node_id("a")))
    assert said(world) == []


def test_a_reset_connection_of_a_living_node_changes_nothing() -> None:
    world = started("abc")
    world.tell("a", events.ConnectionReset(node_id("b")))
    world.run(2.0)
    assert said(world)[:2] == ["a → b: ping b", "a → c: ping-request b"]
    assert world.changes(State.SUSPECT) == []


def test_a_falsely_accused_node_raises_its_incarnation_makes_it_durable_and_says_so() -> None:
    world = started("abc")
    world.tell("a", events.ConnectionRefused(node_id("b")))
    took = world.run_until(lambda: world.complete("abc"), 1.0)
    assert took < LOOPBACK.gossip_interval_s
    assert "b → a: alive b@2" in said(world)
    assert world.durable["b"] == 2
    assert world.nodes["b"].core.statistics().refutations == 1
    assert world.changes(State.DEAD) == []


def test_traffic_on_the_peer_link_stands_in_for_a_lost_acknowledgement() -> None:
    world = started("ab")
    world.loss = 1.0
    a = world.nodes["a"]
    for _ in range(40):
        world.run(0.25)
        a.core.observe_stream(node_id("b"), world.now)
    assert world.sees("a", "b") is State.ALIVE
    world.run_until(lambda: world.sees("a", "b") is State.SUSPECT, 3.0)


def test_a_node_that_was_not_listening_gives_the_others_the_time_it_lost() -> None:
    """A timer that fires two seconds late comes before the acknowledgement that waited as long."""
    core = acquainted("a", "b")
    source = Endpoint("b", DATAGRAM)
    now = 0.0
    pings: list[messages.Ping] = []
    while not pings:
        now = core.next_deadline()
        sent = [effect for effect in core.tick(now) if isinstance(effect, events.SendDatagram)]
        spoken = [message for effect in sent for message in messages.decode(effect.payload)]
        pings = [message for message in spoken if isinstance(message, messages.Ping)]
    now += LOOPBACK.probe_interval_s + 2.0
    core.tick(now)
    core.handle(events.DatagramReceived(node_id("b"), source, (messages.Ack(pings[0].sequence),)), now + 0.01)
    while core.next_deadline() < now + LOOPBACK.probe_timeout_s:
        core.tick(core.next_deadline())
    member = core.get(node_id("b"))
    assert member is not None
    assert member.state is State.ALIVE


def test_a_relay_says_that_it_had_no_answer() -> None:
    world = started("abc")
    world.kill("c", resets=False)
    world.run_until(lambda: "b → a: nack" in said(world) or "a → b: nack" in said(world), 5.0)
    assert world.changes(State.DEAD) == []


def test_a_relayed_answer_saves_a_node_that_one_other_cannot_reach() -> None:
    """An asymmetric cut between a and b: c carries their pings."""
    world = started("abc")
    connected = world._connected
    world._connected = lambda one, other: {one, other} != {"a", "b"} and connected(one, other)  # type: ignore[method-assign]
    world.run(20)
    assert any("ping-request" in line for line in said(world))
    assert world.changes(State.SUSPECT) == []


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_after_a_partition_both_sides_find_each_other_without_help(profile: Profile) -> None:
    world = started("abcdef", profile)
    world.partition("abc", "def")

    def torn() -> bool:
        pairs = [(one, other) for one in "abc" for other in "def"]
        return all(world.sees(a, d) is world.sees(d, a) is State.DEAD for a, d in pairs)

    world.run_until(torn, 300 * profile.probe_interval_s)
    world.run(600.0)
    for node in world.nodes.values():
        node.changes.clear()
    world.heal()
    bound = 4 * profile.retry_interval_s + 2 * push_pull_interval_s(profile.push_pull_interval_s, 6)
    world.run_until(lambda: world.complete("abcdef") and world.agree(), bound)
    assert world.changes(State.DEAD) == [], "nobody is held dead on hearsay while it is here"


def test_the_dead_are_probed_for_ever_with_the_accusation_enclosed() -> None:
    world = started("ab")
    world.kill("b")
    world.run_until(lambda: world.sees("a", "b") is State.DEAD, 30.0)
    world.run(3600.0)
    world.transcript.clear()
    world.run(10 * LOOPBACK.retry_interval_s + 0.1)
    assert said(world).count("a → b: ping b, dead b@1 by a") == 10


def test_a_lost_member_that_was_only_silent_refutes_in_its_answer_to_the_retry() -> None:
    world = started("ab", LAN, seed=3)
    world.partition("a", "b")
    world.run_until(lambda: world.sees("a", "b") is world.sees("b", "a") is State.DEAD, 60.0)
    world.run(30.0)
    world.transcript.clear()
    world.heal()
    world.run_until(lambda: world.complete("ab"), 3 * LAN.retry_interval_s)
    one, other = ("a", "b") if said(world)[0].startswith("a") else ("b", "a")
    assert said(world)[:4] == [
        f"{one} → {other}: ping {other}, dead {other}@1 by {one}",
        f"{other} → {one}: ack, dead {one}@1 by {other}, alive {other}@2",
        f"{one} → {other}: compare",
        f"{one} → {other}: alive {other}@2, alive {one}@2",
    ]


def test_all_restart_at_once_at_new_addresses_and_none_stays_dead() -> None:
    world = started("abcde")
    for name in "abcde":
        world.kill(name)
    for name in "bcde":
        world.start(name, "a", host=f"{name}-elsewhere")
    world.run(3.0)
    world.start("a")
    world.run_until(lambda: world.complete("abcde") and world.agree(), 2.0)
    assert {world.durable[name] for name in "abcde"} == {2}
    assert world.changes(State.SUSPECT) == []


def test_a_stale_alive_gets_the_accusation_back() -> None:
    """A node that returns with an old incarnation is told what it must refute."""
    world = started("abc")
    world.kill("c")
    world.run_until(lambda: world.sees("a", "c") is world.sees("b", "c") is State.DEAD, 20.0)
    world.transcript.clear()
    stale = messages.Alive(node_id("c"), 1, description("c"))
    world.tell("a", events.DatagramReceived(node_id("c"), Endpoint("c", DATAGRAM), (stale,)))
    assert said(world) == ["a → c: dead c@1 by a"]
    world.tell("a", events.DatagramReceived(node_id("c"), Endpoint("c", DATAGRAM), (stale,)))
    assert len(said(world)) == 1, "once a gossip interval, or two accusers would answer each other for ever"


def test_a_node_that_lost_its_disk_learns_the_incarnation_it_had() -> None:
    world = started("abc")
    for _ in range(3):
        world.tell("c", events.MetaUpdated({"roster": world.durable["c"]}))
    world.run(2.0)
    assert world.durable["c"] == 4
    world.kill("c")
    world.durable["c"] = 0
    world.start("c", "a", host="c-elsewhere")
    world.run_until(lambda: world.complete("abc") and world.agree(), 5.0)
    member = world.nodes["b"].core.get(node_id("c"))
    assert member is not None
    assert (member.peer.host, member.incarnation) == ("c-elsewhere", 5)


def test_who_left_is_gone_until_it_says_something_later() -> None:
    world = started("abcd")
    world.tell("d", events.LeaveAsked())
    assert said(world) == [f"d → {name}: left d@1" for name in "abc"]
    world.run(1.0)
    assert all(world.sees(name, "d") is State.LEFT for name in "abcd")
    world.kill("d")
    world.run(30.0)
    assert not [line for line in said(world) if "→ d: ping" in line], "nobody asks for it any more"
    stale = messages.Alive(node_id("d"), 1, description("d"))
    world.tell("a", events.DatagramReceived(node_id("b"), Endpoint("b", DATAGRAM), (stale,)))
    assert world.sees("a", "d") is State.LEFT
    world.start("d", "a")
    world.run_until(lambda: world.complete("abcd") and world.agree(), 1.0)


def test_those_who_never_met_a_leaver_have_nothing_to_remember() -> None:
    world = started("ab")
    left = messages.Left(node_id("gone"), 3)
    world.tell("a", events.DatagramReceived(node_id("gone"), Endpoint("b", DATAGRAM), (left,)))
    assert world.sees("a", "gone") is None


def test_new_facts_about_a_node_reach_all_within_a_few_rounds() -> None:
    world = started("abcdefgh")

    def known() -> bool:
        found = [world.nodes[name].core.get(node_id("c")) for name in "abcdefgh"]
        return all(member is not None and member.meta == {"roster": 7} for member in found)

    world.tell("c", events.MetaUpdated({"roster": 7}))
    assert world.run_until(known, 5.0) < 1.0
    assert world.durable["c"] == 2


def test_what_rumours_missed_is_found_by_comparing_views() -> None:
    world = started("abc")
    world.loss = 1.0
    world.tell("a", events.MetaUpdated({"roster": 7}))
    world.run(0.9)
    world.run_until(lambda: world.nodes["a"].core.statistics().rumours == 0, 5.0)
    world.loss = 0.0
    world.run_until(world.agree, 3 * LOOPBACK.push_pull_interval_s)
    assert any("compare" in line for line in said(world))


@pytest.mark.parametrize("knows_more", [True, False])
def test_who_compares_and_knows_more_says_so_in_a_second_request(knows_more: bool) -> None:
    core = acquainted("a", "b")
    b = Member.alive(node_id("b"), description("b"), 1)
    answer = push_pull.Whole(b.node_id, (b,) if knows_more else (b, core.own))
    asked: list[events.StartPushPull] = []
    while not asked:
        core.observe_stream(b.node_id, core.next_deadline())
        effects = core.tick(core.next_deadline())
        asked = [effect for effect in effects if isinstance(effect, events.StartPushPull)]
    assert isinstance(asked[0].request, push_pull.Compare)
    effects = core.handle(events.PushPullAnswered(b.peer, answer), core.next_deadline())
    pushed = [effect.request for effect in effects if isinstance(effect, events.StartPushPull)]
    assert pushed == ([push_pull.Exchange(node_id("a"), tuple(core))] if knows_more else [])


def test_two_nodes_under_one_id_do_not_chase_each_other_at_the_speed_of_the_network() -> None:
    world = started("ab")
    twin = messages.Alive(node_id("b"), 1, description("b", "twin"))
    before = world.durable["b"]
    for _ in range(100):
        own = world.nodes["b"].core.own
        again = replace(twin, incarnation=own.incarnation + 1)
        world.tell("b", events.DatagramReceived(node_id("a"), Endpoint("a", DATAGRAM), (again,)))
        world.run(0.001)
    world.run(0.2)
    assert 1 <= world.durable["b"] - before <= 200
    assert world.nodes["b"].core.statistics().refutations <= 4


def test_a_ping_for_somebody_else_at_this_address_is_not_acknowledged() -> None:
    world = started("ab")
    ping = messages.Ping(7, node_id("c"))
    world.tell("a", events.DatagramReceived(node_id("b"), Endpoint("b", DATAGRAM), (ping,)))
    assert said(world) == []


def test_a_node_that_meets_itself_does_not_talk_to_itself() -> None:
    world = World()
    world.start("a", "a")
    world.run(30.0)
    assert said(world) == []
    assert world.nodes["a"].core.statistics().joined


def test_changes_say_what_was_before() -> None:
    world = started("abc")
    world.kill("c")
    world.run(20.0)
    seen = [(change.before, change.member) for change in world.nodes["a"].changes]
    assert [(before and before.state, after.state) for before, after in seen] == [
        (State.ALIVE, State.SUSPECT),
        (State.SUSPECT, State.DEAD),
    ]
    assert name_of(seen[0][1].node_id) == "c"


def test_lan_and_loopback_share_what_makes_a_wire_work() -> None:
    """A cluster may be moved from one profile to the other node by node."""
    world = started("abc", LAN)
    world.profile = LOOPBACK
    world.kill("b")
    world.start("b", "a")
    world.run_until(lambda: world.complete("abc") and world.agree(), 10.0)
