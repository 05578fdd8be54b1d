"""A crowd: somebody whom everybody follows for a while, and who says much and takes much of it back.

Fans come and go together, so that their idol is now one of those whose posts are merged into home feeds, and
now one of those whose posts are put into them; meanwhile posts go that were put there before. And the idol
says several things one by one, deletes most of the newest, and has the page read at once, which then shows
what has moved up: each replica may lack another part of that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.simulation.history import PageRead, ShownPost
from folkmoot.node.simulation.pen import Pen
from folkmoot.node.simulation.town import Town
from folkmoot.protocol.record import Record

SELDOM: Final = 3  # of what people do meanwhile
SAID: Final = 5
TAKEN_BACK: Final = 3
PAGE: Final = 3
PAGES: Final = 3
PAGE_LEVELS: Final = ("quorum", "quorum", "each_quorum")


class Crowd:
    """See the module.

    Args:
        town: where it lives.
        random: decides what it does.
        idol: who is followed.
        fans: who follow.
        leave: has the idol ask another node.
        pause_s: mean time between two things that people do.
    """

    def __init__(
        self,
        town: Town,
        random: Random,
        idol: Pen,
        fans: Sequence[Pen],
        leave: Callable[[], None],
        pause_s: float,
    ) -> None:
        self._town = town
        self._random = random
        self._idol = idol
        self._fans = list(fans)
        self._leave = leave
        self._pause_s = pause_s
        self._items: list[bytes] = []

    async def live(self, over: Callable[[], bool]) -> None:
        """Do one thing after the other, in turn, until `over` says so."""
        while True:
            for doing in (self.flock, self.thin_out, self.disperse, self.thin_out):
                await trio.sleep(self._random.expovariate(1 / (SELDOM * self._pause_s)))
                if over():
                    return
                with self._town.watched(doing.__name__):
                    await doing()

    async def settle(self) -> None:
        """Have everything answered for certain."""
        for pen in (self._idol, *self._fans):
            await pen.settle()

    async def flock(self) -> None:
        """Have everybody follow the idol."""
        for fan in self._fans:
            await fan.write("follow", self._idol.account, {"on": True})

    async def disperse(self) -> None:
        """Have all but the most faithful one follow the idol no more."""
        for fan in self._fans[1:]:
            await fan.write("follow", self._idol.account, {"on": False})

    async def thin_out(self) -> None:
        """Say several things, take most of them and something older back, and look what there is instead."""
        for _ in range(SAID):
            item = self._idol.new_item()
            self._items.append(item)
            await self._idol.write("post", item, {"text": f"here I am {self._random.getrandbits(32):x}"})
        older = self._items[:-SAID]
        gone = [*self._random.sample(self._items[-SAID:], TAKEN_BACK), *older[-1:]]
        for item in gone:
            self._items.remove(item)
            await self._idol.write("post", item, {"deleted": True})
        for _ in range(PAGES):
            self._leave()
            await self._read_page()

    async def _read_page(self) -> None:
        sent_s, level = trio.current_time(), self._random.choice(PAGE_LEVELS)
        asked: dict[str, Any] = {"account": self._idol.account, "level": level, "limit": PAGE}
        answer = await self._idol.ask("feed.author", asked)
        if not isinstance(answer, dict):
            return
        records = [Record.from_wire(item["record"]) for item in answer["items"]]
        shown = {record.item: ShownPost(record.stamp, record.deleted) for record in records}
        complete, at_s = answer["cursor"] is None, trio.current_time()
        if shown or complete:
            page = PageRead(self._idol.account, shown, complete, sent_s, at_s, level)
            self._town.history.pages.append(page)
