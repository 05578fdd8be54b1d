"""The stranger: somebody without a key who sends again what others have written, or what they have not.

Signed records are portable, so anyone may replay them to any node; and a message between replicas may be
delayed for as long as you like, which is played here by a rogue node. None of it may bring anything back.
What carries a signature that does not hold is kept by nobody.
"""

from __future__ import annotations

from typing import Any

import trio
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.history import KEPT, Ack
from folkmoot.node.simulation.town import WRITE_LEVELS, Town
from folkmoot.node.simulation.world import SimulatedNode, World
from folkmoot.node.transport.errors import TransportError
from folkmoot.node.transport.interface import Address
from folkmoot.protocol import limits
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import PATIENT, LinkBroken
from folkmoot.protocol.codec import encode_canonical
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import SEED_BYTES, KeyPair
from folkmoot.protocol.record import Record


class Stranger:
    """See the module.

    Args:
        world: whose nodes it calls.
        town: where.
        nursery: where its links run.
        pause_s: mean time between two replays.
    """

    def __init__(self, world: World, town: Town, nursery: trio.Nursery, pause_s: float) -> None:
        self._world = world
        self._town = town
        self._nursery = nursery
        self._random = world.random("stranger")
        self._caller = Caller(world, "stranger", self._random, nursery)
        self._rogue = world.network.boot("rogue", self._random.randbytes(16))
        self._pause_s = pause_s

    async def live(self, until_s: float) -> None:
        """Replay until the virtual time `until_s`."""
        while trio.current_time() < until_s:
            await trio.sleep(self._random.expovariate(1 / self._pause_s))
            if self._town.history.submitted:
                record = self._random.choice(self._town.history.submitted)
                doing = self._random.choice(
                    (
                        *(self.replay_record, self.replay_record, self.replay_cell, self.forge),
                        *(self.forge_cell, self.replay_chain),
                    )
                )
                with self._town.watched(doing.__name__):
                    await doing(record)

    async def replay_record(self, record: Record) -> None:
        """Send somebody else's record to any node, as it was signed."""
        history = self._town.history
        sent_s = trio.current_time()
        level = self._random.choice(WRITE_LEVELS)
        try:
            answer = await self._caller.call("record.put", {"records": [record.to_wire()], "level": level})
        except (*UNANSWERED, WireError):
            history.count("replays unanswered")
            return
        (result,) = answer["results"]
        history.count(f"replays {result['status']}")
        if result["status"] in KEPT:
            achieved = result["achieved"]["level"]
            history.acks.append(Ack(record, sent_s, trio.current_time(), level, achieved, None))

    async def forge(self, record: Record) -> None:
        """Say in somebody else's name what they never said, under a signature of something else."""
        if record.kind == "post":
            forged = self._forged(record)
            try:
                await self._caller.call("record.put", {"records": [forged.to_wire()], "level": "one"})
            except (*UNANSWERED, WireError):
                return
            self._town.history.count("forgeries answered")

    async def forge_cell(self, record: Record) -> None:
        """The same, as a node would that wants others to keep it."""
        if record.kind == "post":
            await self._give_replica("forged", record.key, Cell.of(self._forged(record)).encode())

    def _forged(self, record: Record) -> Record:
        own = KeyPair(self._random.randbytes(SEED_BYTES))
        said = Record.sign(
            own, kind="post", item=record.item, body={"text": "forged"}, stamp=record.stamp + 1
        )
        fields = {"author": record.author, "body": said.body, "item": record.item, "kind": "post"}
        payload = encode_canonical({**fields, "stamp": said.stamp, "version": 1})
        return Record(payload, said.signature)

    async def replay_cell(self, record: Record) -> None:
        """Send a replica some state its cell once had, as a delayed message of another replica would."""
        states = list(self._world.witness.states.get(record.key, ()))
        if states:
            await self._give_replica("old", record.key, self._random.choice(states))

    async def replay_chain(self, record: Record) -> None:
        """Tell a node what was done to some account, and not the newest of it, as a delayed message would."""
        if chains := list(self._world.witness.keys.chains.values()):
            chain = self._random.choice(chains)
            node = self._random.choice(self._world.nodes)
            await self._tell_chain(node, chain, self._random.randint(0, chain.number))

    async def conclude(self) -> None:
        """Tell every node all that was done to every account but the last of it, when all have asked for the
        last time what changed."""
        await trio.sleep(limits.ACCOUNTS_FOLLOW_S)
        for chain in self._world.witness.keys.chains.values():
            for node in self._world.nodes:
                await self._tell_chain(node, chain, chain.number - 1)

    async def _tell_chain(self, node: SimulatedNode, chain: Chain, end: int) -> None:
        if node.peers is None:
            return
        told = {"account": chain.account, "chain": Chain(chain.account, chain.entries[:end]).encode()}
        try:
            await self._call_node(node.peers, node.node_id, "account.tell", told)
        except (TransportError, LinkBroken, WireError):
            self._town.history.count("old chains unanswered")
        else:
            self._town.history.count("old chains told")

    async def _give_replica(self, what: str, key: bytes, cell: bytes) -> None:
        world = self._world
        replica = self._random.choice(world.replicas_of(key))
        if replica.peers is None:
            return
        owner = world.ranges.lookup(key)
        cells = [(key, cell)]
        params = {"ranges": [(owner.id, owner.epoch)], "cells": cells}
        try:
            await self._call_node(replica.peers, replica.node_id, "replica.join", params)
        except (TransportError, LinkBroken, WireError):
            self._town.history.count(f"{what} cells unanswered")
        else:
            self._town.history.count(f"{what} cells joined")

    async def _call_node(self, address: Address, node_id: bytes, method: str, params: dict[str, Any]) -> None:
        stream, _ = await self._rogue.dial_peer(address, node_id)
        link = Link(stream, settings=PATIENT)
        self._nursery.start_soon(link.run)
        try:
            await link.call(method, params)
        finally:
            link.close()
