"""Machines that are lost for good, disk and all, and the new ones that are put in their places.

Where the old machine stood another is started, under the same address, with an empty disk, another id and
another name, and an operator has it take the place of the dead one: he names it, or has it join beforehand,
or leaves it to the cluster which one it is to be. Now and then he accepts that something may be lost,
though nothing is. When all is replaced, the dead one's name is taken off the roster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.simulation.operators import RETRY_S, Operator
from folkmoot.node.simulation.schedule import Episode
from folkmoot.node.simulation.world import SimulatedNode, World

AWAY_S: Final = (0.5, 10.0)
ACCEPTED_SHARE: Final = 0.25
WAYS: Final = ("with", "join", "any")


@dataclass(slots=True)
class _Loss:
    """A node that was lost, and how it is replaced.

    Args:
        number: of the node in its world.
        dead: the node.
        way: one of `WAYS`.
        accepted: whether it is said that something may be lost.
    """

    number: int
    dead: SimulatedNode
    way: str
    accepted: bool


class Losses:
    """See the module.

    Args:
        world: whose nodes are lost.
        nursery: where the operator's links run.
    """

    def __init__(self, world: World, nursery: trio.Nursery) -> None:
        self._world = world
        self._operator = Operator(world, "undertaker", nursery)
        self._open: list[_Loss] = []

    async def begin(self, episode: Episode, may_lose: Callable[[SimulatedNode], bool]) -> None:
        """Lose a node if it may be, and replace it; not further than is agreed upon by the episode's end.

        Args:
            episode: of the fault.
            may_lose: whether the cluster can do without a node's disk just now.
        """
        node = self._world.nodes[episode.node]
        if not may_lose(node):
            return
        random: Random = self._world.random(f"losses/{episode.begin_s}")
        loss = _Loss(episode.node, node, random.choice(WAYS), random.random() < ACCEPTED_SHARE)
        self._open.append(loss)
        self._world.lose(node)
        with trio.move_on_at(episode.end_s):
            await trio.sleep(random.uniform(*AWAY_S))
            self._world.succeed(loss.number)
            await self._replace(loss)

    def end(self, episode: Episode) -> None:
        """Have a machine in the place of one that was lost, at the latest now."""
        if self._world.nodes[episode.node].lost:
            self._world.succeed(episode.node)

    async def settle(self) -> None:
        """Have every lost node replaced and off the roster."""
        for loss in list(self._open):
            await self._replace(loss)

    def has_settled(self) -> bool:
        """Whether that is so, by the newest roster."""
        roster = self._operator.roster()
        return all(loss.dead.node_id not in roster for loss in self._open)

    async def _replace(self, loss: _Loss) -> None:
        """Take step after step, by what the roster says, until nothing is left of the dead one."""
        dead = loss.dead.node_id
        newcomer = {"node": self._world.nodes[loss.number].node_id}
        while (known := self._operator.roster().get(dead)) is not None:
            if loss.way == "join" and newcomer["node"] not in self._operator.roster():
                await self._operator.ask("node.join", newcomer)
            if known.standing != "dead":
                params: dict[str, Any] = {"node": dead, "accept_loss": loss.accepted}
                if loss.way == "with":
                    params["with"] = newcomer["node"]
                await self._operator.ask("node.replace", params)
            elif not self._world.ranges.of_node(dead):
                await self._operator.ask("node.decommission", {"node": dead})
            await trio.sleep(RETRY_S)
        await self._operator.ask("node.join", newcomer)
