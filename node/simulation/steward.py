"""The steward: an operator who changes who keeps what, whatever else goes on.

What he does in an episode is drawn for it alone, so that it is the same when others are left out:

- a node is drained, and joins again in the end;
- a node is decommissioned, so that it leaves the roster if it gets that far, and joins again in the end;
- there are to be more or fewer copies, here or there, and in the end as many as the cluster was founded with;
- other nodes are to hold the seats, and more or fewer of them; from there the cluster spreads them itself;
- with each of these, ranges are split beside the cells of somebody.

What cannot be is refused, and rightly: what a draining node keeps has to move to others of its region, and
there may be none. What is not answered is asked again: it does no harm to ask twice.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.layout import OPERATOR
from folkmoot.node.simulation.operators import RETRY_S, Operator
from folkmoot.node.simulation.schedule import Episode
from folkmoot.node.simulation.world import SimulatedNode, World
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.key import HASH_BYTES, PLACE_PREFIX_BYTES
from folkmoot.protocol.ring.roster import Replicas
from folkmoot.storage.interface import Table

JOIN_S: Final = 10.0
SPLITS: Final = 2  # an episode
SEATS: Final = (3, 5)
TOTAL_SHARE: Final = 0.3
COPIES_MAX: Final = 4
DEEDS: Final = ("drain", "decommission", "replicas", "seats")


class Steward:
    """See the module.

    Args:
        world: whose nodes are asked.
        nursery: where its links run.
    """

    def __init__(self, world: World, nursery: trio.Nursery) -> None:
        self._world = world
        self._operator = Operator(world, "steward", nursery)
        self._splitter = Caller(world, "splitter", world.random("splitter"), nursery, OPERATOR)
        self._founded: Replicas = world.nodes[0].member.config.cluster.replicas

    async def begin(self, episode: Episode) -> None:
        """Do what is to be done in an episode; given up when it is not agreed upon by its end."""
        random = self._random_of(episode)
        deed, node = random.choice(DEEDS), self._world.nodes[episode.node]
        with trio.move_on_at(episode.end_s):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._split_some, random)
                if deed == "replicas":
                    await self._set_replicas(self._drawn_replicas(random))
                elif deed == "seats":
                    await self._set_seats(random)
                else:
                    await self._operator.ask(f"node.{deed}", {"node": node.node_id})

    async def end(self, episode: Episode) -> None:
        """Take back what was done in an episode; given up when that is not agreed upon for a while."""
        deed, node = self._random_of(episode).choice(DEEDS), self._world.nodes[episode.node]
        with trio.move_on_after(JOIN_S):
            if deed == "replicas":
                await self._set_replicas(self._founded)
            elif deed != "seats" and not node.lost:
                await self._operator.ask("node.join", {"node": node.node_id})

    async def settle(self) -> None:
        """Have the cluster as it was founded: every node in good standing, and as many copies."""
        while not self.has_settled():
            roster = self._operator.roster()
            for node in self._world.nodes:
                known = roster.get(node.node_id)
                if known is None or known.standing != "member":
                    await self._operator.ask("node.join", {"node": node.node_id})
            if roster.replicas not in (None, self._founded):
                await self._set_replicas(self._founded)
            await trio.sleep(RETRY_S)

    def has_settled(self) -> bool:
        """Whether that is decided."""
        roster = self._operator.roster()
        return roster.replicas in (None, self._founded) and all(
            (known := roster.get(node.node_id)) is not None and known.standing == "member"
            for node in self._world.nodes
        )

    def _random_of(self, episode: Episode) -> Random:
        """A generator of an episode's own."""
        return self._world.random(f"steward/{episode.begin_s}")

    async def _set_replicas(self, replicas: Replicas) -> None:
        await self._operator.ask("ring.replicas", {"replicas": replicas})

    def _drawn_replicas(self, random: Random) -> Replicas:
        """So many in each region, or a total; what the nodes there are allow for, and at least one."""
        nodes = Counter(node.member.region for node in self._world.nodes)
        if random.random() < TOTAL_SHARE:
            return random.randint(1, min(COPIES_MAX, nodes.total()))
        drawn = {region: random.randint(0, count) for region, count in sorted(nodes.items())}
        return drawn if any(drawn.values()) else dict.fromkeys(drawn, 1)

    async def _set_seats(self, random: Random) -> None:
        """Have other nodes hold the seats: one more or less, or as many elsewhere."""
        nodes = [node.node_id for node in self._world.nodes]
        count = random.choice([size for size in SEATS if size <= len(nodes)] or [1])
        await self._operator.ask("seats.set", {"nodes": random.sample(nodes, count)})

    async def _split_some(self, random: Random) -> None:
        for _ in range(SPLITS):
            with self._world.coverage.operation("split"):
                await self._split(random)

    async def _split(self, random: Random) -> None:
        """Split the range of some cell between its account and the one before, or anywhere close by.

        A range that is moving just then is asked for again.
        """
        keys = _keys(random.choice(self._world.nodes))
        if not keys:
            return
        bound = random.choice(keys)[: random.randint(HASH_BYTES // 4, PLACE_PREFIX_BYTES)]
        while True:
            owner = self._world.ranges.lookup(bound)
            if bound == owner.start:
                return
            params: dict[str, Any] = {"range": owner.id, "at": bound}
            try:
                await self._splitter.call("ring.split", params)
                return
            except WireError as error:
                if error.kind is BAD_REQUEST:  # whoever was asked knows of fewer parts, or of more
                    self._splitter.leave()
            except UNANSWERED:
                pass
            await trio.sleep(RETRY_S)


def _keys(node: SimulatedNode) -> list[bytes]:
    with node.disk.engine.begin() as transaction:
        return [key for key, _ in transaction.scan(Table.CELLS)]
