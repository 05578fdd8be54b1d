"""An operator who asks until there is an answer, and what he can see by looking at all disks at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import trio
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.layout import OPERATOR
from folkmoot.node.simulation.ownership import topology_in
from folkmoot.node.simulation.world import World
from folkmoot.protocol.errors import CONFLICT, WireError
from folkmoot.protocol.ring.roster import Roster

RETRY_S: Final = 1.0


class Operator:
    """See the module.

    Args:
        world: whose nodes are asked.
        name: of its host.
        nursery: where its links run.
    """

    def __init__(self, world: World, name: str, nursery: trio.Nursery) -> None:
        self._world = world
        self._caller = Caller(world, name, world.random(name), nursery, OPERATOR)

    async def ask(self, method: str, params: Mapping[str, Any]) -> bool:
        """Ask until there is an answer; whether it was done. What it was counts by the last word of its name.

        Args:
            method: such as `node.drain`.
            params: see the method.
        """
        deed = method.rpartition(".")[2] if not method.startswith("seats.") else "seats"
        with self._world.coverage.operation(deed):
            while True:
                try:
                    await self._caller.call(method, params)
                    return True
                except WireError as error:
                    if error.kind is CONFLICT:
                        return False
                    self._caller.leave()  # another node may know more
                except UNANSWERED:
                    pass
                await trio.sleep(RETRY_S)

    def roster(self) -> Roster:
        """The newest roster that any node has."""
        known = [topology_in(node.disk.engine) for node in self._world.nodes]
        rosters = [topology.roster for topology in known if topology is not None]
        return max(rosters, key=lambda roster: roster.epoch)
