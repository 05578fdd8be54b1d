"""What somebody with the gossip key may say of others, and what becomes of it: nothing that lasts."""

from __future__ import annotations

from random import Random

import pytest
from folkmoot.protocol.gossip import events, messages, push_pull
from folkmoot.protocol.gossip.members import Endpoint, Member, State
from folkmoot.protocol.gossip.membership import Membership
from folkmoot.protocol.gossip.messages import Alive, Claim, Dead, Left, Suspect
from folkmoot.protocol.gossip.profile import LOOPBACK
from folkmoot.protocol.limits import (
    GOSSIP_DOUBTS,
    GOSSIP_FORGET_S,
    GOSSIP_STRANGERS,
    INCARNATION_CLIMB,
    INCARNATION_MAX,
    INCARNATION_STEP,
)

from tests.gossip.world import DATAGRAM, World, description, node_id

NAMES = "abcd"
B = node_id("b")
STRANGER = node_id("stranger")


def town() -> World:
    """A cluster whose members know each other and the roster."""
    world = World()
    world.start_all(NAMES)
    know_the_roster(world, NAMES)
    world.run(5)
    world.transcript.clear()
    for node in world.nodes.values():
        node.changes.clear()
    return world


def know_the_roster(world: World, names: str) -> None:
    roster = frozenset(map(node_id, NAMES))
    for name in names:
        world.tell(name, events.RosterLearned(roster))


def forged(world: World, to: str, *claims: Claim, sender: bytes = STRANGER) -> None:
    world.tell(to, events.DatagramReceived(sender, Endpoint("evil", DATAGRAM), claims))


EXTREME: list[Claim] = [
    Suspect(B, INCARNATION_MAX, STRANGER),
    Suspect(B, INCARNATION_STEP * 2, STRANGER),
    Dead(B, INCARNATION_MAX, STRANGER),
    Dead(B, 1, STRANGER),
    Left(B, 0),
    Left(B, 1),
    Left(B, INCARNATION_MAX),
    Alive(B, INCARNATION_MAX, description("evil")),
    Alive(B, INCARNATION_MAX - 1, description("evil")),
    Alive(B, INCARNATION_STEP * 2, description("evil")),
    Alive(B, INCARNATION_STEP, description("evil")),
]


@pytest.mark.parametrize("claim", EXTREME, ids=str)
@pytest.mark.parametrize("sender", [STRANGER, B, node_id("a")], ids=["stranger", "itself", "another"])
@pytest.mark.parametrize("told", ["abcd", "acd", "b", "a"])
def test_no_claim_does_lasting_harm(claim: Claim, sender: bytes, told: str) -> None:
    """Whoever is told what in whose name: soon all are alive to all, and can be restarted, and can die."""
    world = town()
    for name in told:
        forged(world, name, claim, sender=sender)
    world.run_until(lambda: world.complete(NAMES) and world.agree(), 20.0)
    world.run(5.0)
    assert world.complete(NAMES) and world.agree()
    assert world.durable["b"] <= 1 + 3 * INCARNATION_STEP
    assert all(world.nodes[name].core.get(B) == world.nodes["b"].core.own for name in NAMES)
    world.kill("b")
    world.run_until(lambda: all(world.sees(name, "b") is State.DEAD for name in "acd"), 30.0)
    world.start("b", "a", host="b-elsewhere")
    know_the_roster(world, "b")
    world.run_until(lambda: world.complete(NAMES) and world.agree(), 20.0)


@pytest.mark.parametrize("claim", EXTREME, ids=str)
def test_no_claim_makes_a_node_go_or_stops_it_from_denying_the_next(claim: Claim) -> None:
    world = town()
    b = world.nodes["b"].core
    for _ in range(50):
        forged(world, "b", claim)
        world.run(LOOPBACK.gossip_interval_s)
    assert b.own.state is State.ALIVE
    assert b.own.incarnation <= 1 + 51 * INCARNATION_STEP
    before = b.own.incarnation
    forged(world, "b", Suspect(B, before, STRANGER))
    world.run(1.0)
    assert b.own.incarnation == before + 1
    world.run_until(lambda: world.complete(NAMES) and world.agree(), 20.0)


def test_another_s_goodbye_is_an_accusation_and_is_denied() -> None:
    world = town()
    forged(world, "a", Left(B, 1))
    assert world.sees("a", "b") is State.SUSPECT
    world.run_until(lambda: world.complete(NAMES), 1.5)
    assert world.nodes["b"].core.statistics().refutations == 1
    assert world.changes(State.LEFT) == []


def test_another_s_goodbye_of_a_node_that_is_gone_is_believed() -> None:
    world = town()
    world.kill("b")
    world.run_until(lambda: all(world.sees(name, "b") is State.DEAD for name in "acd"), 30.0)
    forged(world, "a", Left(B, 1))
    assert world.sees("a", "b") is State.LEFT


