"""The skeptic: somebody who carries no token and does not believe what one node says.

What was written a moment ago is on some replicas and not yet on others; that is when an answer at quorum must
be put together and given back to those who lack it. So the skeptic reads the newest cells and pages at quorum
levels, at one node after another.
"""

from __future__ import annotations

from typing import Any, Final

import trio
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.history import CellRead, CellView, PageRead, ShownPost, key_of
from folkmoot.node.simulation.town import Place, Town
from folkmoot.node.simulation.world import World
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.record import Record

LEVELS: Final = ("quorum", "quorum", "each_quorum")
NEWEST: Final = 3
TIMES: Final = 3
PAGE_LIMITS: Final = (2, 4, 20)


class Skeptic:
    """See the module.

    Args:
        world: whose nodes it asks.
        town: where.
        name: its host's.
        nursery: where its links run.
        pause_s: mean time between two doubts.
    """

    def __init__(self, world: World, town: Town, name: str, nursery: trio.Nursery, pause_s: float) -> None:
        self._town = town
        self._random = world.random(name)
        self._caller = Caller(world, name, self._random, nursery)
        self._pause_s = pause_s

    async def live(self, until_s: float) -> None:
        """Doubt until the virtual time `until_s`."""
        while trio.current_time() < until_s:
            await trio.sleep(self._random.expovariate(1 / self._pause_s))
            if self._town.places:
                newest = list(self._town.places)[-NEWEST:]
                with self._town.watched("doubt"):
                    await self.doubt(self._random.choice(newest))

    async def doubt(self, place: Place) -> None:
        """Read a cell, or the page it is on, at one node after another."""
        of_page = place[1] == "post" and self._random.random() < 0.5
        for _ in range(TIMES):
            self._caller.leave()
            await (self._read_page(place[0]) if of_page else self._read(place))

    async def _read(self, place: Place) -> None:
        sent_s, level = trio.current_time(), self._random.choice(LEVELS)
        answer = await self._ask("record.get", {"keys": [list(place)], "level": level})
        if answer is not None:
            [wire] = answer["cells"]
            view = None if wire is None else CellView.from_wire(wire)
            achieved, session = answer["achieved"]["level"], self._town.new_session()
            read = CellRead(key_of(place), view, sent_s, trio.current_time(), level, achieved, session)
            self._town.history.reads.append(read)

    async def _read_page(self, account: bytes) -> None:
        sent_s, level = trio.current_time(), self._random.choice(LEVELS)
        asked = {"account": account, "level": level, "limit": self._random.choice(PAGE_LIMITS)}
        answer = await self._ask("feed.author", asked)
        if answer is not None:
            records = [Record.from_wire(item["record"]) for item in answer["items"]]
            shown = {record.item: ShownPost(record.stamp, record.deleted) for record in records}
            complete = answer["cursor"] is None
            page = PageRead(account, shown, complete, sent_s, trio.current_time(), level)
            self._town.history.pages.append(page)

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        try:
            return await self._caller.call(method, params)
        except (*UNANSWERED, WireError):
            self._town.history.count("doubts unanswered")
            return None
