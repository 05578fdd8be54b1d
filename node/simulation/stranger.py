"""The stranger: somebody without a key who sends again what others have written.

Signed records are portable, so anyone may replay them to any node; and a message between replicas may be
delayed for as long as you like, which is played here by a rogue node. None of it may bring anything back.
"""

from __future__ import annotations

from typing import Any

import trio
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.history import KEPT, Ack
from folkmoot.node.simulation.town import WRITE_LEVELS, Town
from folkmoot.node.transport.errors import TransportError
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import PATIENT, LinkBroken
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.record import Record


class Stranger:
    """See the module.

    Args:
        town: where.
        nursery: where its links run.
        pause_s: mean time between two replays.
    """

    def __init__(self, town: Town, nursery: trio.Nursery, pause_s: float) -> None:
        self._town = town
        self._nursery = nursery
        self._random = town.world.random("stranger")
        self._caller = Caller(town.world, "stranger", self._random, nursery)
        self._rogue = town.world.network.boot("rogue", self._random.randbytes(16))
        self._pause_s = pause_s

    async def live(self, until_s: float) -> None:
        """Replay until the virtual time `until_s`."""
        while trio.current_time() < until_s:
            await trio.sleep(self._random.expovariate(1 / self._pause_s))
            if self._town.history.submitted:
                record = self._random.choice(self._town.history.submitted)
                await (self.replay_record if self._random.random() < 0.6 else self.replay_cell)(record)

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

    async def replay_cell(self, record: Record) -> None:
        """Send a replica some state its cell once had, as a delayed message of another replica would."""
        world = self._town.world
        states = list(world.witness.states.get(record.key, ()))
        replica = self._random.choice(world.replicas_of(record.key))
        if not states or replica.peers is None:
            return
        owner = world.ranges.lookup(record.key)
        cells = [(record.key, self._random.choice(states))]
        params = {"ranges": [(owner.id, owner.epoch)], "cells": cells}
        try:
            await self._call_replica(replica.peers, replica.node_id, params)
        except (TransportError, LinkBroken, WireError):
            self._town.history.count("old cells unanswered")
        else:
            self._town.history.count("old cells joined")

    async def _call_replica(self, address: Address, node_id: bytes, params: dict[str, Any]) -> None:
        stream, _ = await self._rogue.dial_peer(address, node_id)
        link = Link(stream, settings=PATIENT)
        self._nursery.start_soon(link.run)
        try:
            await link.call("replica.join", params)
        finally:
            link.close()
