"""A disk that went back is found out, kept out of every quorum, and rebuilt; a copy of a node ends."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from folkmoot.node.actors.rebuilder import Rebuilder
from folkmoot.node.registers.topology import TopologyRegisters
from folkmoot.node.standing.lives import NameTaken, NodeCloned
from folkmoot.node.transport.faults import Fault
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.errors import WireError

from tests.node.harness import Client, Town, founded
from tests.node.moving import ask, settled_plan
from tests.node.moving import equal as equal_on_owners
from tests.node.nodes import Node, address_of, lay_out
from tests.node.people import Author
from tests.node.test_healing import equal
from tests.registers.seats import seated
from tests.waiting import until

WHOLE_S = 20.0
PATIENCE_S = 60.0


def store_of(node: Node) -> Path:
    return node.config.node.data / "store"


def standing(node: Node) -> dict[str, Any]:
    return node.parts.standing.status()


async def copied(town: Town, node: Node, to: Path) -> None:
    """Copy a node's store while it is stopped."""
    await node.stop()
    shutil.copytree(store_of(node), to)
    await town.start(node)


def put_back(copy: Path, node: Node) -> None:
    shutil.rmtree(store_of(node))
    shutil.copytree(copy, store_of(node))


async def put_all(client: Client, author: Author, count: int, level: str) -> list[Any]:
    """Posts that have come to a level; sent again, as clients do, while a node that started is not met."""
    posts = [author.post(str(number)) for number in range(count)]
    with trio.fail_after(PATIENCE_S):
        while True:
            results, _ = await client.put(*posts, level=level)
            statuses = {result["status"] for result in results}
            if statuses <= {"stored", "duplicate"}:
                return posts
            assert statuses <= {"stored", "duplicate", "uncertain"}


class Gate:
    """Holds up every rebuild until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = trio.Event()
        self.waiting = 0
        real = Rebuilder.rebuild
        gate = self

        async def rebuild(self: Rebuilder, is_old: Callable[[bytes], bool]) -> None:
            gate.waiting += 1
            await gate.opened.wait()
            await real(self, is_old)

        monkeypatch.setattr(Rebuilder, "rebuild", rebuild)

    def has_stopped(self, times: int) -> bool:
        return self.waiting == times


async def whole(node: Node) -> None:
    await until(
        lambda: node.started and standing(node)["counted"], what="the node to count again", within_s=WHOLE_S
    )


async def test_an_old_copy_does_not_count_until_it_is_rebuilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with founded(tmp_path / "town") as town:
        first, other, old = town.nodes
        author = Author(1)
        async with town.client(first) as client:
            before = await put_all(client, author, 20, "all")
            await copied(town, old, tmp_path / "copy")
            lost = await put_all(client, author, 20, "all")
        seat = old.parts.registers.acceptor.seat
        await old.stop()
        put_back(tmp_path / "copy", old)
        await town.nursery.start(old.run)
        await until(lambda: gate.waiting, what="the old disk to be found out")
        state = standing(old)
        assert (state["state"], state["counted"]) == ("amnesiac", False)
        assert "an older copy" in state["why"] and state["rebuild"]["needed"] > 0
        assert old.parts.registers.acceptor.seat != seat, "a register's seat on this disk is another one"
        assert old.cell(before[0]) is not None and old.cell(lost[0]) is None
        await town.all_alive()
        await told_of_an_old_disk(town, author, lost[0])
        # With one of the others away no quorum is left: what the old disk says must not make up for it.
        await other.stop()
        async with town.client(old) as client:
            with pytest.raises(WireError, match="level_unreachable"):
                await client.get(lost[0], "quorum")
            assert await client.get(lost[0], "one") is not None, "it is read from who has it"
        await town.nursery.start(other.run)
        gate.opened.set()
        await whole(old)
        await town.all_count()
        await equal(town)
        assert all(old.cell(post) is not None for post in lost)
        async with town.client(old) as client:
            assert (await client.put_one(author.post("again"), "all"))["status"] == "stored"
        await town.restart(old)
        assert standing(old)["state"] == "whole", "it stays whole"


async def told_of_an_old_disk(town: Town, author: Author, lost: Any) -> None:
    """The first node hears that the third's disk is old, writes to it, and does not count it."""
    first, _, old = town.nodes
    await until(lambda: not first.parts.standing.counts(old.id), what="the first node to hear of it")
    async with town.client(first) as client:
        post = author.post("while one does not count")
        result = await client.put_one(post, "quorum")
        assert (result["status"], result["achieved"]["acks"]) == ("stored", 2)
        assert (await client.put_one(author.post("all"), "all"))["status"] == "uncertain"
        await until(lambda: old.cell(post) is not None, what="the old disk to be written to all the same")
        nodes = {node["id"]: node["standing"] for node in (await client.call("cluster.status"))["nodes"]}
        assert nodes[old.id.hex()] == "amnesiac" and nodes[first.id.hex()] == "whole"
        read = await client.get(lost, "quorum")
        assert read is not None and len(read["records"]) == 1