def test_a_member_of_the_roster_is_tried_for_ever_whatever_was_said_of_it() -> None:
    world = town()
    for name in "acd":
        forged(world, name, Left(B, 1), sender=B)
    assert all(world.sees(name, "b") is State.LEFT for name in "acd")
    world.run_until(lambda: world.complete(NAMES), 2 * LOOPBACK.retry_interval_s + 1.0)
    world.kill("b")
    for name in "acd":
        forged(world, name, Left(B, world.durable["b"]), sender=B)
    world.run(3600.0)
    world.transcript.clear()
    world.run(10 * LOOPBACK.retry_interval_s + 0.1)
    asked = [line for line in world.transcript if " a → b: ping b, left b" in line]
    assert len(asked) == 10


def test_a_stranger_that_left_is_not_asked_for_and_comes_back_when_it_likes() -> None:
    world = town()
    world.start("e", "a")
    know_the_roster(world, "e")
    world.run_until(lambda: world.complete("abcde"), 30.0)
    world.tell("e", events.LeaveAsked())
    world.run_until(lambda: all(world.sees(name, "e") is State.LEFT for name in NAMES), 1.0)
    world.kill("e")
    world.transcript.clear()
    world.run(60.0)
    assert not [line for line in world.transcript if "→ e:" in line]
    assert world.changes(State.DEAD) == world.changes(State.SUSPECT) == []
    world.start("e", "a")
    know_the_roster(world, "e")
    world.run_until(lambda: world.complete("abcde") and world.agree(), 60.0)


def test_strangers_that_are_gone_are_forgotten_and_others_are_not() -> None:
    world = town()
    world.start("e", "a")
    world.start("f", "a")
    know_the_roster(world, "ef")
    world.run_until(lambda: world.complete("abcdef"), 60.0)
    world.tell("e", events.LeaveAsked())
    world.run(1.0)
    for name in "efb":
        world.kill(name)
    world.run(GOSSIP_FORGET_S / 2)
    assert world.sees("a", "e") is State.LEFT
    assert world.sees("a", "f") is world.sees("a", "b") is State.DEAD
    world.run(GOSSIP_FORGET_S)
    for name in "acd":
        assert sorted(world.nodes[name].forgotten) == ["e", "f"]
        assert world.sees(name, "e") is world.sees(name, "f") is None
        assert world.sees(name, "b") is State.DEAD
    assert world.agree()


def test_a_node_that_has_said_goodbye_says_nothing_else() -> None:
    world = town()
    world.tell("b", events.LeaveAsked())
    world.tell("b", events.MetaUpdated({"roster": 2}))
    world.run(5.0)
    assert world.nodes["b"].core.own.state is State.LEFT


def inventions(count: int) -> list[Alive]:
    return [Alive(node_id(f"x{number}"), 1, description(f"x{number}", "evil")) for number in range(count)]


def test_a_genuine_newcomer_is_met_among_any_number_of_inventions() -> None:
    world = town()
    for alive in inventions(1_100):
        for name in NAMES:
            forged(world, name, alive)
    for name in NAMES:
        assert len(list(world.nodes[name].core)) == len(NAMES) + GOSSIP_STRANGERS
        assert world.nodes[name].core.statistics().alive == len(NAMES) + GOSSIP_STRANGERS
    world.start("e", "a")
    know_the_roster(world, "e")
    world.run_until(lambda: world.sees("a", "e") is State.ALIVE, 1.0)
    bound = 8 * LOOPBACK.push_pull_interval_s * 5
    world.run_until(lambda: world.complete("abcde"), bound)
    world.kill("b")
    world.start("b", "a", host="b-elsewhere")
    know_the_roster(world, "b")
    world.run_until(lambda: world.complete(NAMES), bound)


def test_a_node_that_starts_among_inventions_meets_the_roster() -> None:
    world = town()
    world.kill("d")
    world.start("d", "a", host="d-elsewhere")
    for alive in inventions(1_100):
        forged(world, "d", alive)
    world.run_until(lambda: world.sees("d", "a") is State.ALIVE, 1.0)
    know_the_roster(world, "d")
    assert len(list(world.nodes["d"].core)) <= len(NAMES) + GOSSIP_STRANGERS
    world.run_until(lambda: world.complete(NAMES), 60.0)


# Incarnations that leap.


def core(name: str = "a") -> Membership:
    """A core alone, which knows b at incarnation 1."""
    made = Membership(Member.alive(node_id(name), description(name), 1), [], LOOPBACK, Random(1), 0.0)
    made.handle(heard(Alive(B, 1, description("b"))), 0.0)
    return made


def heard(*claims: messages.Message, sender: bytes = STRANGER) -> events.DatagramReceived:
    return events.DatagramReceived(sender, Endpoint("evil", DATAGRAM), claims)


def asked(effects: list[events.Effect]) -> list[events.StartPushPull]:
    return [effect for effect in effects if isinstance(effect, events.StartPushPull)]


def test_a_leap_is_believed_when_the_node_says_so_itself() -> None:
    a = core()
    leapt = Member.alive(B, description("b", "elsewhere"), INCARNATION_MAX - 5)
    [question] = asked(a.handle(heard(Alive(B, leapt.described, leapt.description)), 1.0))
    assert (question.node_id, question.endpoint) == (B, leapt.peer)
    assert isinstance(question.request, push_pull.Compare)
    known = a.get(B)
    assert known is not None and known.described == 1, "not before"
    a.handle(events.PushPullAnswered(leapt.peer, push_pull.Whole(B, (leapt,))), 1.1)
    assert a.get(B) == leapt


