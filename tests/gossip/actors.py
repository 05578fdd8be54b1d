"""Clusters of membership actors, over real UDP or over datagrams in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import trio
from folkmoot.node.actors.membership import MembershipActor
from folkmoot.node.standing.boot_numbers import Numbers
from folkmoot.node.transport.interface import Address, Datagrams
from folkmoot.node.transport.udp import open_udp
from folkmoot.protocol.errors import FolkmootError
from folkmoot.protocol.gossip import push_pull
from folkmoot.protocol.gossip.members import Description, Endpoint, Member, State
from folkmoot.protocol.gossip.profile import LOOPBACK, Profile
from folkmoot.protocol.gossip.seal import KeyRing

from tests.gossip.world import node_id
from tests.waiting import until

KEY = b"k" * 32
NO_HOST = "nodes..example"


def describe(name: str, peer: Address, host: str, port: int) -> Description:
    """What a node says of itself; `host` and `port` are where it claims to take datagrams."""
    return Description(name, "eu", Endpoint(*peer), Endpoint(host, port), Endpoint("127.0.0.1", 1), {})


class Unavailable(FolkmootError):
    """Nobody answers there."""


class Wall:
    """A wall clock that follows trio's."""

    def now_us(self) -> int:
        return 1_700_000_000_000_000 + round(trio.current_time() * 1e6)


@dataclass(frozen=True)
class Surroundings:
    """What of its environment a membership uses."""

    random: Random
    wall: Wall = field(default_factory=Wall)


class MemoryDatagrams:
    """A datagram port in memory; what is sent arrives at once, or not at all when the box is full."""

    def __init__(self, ports: dict[Address, MemoryDatagrams], address: Address) -> None:
        self._ports = ports
        self._address = address
        self._send, self._receive = trio.open_memory_channel[tuple[bytes, Address]](64)
        ports[address] = self

    @property
    def address(self) -> Address:
        return self._address

    async def send(self, data: bytes, address: Address, node_id: bytes | None) -> None:
        await trio.lowlevel.checkpoint()
        if address.host == NO_HOST:
            raise UnicodeError("label empty or too long")
        if address in self._ports:
            try:
                self._ports[address]._send.send_nowait((data, self._address))
            except trio.WouldBlock:
                return

    async def receive(self) -> tuple[bytes, Address]:
        return await self._receive.receive()

    async def aclose(self) -> None:
        self._ports.pop(self._address, None)
        await trio.lowlevel.checkpoint()


@asynccontextmanager
async def cluster(names: str = "", *, real: bool = False) -> AsyncIterator[Actors]:
    """A cluster whose members know each other, ended and closed with the block."""
    async with trio.open_nursery() as nursery:
        actors = Actors(nursery, real=real)
        try:
            for name in names:
                await actors.start(name, names[0])
            await until(actors.complete, what="all know all", within_s=2.0)
            yield actors
        finally:
            nursery.cancel_scope.cancel()
            for port in actors.opened:
                with trio.CancelScope(shield=True):
                    await port.aclose()


class Actors:
    """Running actors by name, with what each has made durable."""

    def __init__(self, nursery: trio.Nursery, *, real: bool, profile: Profile = LOOPBACK) -> None:
        self.running: dict[str, MembershipActor] = {}
        self.durable: dict[str, Numbers] = {}
        self.stored: list[tuple[str, Numbers]] = []
        self.ports: dict[str, Datagrams] = {}
        self.opened: list[Datagrams] = []
        self._peers: dict[Address, str] = {}
        self._memory: dict[Address, MemoryDatagrams] = {}
        self._scopes: dict[str, trio.CancelScope] = {}
        self._nursery = nursery
        self._real = real
        self._profile = profile
        self._count = 0
        self._failing: set[str] = set()
        self._holding: str | None = None
        self._waiting = False
        self._released = trio.Event()

    async def start(self, name: str, seeds: Iterable[str] = (), **options: Any) -> MembershipActor:
        """Make a node and run it; options as for `make`."""
        actor = await self.make(name, seeds, **options)
        self.running[name] = actor
        self._scopes[name] = await self._nursery.start(self._carry, actor)
        return actor

    async def make(
        self,
        name: str,
        seeds: Iterable[str] = (),
        *,
        keys: tuple[bytes, ...] = (KEY,),
        name_of_cluster: str = "moot",
        host: str | None = None,
    ) -> MembershipActor:
        """Make a node that does not run yet; `host` is where it claims to take datagrams."""
        self._count += 1
        peer = Address("127.0.0.1", 10_000 + self._count)
        if self._real:
            datagrams: Datagrams = await open_udp(Address("127.0.0.1", 0))
        else:
            datagrams = MemoryDatagrams(self._memory, Address("127.0.0.1", 20_000 + self._count))

        async def store(numbers: Numbers) -> None:
            await trio.lowlevel.checkpoint()
            if name in self._failing:
                raise OSError("the disk is broken")
            if name == self._holding:
                self._waiting = True
                await self._released.wait()
            self.durable[name] = numbers
            self.stored.append((name, numbers))

        actor = MembershipActor(
            environment=Surroundings(Random(f"{name}/{self._count}")),
            cluster=name_of_cluster,
            node_id=node_id(name),
            description=describe(name, peer, host or datagrams.address.host, datagrams.address.port),
            datagrams=datagrams,
            ring=KeyRing(keys),
            profile=self._profile,
            seeds=[address for address, at in self._peers.items() if at in set(seeds)],
            load=lambda: self.durable.get(name),
            store=store,
            ask_peer=self._ask_peer,
        )
        self._peers = {address: at for address, at in self._peers.items() if at != name} | {peer: name}
        self.ports[name] = datagrams
        self.opened.append(datagrams)
        return actor

    async def kill(self, name: str) -> None:
        """End a node without a word; the others see their links to it break."""
        self._scopes.pop(name).cancel()
        del self.running[name]
        await self.ports.pop(name).aclose()
        for actor in self.running.values():
            actor.connection_reset(node_id(name))

    def stop(self, name: str) -> None:
        """Cancel a node's actor and leave its port open."""
        self._scopes[name].cancel()

    def fail(self, name: str) -> None:
        """From now on the node's store fails."""
        self._failing.add(name)

    def hold(self, name: str) -> None:
        """From now on the node's store waits for `release`."""
        self._holding = name

    def held(self) -> bool:
        """Whether the store is waiting."""
        return self._waiting

    def release(self) -> None:
        self._holding = None
        self._released.set()

    def state(self, observer: str, subject: str) -> State | None:
        member = self.member(observer, subject)
        return member.state if member else None

    def member(self, observer: str, subject: str) -> Member | None:
        return self.running[observer].members().get(node_id(subject))

    def complete(self) -> bool:
        return all(self.state(one, other) is State.ALIVE for one in self.running for other in self.running)

    async def _carry(
        self,
        actor: MembershipActor,
        task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(actor.run)
                task_status.started(scope)

    async def _ask_peer(self, address: Address, node: bytes | None, payload: bytes) -> push_pull.Answer:
        name = self._peers.get(address)
        if name is None or name not in self.running:
            raise Unavailable(f"nobody at {address}")
        answer = await self.running[name].handle_push_pull(push_pull.decode_request(payload))
        return push_pull.decode_answer(answer)