async def test_what_was_given_to_it_since_is_rebuilt_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its old topology it has no range at all, and those who could tell it of another are away."""
    unknown: list[WireError] = []
    read_all = TopologyRegisters.read_all

    async def told(self: TopologyRegisters) -> None:
        try:
            await read_all(self)
        except WireError as error:
            unknown.append(error)
            raise

    monkeypatch.setattr(TopologyRegisters, "read_all", told)
    async with founded(tmp_path / "town", nodes=4) as town:
        seats = {seat.node for seat in (await seated(town, 3)).seats}
        old = next(node for node in town.nodes if node.id not in seats)
        one, *others = (node for node in town.nodes if node is not old)
        await ask(town, one, "node.drain", node=old.id)
        await settled_plan(town)
        await copied(town, old, tmp_path / "copy")
        await ask(town, one, "node.join", node=old.id)
        await settled_plan(town)
        async with town.client(one) as client:
            posts = [post for number in range(40) for post in await put_all(client, Author(number), 1, "all")]
        await old.stop()
        put_back(tmp_path / "copy", old)
        for other in others:
            town.cut(old, other)
        await town.nursery.start(old.run)
        await until(lambda: unknown, what="it to ask for what it has", within_s=PATIENCE_S)
        assert (standing(old)["state"], standing(old)["counted"]) == ("amnesiac", False)
        town.heal()
        await whole(old)
        await equal_on_owners(town)
        ranges = one.ranges
        given = [post for post in posts if old.id in ranges.lookup(post.key).nodes()]
        assert given and all(old.cell(post) is not None for post in given)


async def test_amnesia_outlives_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The boots in which it was not rebuilt prove nothing."""
    gate = Gate(monkeypatch)
    async with founded(tmp_path / "town") as town:
        old = town[2]
        async with town.client(town[0]) as client:
            await put_all(client, Author(1), 5, "all")
            await copied(town, old, tmp_path / "copy")
            await put_all(client, Author(1), 5, "all")
        await old.stop()
        put_back(tmp_path / "copy", old)
        for boot in (1, 2, 3):
            await town.nursery.start(old.run)
            await until(partial(gate.has_stopped, boot), what="the old disk to be found out")
            assert not standing(old)["counted"]
            await old.stop()
        gate.opened.set()
        await town.nursery.start(old.run)
        await whole(old)
        await equal(town)


async def test_an_empty_disk_is_an_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    async with founded(tmp_path) as town:
        async with town.client(town[0]) as client:
            await put_all(client, Author(1), 30, "all")
        lost = town[1]
        await lost.stop()
        shutil.rmtree(store_of(lost))
        await town.nursery.start(lost.run)
        await until(lambda: gate.waiting, what="the empty disk to be found out")
        gate.opened.set()
        await whole(lost)
        await equal(town)


async def test_who_remembers_may_come_later(tmp_path: Path) -> None:
    """The others of the range were away when the old disk started, and it had counted for a while."""
    async with founded(tmp_path / "town") as town:
        old, *others = town.nodes
        async with town.client(old) as client:
            await put_all(client, Author(1), 5, "all")
            await copied(town, old, tmp_path / "copy")
        async with town.client(old) as client:
            lost = await put_all(client, Author(1), 5, "all")
        for node in town.nodes:
            await node.stop()
        put_back(tmp_path / "copy", old)
        cluster = msgspec.structs.replace(old.config.cluster, proof_wait=0.0)
        old.config = msgspec.structs.replace(old.config, cluster=cluster)
        await town.nursery.start(old.run)
        await whole(old)
        for node in others:
            await town.nursery.start(node.run)
        await until(lambda: old.cell(lost[-1]) is not None, what="it to be filled", within_s=WHOLE_S)
        await whole(old)
        await equal(town)
        boots = {standing(node)["boot"] for node in town.nodes}
        assert len(boots) == 3 and standing(old)["claim"][0] > 0


