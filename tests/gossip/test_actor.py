"""The membership actor: over real UDP on loopback, and over memory on a virtual clock."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from folkmoot.node.standing.boot_numbers import Numbers, next_numbers
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.gossip import messages, push_pull
from folkmoot.protocol.gossip.members import State
from folkmoot.protocol.gossip.profile import LOOPBACK
from folkmoot.protocol.gossip.seal import BOOT_MAX, NONCE_BYTES, KeyRing, Sealer
from folkmoot.protocol.limits import GOSSIP_MAIL, INCARNATION_MAX

from tests.gossip.actors import KEY, NO_HOST, cluster
from tests.gossip.world import node_id
from tests.waiting import until

Clock = trio.testing.MockClock


async def test_real_nodes_find_each_other_lose_one_and_take_it_back() -> None:
    async with cluster("abcd", real=True) as actors:
        await actors.kill("d")
        await until(
            lambda: all((actors.state(name, "d") or State.ALIVE) >= State.SUSPECT for name in "abc"),
            what="the death is known to all",
            within_s=2.0,
        )
        before = actors.durable["d"]
        await actors.start("d", "a")
        await until(actors.complete, what="it is back", within_s=2.0)
        returned = actors.member("b", "d")
        assert returned is not None
        assert returned.incarnation > before.incarnation
        assert actors.durable["d"].boot > before.boot


async def test_a_refused_connection_is_known_to_all_at_once() -> None:
    async with cluster("abc", real=True) as actors:
        actors.running["a"].connection_refused(node_id("c"))
        await until(
            lambda: actors.running["c"].statistics()[0].refutations == 1,
            what="c hears and refutes",
            within_s=2.0,
        )
        await until(actors.complete, what="all believe it", within_s=2.0)
        assert actors.stored[-1] == ("c", actors.durable["c"])


async def test_ten_idle_minutes_accuse_nobody_and_cost_little(autojump_clock: Clock) -> None:
    async with cluster("abcde") as actors:
        before = {name: actor.statistics()[1].sent_bytes for name, actor in actors.running.items()}
        versions = {name: actor.version for name, actor in actors.running.items()}
        await trio.sleep(600)
        for name, actor in actors.running.items():
            assert (actor.statistics()[1].sent_bytes - before[name]) / 600 <= 200
            assert actor.version == versions[name], "nothing changed"
            assert actor.statistics()[1].datagrams_refused == 0


async def test_what_is_durable_comes_before_what_is_said(autojump_clock: Clock) -> None:
    """At every boot and refutation both numbers only rise."""
    async with cluster("abc") as actors:
        for _ in range(3):
            actors.running["a"].connection_refused(node_id("b"))
            await until(lambda: actors.state("a", "b") is State.SUSPECT, what="b is accused")
            await until(actors.complete, what="b refutes")
        await actors.kill("b")
        await actors.start("b", "a")
        await until(actors.complete, what="b is back")
        numbers = [numbers for name, numbers in actors.stored if name == "b"]
        assert len(numbers) == 5
        assert [one.incarnation for one in numbers] == [1, 2, 3, 4, 5]
        assert sorted({one.boot for one in numbers}) == [numbers[0].boot, numbers[-1].boot]


async def test_changes_wake_those_who_wait_for_them(autojump_clock: Clock) -> None:
    async with cluster("ab") as actors:
        a = actors.running["a"]
        seen = a.version
        snapshot = a.members()
        actors.running["b"].update_meta({"roster": 1})
        actors.running["b"].update_meta({"roster": 2})
        seen = await a.wait_changed(seen)
        assert a.members()[node_id("b")].meta == {"roster": 2}, "only the latest was spread"
        assert snapshot[node_id("b")].meta == {}, "a snapshot stays what it was"
        assert a.members() is a.members()
        await actors.kill("b")
        seen = await a.wait_changed(seen)
        assert (a.alive(node_id("b")), a.reachable(node_id("b"))) == (False, True)
        await a.wait_changed(seen)
        assert (a.alive(node_id("b")), a.reachable(node_id("b"))) == (False, False)
        assert not a.reachable(node_id("nobody"))


async def test_meta_that_does_not_fit_is_refused_where_it_is_given(autojump_clock: Clock) -> None:
    async with cluster("ab") as actors:
        with pytest.raises(WireError, match="at most"):
            actors.running["a"].update_meta({"much": b"x" * 600})
        await trio.sleep(5)
        assert actors.complete()


async def test_leaving_is_told_and_ends_with_the_next_start(autojump_clock: Clock) -> None:
    async with cluster("abc") as actors:
        c = actors.running["c"]
        await c.leave()
        assert actors.state("a", "c") is actors.state("b", "c") is State.LEFT
        assert c.own.state is State.LEFT
        assert actors.running["a"].address_of(node_id("c")) is None
        actors.running["a"].learn_roster(frozenset({node_id("c")}))
        assert actors.running["a"].address_of(node_id("c")) is not None, "where to try for ever"
        await actors.kill("c")
        await actors.start("c", "a")
        await until(actors.complete, what="it is back", within_s=2.0)


async def test_one_who_only_has_the_key_makes_nobody_go(autojump_clock: Clock) -> None:
    """Forged goodbyes and accusations without end: a node denies them, and can always be started again."""
    async with cluster("abc") as actors:
        c = node_id("c")
        sealer = Sealer(KeyRing([KEY]), "moot", node_id("x"), 1)
        accusation = messages.Suspect(c, INCARNATION_MAX, node_id("x"))
        for number in range(20):
            payload = messages.encode(messages.Left(c, 0)) + messages.encode(accusation)
            sealed = sealer.seal(payload, number.to_bytes(NONCE_BYTES, "big"))
            for name in "abc":
                await actors.ports["a"].send(sealed, actors.ports[name].address, None)
            await trio.sleep(1.0)
        await until(actors.complete, what="all are alive", within_s=10.0)
        for _ in range(3):
            await actors.kill("c")
            await actors.start("c", "a")
            await until(actors.complete, what="it is back", within_s=10.0)


async def test_a_node_at_the_end_of_its_numbers_starts(autojump_clock: Clock) -> None:
    async with cluster("ab") as actors:
        await actors.kill("b")
        actors.durable["b"] = Numbers(INCARNATION_MAX, actors.durable["b"].boot)
        b = await actors.start("b", "a")
        assert b.own.incarnation == INCARNATION_MAX
        b.update_meta({"roster": 2})
        await trio.sleep(5.0)
        await until(actors.complete, what="it is back", within_s=10.0)
        actors.running["a"].connection_refused(node_id("b"))
        await trio.sleep(60.0)
        await actors.kill("b")
        await actors.start("b", "a")


async def test_neighbours_are_the_live_ones_that_come_next_in_the_circle(autojump_clock: Clock) -> None:
    async with cluster("abcd") as actors:
        c = actors.running["c"]
        assert c.neighbours(2) == [node_id("d"), node_id("a")]
        assert c.neighbours(9) == [node_id("d"), node_id("a"), node_id("b")]
        await actors.kill("d")
        await until(lambda: actors.state("c", "d") is State.DEAD, what="d is dead", within_s=60)
        assert c.neighbours(2) == [node_id("a"), node_id("b")]
        address = c.address_of(node_id("a"))
        member = actors.member("c", "a")
        assert member is not None
        assert address == Address(*member.peer)
        assert c.address_of(node_id("nobody")) is None


async def test_no_links_are_kept_to_nodes_that_are_hearsay(autojump_clock: Clock) -> None:
    """Somebody with the key could fill the circle with nodes that do not exist."""
    async with cluster("ac") as actors:
        a = actors.running["a"]
        a.learn_roster(frozenset({node_id("a"), node_id("c")}))
        sealer = Sealer(KeyRing([KEY]), "moot", node_id("x"), 1)
        for number in range(20):
            alive = messages.Alive(node_id(f"b{number}"), 1, actors.running["c"].own.description)
            sealed = sealer.seal(messages.encode(alive), number.to_bytes(NONCE_BYTES, "big"))
            await actors.ports["c"].send(sealed, actors.ports["a"].address, None)
        await until(lambda: len(a.members()) > 10, what="inventions to be heard of")
        assert a.neighbours(3) == [node_id("c")]


async def test_strangers_and_repeats_are_counted_and_forgotten(autojump_clock: Clock) -> None:
    async with cluster("ab") as actors:
        a = actors.running["a"]
        sealer = Sealer(KeyRing([KEY]), "moot", node_id("x"), 1)
        good = sealer.seal(messages.encode(messages.Ack(1)), bytes(NONCE_BYTES))
        garbled = sealer.seal(b"\xff", b"1" * NONCE_BYTES)
        stranger = Sealer(KeyRing([b"?" * 32]), "moot", node_id("x"), 1).seal(b"", bytes(NONCE_BYTES))
        address = actors.ports["a"].address
        for datagram in (good, good, garbled, stranger, b"", b"\x00" * 100):
            await actors.ports["b"].send(datagram, address, None)
        await until(lambda: a.statistics()[1].datagrams_repeated == 1, what="all came in")
        await until(lambda: a.statistics()[1].datagrams_refused == 4, what="the strangers came in")
        assert actors.complete()


async def test_a_node_of_another_cluster_or_key_never_becomes_a_member_by_datagram(
    autojump_clock: Clock,
) -> None:
    async with cluster("ab") as actors:
        await actors.start("c", keys=(b"?" * 32,))
        await actors.start("d", name_of_cluster="other")
        alive = messages.encode(messages.Alive(node_id("c"), 1, actors.running["c"].own.description))
        for ring, other in ((KeyRing([b"?" * 32]), "moot"), (KeyRing([KEY]), "other")):
            sealed = Sealer(ring, other, node_id("c"), 9).seal(alive, bytes(NONCE_BYTES))
            await actors.ports["b"].send(sealed, actors.ports["a"].address, None)
        await trio.sleep(30)
        assert set(actors.running["a"].members()) == {node_id("a"), node_id("b")}


async def test_a_member_nothing_can_be_sent_to_harms_nobody_else(autojump_clock: Clock) -> None:
    """Its view of itself is refused by the others; what they send there by mistake is counted as lost."""
    async with cluster("ab") as actors:
        spoilt = await actors.make("c", "a", host=NO_HOST)
        a = actors.running["a"]
        said = push_pull.encode(push_pull.Exchange(node_id("c"), (spoilt.own,)))
        with pytest.raises(WireError, match="a host name or an IP address"):
            push_pull.decode_request(said)
        a._core._claims.view.join(spoilt.own)
        a.connection_reset(node_id("c"))
        await until(lambda: a.statistics()[1].datagrams_unsent > 0, what="one was lost", within_s=60)
        await until(lambda: actors.state("a", "c") is State.DEAD, what="it is held dead", within_s=60)
        assert actors.state("a", "b") is actors.state("b", "a") is State.ALIVE


async def test_a_full_mailbox_sheds_datagrams_and_answers_busy(autojump_clock: Clock) -> None:
    """The actor is held up in its store; the control lane still takes what matters."""
    async with cluster("ab") as actors:
        a = actors.running["a"]
        actors.hold("a")
        a.update_meta({"roster": 1})
        await until(actors.held, what="the actor waits for its store")
        sealer = Sealer(KeyRing([KEY]), "moot", node_id("x"), 1)
        ack = messages.encode(messages.Ack(1))
        for number in range(GOSSIP_MAIL + 10):
            datagram = sealer.seal(ack, number.to_bytes(NONCE_BYTES, "big"))
            await actors.ports["b"].send(datagram, actors.ports["a"].address, None)
            await trio.testing.wait_all_tasks_blocked()
        assert a.statistics()[1].datagrams_shed >= 10
        with pytest.raises(WireError) as caught:
            await a.handle_push_pull(push_pull.Compare(node_id("b"), b"d" * 16))
        assert caught.value.kind.name == "busy"
        for _ in range(1000):
            a.connection_refused(node_id("b"))
        actors.release()
        await until(lambda: actors.running["b"].statistics()[0].refutations > 0, what="the evidence was kept")
        await until(actors.complete, what="and refuted")


async def test_a_failing_store_ends_the_actor_before_it_says_what_is_not_durable(
    autojump_clock: Clock,
) -> None:
    async with cluster("ab") as actors:
        b = actors.running["b"]
        actors.stop("b")
        stored = len(actors.stored)
        actors.fail("b")
        b.connection_reset(node_id("nobody"))
        with pytest.raises(OSError, match="broken"):
            await b.run()
        assert len(actors.stored) == stored


@pytest.mark.parametrize(
    ("earlier", "wall_us", "expected"),
    [
        (None, 5_000_000, Numbers(1, 5_000)),
        (Numbers(7, 4_000), 5_000_000, Numbers(8, 5_000)),
        pytest.param(Numbers(7, 9_000), 5_000_000, Numbers(8, 9_001), id="the clock went back"),
        pytest.param(None, 2**80, Numbers(1, BOOT_MAX), id="the clock is far off"),
        pytest.param(
            Numbers(INCARNATION_MAX, 7), 9_000, Numbers(INCARNATION_MAX, 9), id="there is no later one"
        ),
        pytest.param(
            Numbers(2**63, BOOT_MAX), 9_000, Numbers(INCARNATION_MAX, BOOT_MAX), id="beyond the last"
        ),
    ],
)
def test_numbers_rise_with_every_boot(earlier: Numbers | None, wall_us: int, expected: Numbers) -> None:
    assert next_numbers(earlier, wall_us) == expected


async def test_a_paused_loop_measures_its_lag() -> None:
    async with cluster("a", real=True) as actors:
        a = actors.running["a"]
        busy(LOOPBACK.probe_interval_s + 0.2)
        await until(lambda: a.statistics()[0].lag_s >= 0.1, what="the lag is known", within_s=2.0)


def busy(seconds: float) -> None:
    """Hold up the event loop."""
    end = trio.current_time() + seconds
    while trio.current_time() < end:
        pass