def test_a_leap_is_not_believed_of_another() -> None:
    a = core()
    leapt = Member.alive(B, description("b", "elsewhere"), INCARNATION_MAX - 5)
    c = node_id("c")
    told = push_pull.Exchange(c, (Member.alive(c, description("c"), 10**9), leapt))
    effects = a.handle(events.PushPullAsked(told), 1.0)
    assert [question.node_id for question in asked(effects)] == [B]
    known, other = a.get(B), a.get(c)
    assert known is not None and known.described == 1
    assert other is not None and other.described == 10**9, "of itself, it is"


def test_a_node_nobody_knows_is_met_by_a_step_and_asked_above_it() -> None:
    a, c = core(), node_id("c")
    effects = a.handle(heard(Alive(c, INCARNATION_STEP + 1, description("c"))), 1.0)
    assert a.get(c) is None
    assert [question.node_id for question in asked(effects)] == [c]
    a.handle(heard(Alive(c, INCARNATION_STEP, description("c"))), 1.0)
    assert a.get(c) is not None


def test_doubts_are_settled_one_by_one_and_never_are_many() -> None:
    a = core()
    leaps = [
        Alive(node_id(f"x{number}"), INCARNATION_MAX, description(f"x{number}")) for number in range(500)
    ]
    questions = [question for leap in leaps for question in asked(a.handle(heard(leap), 1.0))]
    assert len(questions) == 1
    while questions and len(questions) < 100:
        more = asked(a.handle(events.PushPullFailed(questions[-1].endpoint), 2.0))
        assert len(more) <= 1
        questions += more or []
        if not more:
            break
    assert len(questions) == 1 + GOSSIP_DOUBTS


@pytest.mark.parametrize(
    ("had", "within_s"),
    [
        pytest.param(50 * INCARNATION_STEP, 3.0, id="more than anyone needs"),
        pytest.param(INCARNATION_CLIMB - 1, 3.0, id="more than there is time for"),
        pytest.param(
            3 * INCARNATION_CLIMB, 12 * LOOPBACK.push_pull_interval_s, id="driven there by somebody"
        ),
    ],
)
def test_a_node_that_lost_its_disk_climbs_above_the_height_it_had(had: int, within_s: float) -> None:
    """Others hold it dead at an incarnation it would not reach by itself in years."""
    world = town()
    world.kill("b")
    world.durable["b"] = had
    world.start("b", "a", host="b-elsewhere")
    know_the_roster(world, "b")
    world.run_until(lambda: world.complete(NAMES) and world.agree(), 60.0)
    assert world.durable["b"] > had
    world.kill("b")
    world.run_until(lambda: all(world.sees(name, "b") is State.DEAD for name in "acd"), 30.0)
    world.durable["b"] = 0
    world.start("b", "a")
    know_the_roster(world, "b")
    world.run_until(lambda: world.complete(NAMES) and world.agree(), within_s)
    assert had < world.durable["b"] < had + 2 * INCARNATION_CLIMB


def test_a_link_drives_a_node_up_no_faster_than_it_can_bear() -> None:
    a = core("b")
    for number in range(100):
        lie = Member.alive(B, description("b", "twin"), INCARNATION_MAX)
        told = push_pull.Exchange(node_id("a"), (lie,))
        a.handle(events.PushPullAsked(told), number * LOOPBACK.gossip_interval_s)
    assert a.own.incarnation <= 1 + 100 * INCARNATION_CLIMB < INCARNATION_MAX // 2**30


def test_a_node_at_the_last_incarnation_lives_on() -> None:
    """It can deny nothing more, and speaks of no incarnation that there is not."""
    last = Membership(Member.alive(B, description("b"), INCARNATION_MAX), [], LOOPBACK, Random(1), 0.0)
    for claim in EXTREME:
        for effect in last.handle(heard(claim), 1.0):
            assert not isinstance(effect, events.PersistIncarnation)
            if isinstance(effect, events.SendDatagram):
                messages.decode(effect.payload)
    last.handle(events.MetaUpdated({"roster": 2}), 2.0)
    last.tick(5.0)
    assert last.own.incarnation == INCARNATION_MAX


def test_who_comes_back_is_compared_with_whatever_was_said_of_it() -> None:
    for claim in (Dead(B, 1, STRANGER), Left(B, 1)):
        a = core()
        a.handle(heard(claim, sender=B), 1.0)
        known = a.get(B)
        assert known is not None and not known.is_live
        effects = a.handle(heard(Alive(B, 2, description("b")), sender=B), 2.0)
        assert [question.node_id for question in asked(effects)] == [B]


def test_whoever_compares_over_a_link_has_spoken() -> None:
    a = core()
    a.handle(events.RosterLearned(frozenset({node_id("a")})), 1.0)
    assert not a.trusts(B) and not a.has_spoken(B)
    a.handle(events.PushPullAsked(push_pull.Compare(B, a.digest())), 1.0)
    assert a.trusts(B) and a.has_spoken(B)