async def test_a_cluster_that_goes_back_together_starts(tmp_path: Path) -> None:
    """All disks are of one moment: nobody remembers what is lost, and there is nothing to rebuild."""
    async with founded(tmp_path / "town") as town:
        async with town.client(town[0]) as client:
            posts = await put_all(client, Author(1), 5, "all")
        for node in town.nodes:
            await node.stop()
            shutil.copytree(store_of(node), tmp_path / node.name)
        await town.start()
        async with town.client(town[0]) as client:
            later = await put_all(client, Author(1), 5, "all")
        for node in town.nodes:
            await node.stop()
        for node in town.nodes:
            put_back(tmp_path / node.name, node)
        await town.start()
        assert all(standing(node)["state"] == "whole" for node in town.nodes)
        assert town[0].cell(posts[0]) is not None and town[0].cell(later[0]) is None


def copy_of(node: Node, directory: Path) -> Node:
    """A node on a copy of a running one's data directory, at other ports."""
    shutil.copytree(node.config.node.data, directory)
    anywhere = Address("127.0.0.1", 0)
    section = msgspec.structs.replace(node.config.node, data=directory)
    listen = msgspec.structs.replace(node.config.listen, clients=anywhere, peers=anywhere, datagrams=anywhere)
    return Node(msgspec.structs.replace(node.config, node=section, listen=listen))


def ended_by(ended: pytest.ExceptionInfo[BaseException]) -> str:
    """What the copy that ended says."""
    assert isinstance(ended.value, BaseExceptionGroup)
    found: Any = ended.value.subgroup(NodeCloned)
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return str(found)


async def test_a_copy_of_a_running_node_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with founded(tmp_path / "town") as town:
        async with town.client(town[0]) as client:
            await put_all(client, Author(1), 5, "all")
        copy = copy_of(town[1], tmp_path / "copy")
        with pytest.raises(BaseExceptionGroup) as ended, trio.fail_after(WHOLE_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(copy.run)
        assert f"{tmp_path / 'copy'} is a copy" in ended_by(ended)
        assert "a copy of this node" in caplog.text and "two processes" in caplog.text
        assert all(standing(node)["counted"] for node in town.nodes), "nothing happened to the node itself"
        async with town.client(town[1]) as client:
            assert (await client.put_one(Author(1).post("on"), "all"))["status"] == "stored"


async def test_a_process_that_was_left_behind_ends(tmp_path: Path) -> None:
    """Nobody hears it when a copy of it starts, which they accept; then it is heard again."""
    async with founded(tmp_path / "town") as town:
        behind, *others = town.nodes
        await behind.stop()
        with pytest.raises(BaseExceptionGroup) as ended, trio.fail_after(3 * WHOLE_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(behind.run)
                await town.all_count()
                for other in others:
                    behind.environment.faults.set(other.id, Fault(cut=True))
                copy = copy_of(behind, tmp_path / "copy")
                await town.nursery.start(copy.run)
                await whole(copy)
                behind.environment.faults.clear()
                await trio.sleep_forever()
        assert f"{behind.config.node.data}, boot" in ended_by(ended) and "left behind" in ended_by(ended)
        town.nodes[0] = copy
        await town.all_alive()
        await town.all_count()
        async with town.client(others[0]) as client:
            post = Author(1).post("on")

            async def kept_by_all() -> bool:
                achieved = (await client.put_one(post, "all"))["achieved"]
                return bool(achieved["level"] == "all")

            await until(kept_by_all, what="links to the process that is left")


async def test_a_name_that_another_node_has_is_refused(tmp_path: Path) -> None:
    async with founded(tmp_path / "town") as town:
        stranger, _ = lay_out(tmp_path / "other", nodes=1)
        cluster = msgspec.structs.replace(
            town[0].config.cluster, seeds=(address_of(town[0].running.ready.peers),)
        )
        node = msgspec.structs.replace(stranger[0].config.node, name="node-2")
        ring = msgspec.structs.replace(
            town[0].config.gossip, keys_file=town[0].config.node.data / "keys" / "gossip.ring"
        )
        config = msgspec.structs.replace(stranger[0].config, cluster=cluster, node=node, gossip=ring)
        with pytest.raises(BaseExceptionGroup) as ended, trio.fail_after(WHOLE_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(Node(config).run)
        told = ended.value.subgroup(NameTaken)
        assert told is not None and town[1].id.hex() in repr(told)
