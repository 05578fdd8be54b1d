"""Registers on whole nodes over sockets: seats grow, a minority refuses, a majority goes on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import trio
from folkmoot.node.actors import seat_keeper
from folkmoot.protocol.consensus.configuration import recovery_number
from folkmoot.protocol.consensus.value import setting
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, FORBIDDEN, NO_QUORUM, STALE_TOPOLOGY, WireError
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.interface import Table

from tests.node.harness import founded
from tests.node.people import OPERATOR, Author
from tests.registers.seats import acceptor, change, configuration, read, registrar, seated
from tests.waiting import until


async def test_one_node_has_one_seat_and_keeps_it(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town:
        before = await seated(town, 1)
        value = await change(town[0], "probe/0", setting(0, b"one"))
        assert (value.version, value.body) == (1, b"one")
        await town.restart(town[0])
        assert await seated(town, 1) == before
        assert (await read(town[0], "probe/0")).body == b"one"


@pytest.mark.parametrize("count", [3, 5])
async def test_seats_grow_with_the_cluster(tmp_path: Path, count: int) -> None:
    async with founded(tmp_path, nodes=count) as town:
        known = await seated(town, count)
        assert known.may_fail == count // 2
        await change(town[0], "probe/0", setting(0, b"here"))
        for node in town.nodes:
            assert (await read(node, "probe/0")).body == b"here"


async def test_values_survive_the_growth_of_seats_while_nodes_come_and_go(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=5) as town:
        first, *others = town.nodes
        for version in range(6):
            who = others[version % len(others)]
            await change(first, "probe/0", setting(version, b"%d" % version))
            await town.restart(who)
        await seated(town, 5)
        for node in town.nodes:
            value = await read(node, "probe/0")
            assert (value.version, value.body) == (6, b"5")


async def test_a_minority_refuses_and_a_majority_goes_on(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        alone, one, other = town.nodes
        town.cut(alone, one)
        town.cut(alone, other)
        with trio.fail_after(12), pytest.raises(WireError) as refused:
            await registrar(alone).change("probe/0", setting(None, b"minority"), timeout_s=3.0)
        assert refused.value.kind is NO_QUORUM and "folkmoot seats" in refused.value.message
        with pytest.raises(WireError) as unread:
            await registrar(alone).read("probe/0", timeout_s=3.0)
        assert unread.value.kind is NO_QUORUM
        assert (await change(one, "probe/0", setting(0, b"majority"))).version == 1
        town.heal()

        async def learned() -> bool:
            try:
                return (await read(alone, "probe/0", timeout_s=3.0)).body == b"majority"
            except WireError as error:
                assert error.kind is NO_QUORUM
                return False

        await until(learned, what="the minority to read what the majority decided", within_s=20)


async def test_changes_go_on_while_a_seat_or_a_proposer_is_killed(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        one, killed, other = town.nodes
        request = bytes(16)
        async with town.client(killed) as client:
            await client.auth(OPERATOR)
            ask = {"name": "probe/0", "body": b"a", "request": request}
            client.session.link.submit("register.set", ask, lambda reply: None)
            attempts = registrar(killed).statistics
            await until(lambda: attempts().attempts > 0, what="the change to be under way")
            await killed.stop()
        value = await change(one, "probe/0", setting(None, b"a"), request)
        assert (value.version, value.body) == (1, b"a"), "done once, whether or not the killed one did it"
        assert (await change(other, "probe/0", setting(1, b"b"))).version == 2
        await town.start(killed)
        assert (await read(killed, "probe/0")).version == 2


async def test_a_range_changes_once_for_all(tmp_path: Path) -> None:
    def raised(descriptor: RangeDescriptor) -> RangeDescriptor:
        return dataclasses.replace(descriptor, epoch=descriptor.epoch + 1)

    async with founded(tmp_path, nodes=3) as town:
        topologies = [node.parts.registers.topology for node in town.nodes]
        request = bytes(16)
        async with trio.open_nursery() as nursery:
            for topology in topologies:
                nursery.start_soon(topology.change_range, 7, raised, request)
        await until(
            lambda: [node.ranges.epochs()[7] for node in town.nodes] == [2, 2, 2],
            what="all nodes to have the epoch that was decided",
        )
        with pytest.raises(WireError) as leap:
            await topologies[0].change_range(7, lambda one: dataclasses.replace(one, epoch=one.epoch + 2))
        assert leap.value.kind is BAD_REQUEST
        roster = await topologies[1].change_roster(lambda one: dataclasses.replace(one, epoch=one.epoch + 1))
        assert roster.epoch == 2
        await until(
            lambda: all(node.roster.epoch == 2 for node in town.nodes),
            what="all nodes to have the roster that was decided",
        )


async def test_a_topology_that_no_register_decided_is_not_believed(tmp_path: Path) -> None:
    from folkmoot.protocol.ring.topology import News

    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        liar, *others = town.nodes
        holder = liar.parts.topology
        [known] = [each for each in liar.ranges.ranges if each.id == 7]
        raised = dataclasses.replace(known, epoch=2)
        await holder.adopt(News(holder.summary, None, (raised,), False))

        def asked() -> bool:
            return all(node.parts.topology.statistics().fetches > 0 for node in others)

        await until(asked, what="the others to hear of it")
        # What is decided afterwards on another range travels, and takes nothing else with it.
        topology = others[0].parts.registers.topology
        await topology.change_range(9, lambda one: dataclasses.replace(one, epoch=one.epoch + 1))
        await until(
            lambda: all(node.ranges.epochs()[9] == 2 for node in town.nodes),
            what="all to have what was decided",
        )
        assert [node.ranges.epochs()[7] for node in others] == [1, 1]


async def test_a_seat_whose_store_went_back_is_another_seat(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        before = await seated(town, 3)
        back, one, _ = town.nodes
        store, told = back.config.node.data / "store", acceptor(back).sequence
        await back.stop()
        copy = {file.name: file.read_bytes() for file in store.iterdir()}
        await town.start(back)

        async def heard_more() -> bool:
            await change(one, "probe/0", setting(None, b"last"))
            return acceptor(one)._seen_of(acceptor(back).seat.id) > told

        await until(heard_more, what="the seat to have told of something it accepted")
        await back.stop()
        for name, data in copy.items():
            (store / name).write_bytes(data)
        await town.start(back)
        await until(lambda: acceptor(back).seat not in before.seats, what="the seat to be another")
        await until(lambda: configuration(one) != before, what="the seats to change")
        settled = await seated(town, 3)
        assert settled.number > before.number and acceptor(back).seat in settled.seats
        assert (await read(back, "probe/0")).body == b"last"


async def test_operators_set_and_recover_seats(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=5) as town:
        known = await seated(town, 5)
        one, two, three, four, five = town.nodes
        await change(one, "probe/0", setting(0, b"kept"))
        async with town.client(one) as client:
            with pytest.raises(WireError):
                await client.call("seats.set", nodes=[one.id])
            await client.auth(OPERATOR)
            with pytest.raises(WireError) as twice:
                await client.call("seats.set", nodes=[one.id, two.id, one.id])
            assert twice.value.kind is BAD_REQUEST and one.id.hex() in twice.value.message
            with pytest.raises(WireError) as needless:
                await client.call("seats.recover", accept_loss=True)
            assert needless.value.kind is CONFLICT
            assert needless.value.details == {"configuration": known.number, "answering": 5}
            for node in (four, five):
                await node.stop()
            told = await client.call("seats.set", nodes=[one.id, two.id, three.id])
            assert (told["may_fail"], sorted(told["nodes"])) == (1, sorted([one.id, two.id, three.id]))
            await seated(town, 3)
            for node in (two, three):
                await node.stop()
            with pytest.raises(WireError) as lost:
                await client.call("register.set", name="probe/0", body=b"lost", request=bytes(16))
            assert lost.value.kind is NO_QUORUM and "seats recover" in lost.value.message
            with pytest.raises(WireError) as unasked:
                await client.call("seats.recover")
            assert unasked.value.kind is BAD_REQUEST
            before = configuration(one).number
            alone = await client.call("seats.recover", accept_loss=True)
            assert alone["nodes"] == [one.id]
            assert alone["configuration"] == recovery_number(before, one.id)
            assert (await client.call("register.read", name="probe/0"))["value"]["body"] == b"kept"
            await client.call("register.set", name="probe/0", body=b"on", request=bytes(16), version=1)
        await town.start(two, three)
        assert (await seated(town, 3)).number > alone["configuration"]
        assert (await read(three, "probe/0")).body == b"on"


async def test_what_is_damaged_at_the_only_seat_is_given_up_by_consent(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        await seated(town, 1)
        await client.auth(OPERATOR)
        for name in ("probe/0", "probe/1"):
            await change(town[0], name, setting(0, b"kept"))
        with acceptor(town[0])._commits.store.engine.begin(write=True) as transaction:
            transaction.put(Table.REGISTERS, b"probe/0", b"damaged!")
            transaction.commit()
        with pytest.raises(WireError) as damaged:
            await registrar(town[0]).read("probe/0", timeout_s=1.0)
        assert damaged.value.kind is NO_QUORUM
        assert (await read(town[0], "probe/1")).body == b"kept"
        await client.call("seats.recover", accept_loss=True)
        assert await registrar(town[0]).read("probe/0") is None
        assert (await read(town[0], "probe/1")).body == b"kept"


async def test_a_seat_moves_to_a_region_that_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat_keeper, "EVEN_AFTER_S", 2.0)
    async with founded(tmp_path, nodes=4) as town:
        await seated(town, 3)
        eu_1, us, ap, eu_2 = town.nodes
        async with town.client(us) as client:
            await client.auth(OPERATOR)
            await client.call("seats.set", nodes=[eu_1.id, eu_2.id, us.id])

        def spread() -> bool:
            known = configuration(us)
            return not known.joint and {ap.id, us.id} < {seat.node for seat in known.seats}

        await until(spread, what="the third region to have a seat")
        assert (await seated(town, 3)).may_fail == 1


async def test_of_two_sides_that_recovered_one_follows_the_other(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=5) as town:
        known = await seated(town, 5)
        one, two, three, four, five = town.nodes
        sides = ((one, two), (three, four))
        await five.stop()
        for here in sides[0]:
            for there in sides[1]:
                town.cut(here, there)
        for node, body in ((one, b"one"), (three, b"three")):
            async with town.client(node) as client:
                await client.auth(OPERATOR)
                told = await client.call("seats.recover", accept_loss=True)
                assert told["configuration"] == recovery_number(known.number, node.id)
            await change(node, "probe/0", setting(None, body))
        town.heal()
        assert (await seated(town, 3)).number > max(
            recovery_number(known.number, each.id) for each in (one, three)
        )
        first = max((one, three), key=lambda node: recovery_number(known.number, node.id))
        body = (await read(two, "probe/0")).body
        assert body == (b"one" if first is one else b"three")


async def test_what_clients_may_ask_of_registers(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        await seated(town, 1)
        await client.auth(Author(1))
        with pytest.raises(WireError) as forbidden:
            await client.call("register.read", name="seats")
        assert forbidden.value.kind is FORBIDDEN
        await client.auth(OPERATOR)
        for name in ("roster", "probe/16", "probe/-1", "probe/00"):
            with pytest.raises(WireError) as refused:
                await client.call("register.set", name=name, body=b"", request=bytes(16))
            assert refused.value.kind is BAD_REQUEST
        assert (await client.call("register.read", name="roster"))["value"] is None
        await client.call("register.set", name="probe/3", body=b"a", request=bytes(16), version=0)
        with pytest.raises(WireError) as conflict:
            await client.call("register.set", name="probe/3", body=b"b", request=bytes(15) + b"1", version=0)
        assert conflict.value.kind is CONFLICT and conflict.value.details == {
            "version": 1,
            "forgotten": False,
        }
        status = await client.call("cluster.status")
        assert status["seats"]["count"] == 1 and status["seats"]["may_fail"] == 0
        assert [holder["name"] for holder in status["seats"]["holders"]] == [town[0].name]


async def test_a_node_refuses_for_a_seat_that_it_does_not_hold(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        known = await seated(town, 3)
        asked, asker = town[0], town[1]
        params = {
            "ask": {
                "type": "query",
                "seat": bytes(16),
                "configuration": known.to_wire(),
                "register": "probe/0",
            }
        }
        with pytest.raises(WireError) as refused:
            await asker.parts.links.call(asked.id, "register.ask", params, 5.0)
        assert refused.value.kind is STALE_TOPOLOGY and refused.value.details is not None
        assert refused.value.details["configuration"] == known.to_wire()


async def test_whose_seats_were_not_decided_is_told_so(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=4) as town:
        await seated(town, 3)
        one, two, three, four = town.nodes
        outcomes: list[WireError | set[bytes]] = []

        async def set_seats(*nodes: bytes) -> None:
            async with town.client(one) as client:
                await client.auth(OPERATOR)
                try:
                    told = await client.call("seats.set", nodes=list(nodes))
                except WireError as error:
                    outcomes.append(error)
                else:
                    assert set(told["nodes"]) == set(nodes)
                    outcomes.append(set(nodes))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(set_seats, one.id, two.id, four.id)
            nursery.start_soon(set_seats, one.id, three.id, four.id)
        refused = [outcome for outcome in outcomes if isinstance(outcome, WireError)]
        assert all(error.kind is CONFLICT and "other seats" in error.message for error in refused)
        assert len(refused) < 2
