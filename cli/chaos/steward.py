"""The steward: an operator who drains nodes, splits ranges, moves seats and makes backups amid the trouble.

What is refused, because the cluster cannot do it or is about to do something else, is asked for again for a
while; what was not answered is, too, and it does no harm to ask twice. At the end everything that was drained
is given ranges again, and must come to rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from math import inf
from random import Random
from typing import Final

import trio
from folkmoot.cli.chaos.backups import Backups
from folkmoot.cli.chaos.caller import Caller
from folkmoot.cli.chaos.plan import CHANGES, Episode
from folkmoot.cli.chaos.ring import owner_of, ranges_of, unrest
from folkmoot.cli.chaos.scene import Scene
from folkmoot.node.simulation.caller import UNANSWERED
from folkmoot.protocol.consensus.configuration import SIZES
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import HASH_BYTES, PLACE_PREFIX_BYTES

RETRY_S: Final = 0.5
# A busy machine, and whatever else is broken, may take longer than the plan has time.
PATIENCE_S: Final = 20.0
# Whoever is asked has to take the node for dead first, and its seat may be missed.
REPLACED_S: Final = 60.0
SPLITS: Final = 2  # an episode
RANGES_MAX: Final = 256  # what is split is never joined again


class Steward:
    """See the module.

    Args:
        caller: an operator who asks whichever node answers.
        callers: one at each of the nodes, by name; without those that are given up.
        ids: of the nodes, by name.
        scene: told what happens.
        random: chooses what is split, and who holds seats.
        backups: makes them.
        give_up: kills a node for good.

    Attributes:
        backups: those that were made.
        done: how often each change was agreed upon, and was found to have happened.
    """

    def __init__(
        self,
        caller: Caller,
        callers: dict[str, Caller],
        ids: Mapping[str, bytes],
        scene: Scene,
        random: Random,
        backups: Backups,
        give_up: Callable[[str], Awaitable[None]],
    ) -> None:
        self.done: dict[str, int] = {}
        self._caller = caller
        self._callers = callers
        self._give_up = give_up
        self._ids = ids
        self._scene = scene
        self._random = random
        self.backups = backups
        self._drained: set[str] = set()

    async def run(self, episodes: Sequence[Episode]) -> None:
        """Carry out every change of a plan, each at its time or soon after the one before it."""
        began = trio.current_time()
        for episode in episodes:
            if episode.fault not in CHANGES:
                continue
            await trio.sleep_until(began + episode.at_s)
            self._scene.tell(episode.sentence())
            self._scene.change = episode.sentence()
            self._scene.in_force.add(episode.fault)
            if await self._carry_out(episode):
                self.done[episode.fault] = self.done.get(episode.fault, 0) + 1
            self._scene.in_force.discard(episode.fault)
            self._scene.change = ""

    async def _carry_out(self, episode: Episode) -> bool:
        """Do it; whether it was done."""
        match episode.fault:
            case "drain":
                return await self._drain(episode.nodes[0], trio.current_time() + episode.lasts_s)
            case "split":
                return await self._in_time(self._split)
            case "seats":
                return await self._in_time(self._move_a_seat)
            case "replace":
                return await self._replace(episode.nodes[0])
            case _:
                return await self.backups.make(episode.nodes[0])

    async def _in_time(self, attempt: Callable[[], Awaitable[bool]], patience_s: float = PATIENCE_S) -> bool:
        """Attempt something until it says that it is done; False when it is not in that many seconds."""
        with trio.move_on_after(patience_s):
            while True:
                try:
                    if await attempt():
                        return True
                except (WireError, *UNANSWERED):
                    self._caller.leave()
                await trio.sleep(RETRY_S)
        return False

    # Draining.

    async def _drain(self, name: str, until: float) -> bool:
        """Have a node give its ranges away until then, one at least, and have it take ranges again."""
        self._drained.add(name)
        left: list[int] = []

        async def drains() -> bool:
            await self._ask_to_drain(name, left)
            return left[-1] == 0 or (left[-1] < max(left) and trio.current_time() >= until)

        await self._in_time(drains, max(PATIENCE_S, until - trio.current_time()))
        if await self._in_time(partial(self._join, name)):
            self._drained.discard(name)
        gave = max(left, default=0) - min(left, default=0)
        self._scene.tell(
            f"{name} gave {gave} of {max(left, default=0)} ranges away, and is to take them again"
        )
        return gave > 0

    async def _ask_to_drain(self, name: str, left: list[int]) -> None:
        """Have a node drained, again if that is already so.

        Args:
            left: how many ranges it had still to give whenever that was asked; one is added.
        """
        node = self._ids[name]
        planned = await self._caller.call("node.drain", {"node": node})
        left.append(planned["plan"]["nodes"].get(node.hex(), {"gives": 0})["gives"])

    async def _join(self, name: str) -> bool:
        await self._caller.call("node.join", {"node": self._ids[name]})
        return True

    # Replacing.

    async def _replace(self, name: str) -> bool:
        """Have a node killed for good, and what it kept made anew elsewhere."""
        await self._give_up(name)
        self._drained.discard(name)
        del self._callers[name]  # it serves nobody any more, even when it is back

        async def replaces() -> bool:
            await self._caller.call("node.replace", {"node": self._ids[name]})
            return True

        return await self._in_time(replaces, REPLACED_S)

    # Splitting.

    async def _split(self) -> bool:
        """Split some ranges close to what people have written; whether there was room for more."""
        for _ in range(SPLITS):
            ranges = await ranges_of(self._caller)
            submitted = self._scene.history.submitted
            if not submitted or len(ranges) >= RANGES_MAX:
                return False
            key = self._random.choice(submitted).key
            bound = key[: self._random.randint(HASH_BYTES // 4, PLACE_PREFIX_BYTES)]
            owner = owner_of(ranges, bound)
            if owner.start != bound:
                await self._caller.call("ring.split", {"range": owner.id, "at": bound})
        return True

    # Seats.

    async def _move_a_seat(self) -> bool:
        """Give a seat to a node that has none; where all have one, leave fewer, which grow again."""
        status = await self._caller.call("cluster.status", {})
        holders = [holder["id"] for holder in status["seats"]["holders"] if not holder["coming"]]
        free = [
            node["id"]
            for node in status["nodes"]
            if node["roster"] == "member" and node["state"] == "alive" and node["id"] not in holders
        ]
        left = self._random.sample(holders, len(holders))
        wanted = [*left[1:], self._random.choice(free)] if free else left[: _fewer(len(holders))]
        told = await self._caller.call("seats.set", {"nodes": [bytes.fromhex(each) for each in wanted]})
        return {node.hex() for node in told["nodes"]} == set(wanted)

    # The end.

    async def rest(self, within_s: float) -> list[str]:
        """Have all nodes take ranges again, and wait until nothing is half done.

        Returns:
            What still is after that many seconds, a sentence each.
        """
        left = ["the nodes that were drained could not be given ranges again"]
        with trio.move_on_after(within_s):
            await self.join_all()
            # Nodes tell nobody of themselves that they are done.
            while left := await unrest(list(self._callers.values())):  # noqa: ASYNC110
                await trio.sleep(RETRY_S)
        return [f"{sentence}, {within_s:g} s after everything was mended" for sentence in left]

    async def join_all(self) -> None:
        """Have every node that is still drained given ranges again, however long that takes."""
        for name in sorted(self._drained):
            await self._in_time(partial(self._join, name), inf)
        self._drained.clear()


def _fewer(seats: int) -> int:
    return max((size for size in SIZES if size < seats), default=1)
