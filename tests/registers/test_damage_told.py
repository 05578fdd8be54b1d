"""Damage to what a seat keeps on its disk is told before anybody asks for it, and with the way out."""

from __future__ import annotations

from pathlib import Path

from folkmoot.cli.commands.status import _reasons
from folkmoot.cli.diagnosis import WATCH, WELL, WRONG, Finding, look_at_directory, look_at_running
from folkmoot.protocol.consensus.value import setting
from folkmoot.storage.interface import Table
from folkmoot.storage.lmdb_engine import LmdbEngine

from tests.node.harness import founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR
from tests.registers.seats import change, read, registrar, seated

WAY_OUT = "folkmoot seats recover --accept-loss"


def damage(node: Node, *names: str) -> None:
    """Flip a bit in what a stopped node's seat keeps of registers."""
    engine = LmdbEngine(node.config.node.data, cap_bytes=1 << 26)
    with engine.begin(write=True) as transaction:
        for name in names:
            row = bytearray(transaction.get(Table.REGISTERS, name.encode()) or b"")
            row[-1] ^= 1
            transaction.put(Table.REGISTERS, name.encode(), bytes(row))
        transaction.commit()
    engine.close()


def of_directory(node: Node) -> list[Finding]:
    """What `folkmoot doctor` says of the registers of a stopped node."""
    found = look_at_directory(node.config.node.data, node.config)
    return [finding for finding in found if finding.check == "registers"]


async def test_at_the_only_seat(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town:
        [node] = town.nodes
        await seated(town, 1)
        for name in ("probe/0", "probe/1"):
            await change(node, name, setting(0, b"kept"))
        await node.stop()
        assert of_directory(node) == []
        damage(node, "probe/0")
        [told] = of_directory(node)
        assert told.state == WRONG
        assert "1 register is damaged at the only seat" in told.sentence and told.sentence.endswith("probe/0")
        assert told.next.startswith(f"folkmoot start, then {WAY_OUT}")

        await town.start(node)
        async with town.client(node) as client:
            status = await client.call("cluster.status")
            assert status["node"]["seat"] == {"damaged": 1, "needed": True}
            [seats] = [each for each in look_at_running(status, 0.0) if each.check == "seats"]
            assert (seats.state, seats.next.startswith(WAY_OUT)) == (WRONG, True)
            assert any(WAY_OUT in reason for reason in _reasons(status))

            await client.auth(OPERATOR)
            await client.call("seats.recover", accept_loss=True)
            status = await client.call("cluster.status")
            assert status["node"]["seat"] == {"damaged": 0, "needed": True}
            [seats] = [each for each in look_at_running(status, 0.0) if each.check == "seats"]
            assert seats.state == WELL and not _reasons(status)
        assert await registrar(node).read("probe/0") is None
        assert (await read(node, "probe/1")).body == b"kept"


async def test_at_one_of_several_it_takes_care_of_itself(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        node = town[2]
        await change(node, "probe/0", setting(0, b"kept"))
        await node.stop()
        damage(node, "probe/0")
        [told] = of_directory(node)
        assert told.state == WATCH and "the other seats have" in told.sentence
        assert WAY_OUT not in told.next
