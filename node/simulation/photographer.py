"""A photographer: somebody who uploads pictures, shows them, exchanges and takes them down, and looks around.

Uploads break off and go on, at the same node or another; some pictures no post ever shows, and some are shown
again long after they were taken down, when they may be gone. Others' pictures are looked at wherever one is.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.environment import WallClock
from folkmoot.node.simulation.media_history import Counted, Looked
from folkmoot.node.simulation.pen import Pen
from folkmoot.node.simulation.pictures import Picture, draw
from folkmoot.node.simulation.town import WRITE_LEVELS, Asker, Town
from folkmoot.protocol.errors import MEDIA_MISSING, TOO_LARGE, WireError
from folkmoot.protocol.identity import KeyPair

Doing = Callable[[], Coroutine[Any, Any, object]]

SELDOM: Final = 3  # of what people do meanwhile: pictures are large
UPLOAD_AGAIN: Final = 3
RETRY_S: Final = 1.0
BREAKS_OFF: Final = 0.15
RECENT: Final = 12


class Photographer:
    """See the module.

    Args:
        town: where it lives.
        key: its account's and device's.
        random: decides what it does.
        wall: its clock.
        caller: whom it asks, as its account.
        pause_s: mean time between two things that people do.
    """

    def __init__(
        self, town: Town, key: KeyPair, random: Random, wall: WallClock, caller: Asker, pause_s: float
    ) -> None:
        self._town = town
        self._history = town.history
        self._random = random
        self._caller = caller
        self._pause_s = pause_s
        self._pen = Pen(town, key, random, wall, caller)
        self._pictures: list[Picture] = []
        self._shown: list[bytes] = []

    async def live(self, over: Callable[[], bool]) -> None:
        """Do things until `over` says so, one of each sort to begin with."""
        for first in (self.show, self.show, self.exchange, self.take_down, self.portray, self.look):
            await first()
        weights: dict[Doing, int] = {
            self.show: 4,
            self.show_again: 2,
            self.exchange: 2,
            self.take_down: 2,
            self.portray: 1,
            self.put_aside: 1,
            self.look: 6,
            self.count: 1,
        }
        choices = [doing for doing, weight in weights.items() for _ in range(weight)]
        while not over():
            await trio.sleep(self._random.expovariate(1 / (SELDOM * self._pause_s)))
            doing = self._random.choice(choices)
            with self._town.watched(doing.__name__):
                await doing()

    async def settle(self) -> None:
        """Have everything answered for certain."""
        await self._pen.settle()

    # What is shown.

    async def show(self) -> None:
        """Upload a picture and show it in a post."""
        if picture := await self._new_picture():
            await self._show(self._pen.new_item(), picture)

    async def show_again(self) -> None:
        """Show an older picture in a new post: it may have been given up meanwhile."""
        if self._pictures:
            await self._show(self._pen.new_item(), self._random.choice(self._pictures[-RECENT:]))

    async def exchange(self) -> None:
        """Have a post show another picture than it does."""
        if self._shown and (picture := await self._new_picture()):
            await self._show(self._random.choice(self._shown), picture)

    async def take_down(self) -> None:
        """Delete a post with its picture."""
        if self._shown:
            item = self._shown.pop(self._random.randrange(len(self._shown)))
            await self._pen.write("post", item, {"deleted": True})

    async def portray(self) -> None:
        """Have the profile show a picture, or every fourth time none."""
        if self._random.random() < 0.25:
            await self._pen.write("profile", b"avatar", {"value": "", "erase": True})
        elif picture := await self._new_picture():
            value = {name: value for name, value in picture.shown().items() if name != "alt"}
            await self._pen.write("profile", b"avatar", {"value": value})

    async def put_aside(self) -> None:
        """Upload a picture that no post shows."""
        await self._new_picture()

    async def _show(self, item: bytes, picture: Picture) -> None:
        body = {"text": f"look {self._random.getrandbits(32):x}", "media": [picture.shown()]}
        for _ in range(UPLOAD_AGAIN):
            result = await self._pen.write("post", item, body)
            if result is None or result.get("error", {}).get("name") != MEDIA_MISSING.name:
                if item not in self._shown:
                    self._shown.append(item)
                return
            self._history.count("pictures missing when shown")
            if not await self._upload(picture):
                return

    # Uploads.

    async def _new_picture(self) -> Picture | None:
        """Draw and upload one; None when it was not taken."""
        picture = draw(self._pen.account, self._random)
        self._history.pictures[picture.account, picture.hash] = picture
        if not await self._upload(picture):
            return None
        self._pictures.append(picture)
        return picture

    async def _upload(self, picture: Picture) -> bool:
        """Send a picture until it is kept at a level; what comes between is begun again."""
        level = self._random.choice(WRITE_LEVELS)
        for _ in range(UPLOAD_AGAIN):
            answer = await self._upload_once(picture, level)
            if isinstance(answer, dict):
                return True
            if isinstance(answer, WireError) and answer.kind is TOO_LARGE:
                await self.take_down()
            await trio.sleep(RETRY_S * self._random.uniform(0.5, 1.5))
        return False

    async def _upload_once(self, picture: Picture, level: str) -> Any:
        manifest = picture.manifest
        begun = await self._pen.ask("media.begin", manifest.to_wire())
        if not isinstance(begun, dict):
            return begun
        if not begun["whole"]:
            missing = [each for each in range(len(manifest.chunks)) if each not in begun["have"]]
            self._random.shuffle(missing)
            for index in missing:
                if self._random.random() < BREAKS_OFF:
                    return None
                put = {"hash": picture.hash, "index": index, "data": picture.chunk(index)}
                taken = await self._pen.ask("media.put", put)
                if not isinstance(taken, dict):
                    return taken
        return await self._pen.ask("media.finish", {"hash": picture.hash, "level": level})

    # What is seen.

    async def look(self) -> None:
        """Look at somebody's picture."""
        if self._history.pictures:
            newest = list(self._history.pictures.values())[-RECENT:]
            picture = self._random.choice(newest)
            self._history.looked.append(await look_at(self._pen, self._caller, picture))

    async def count(self) -> Counted | None:
        """Ask what there is of the own pictures, and how much room they take; None when nobody says."""
        items: list[bytes] = []
        params: dict[str, Any] = {}
        while isinstance(page := await self._pen.ask("media.list", params), dict):
            items += [*(each["hash"] for each in page["items"]), *page["damaged"]]
            if "next" not in page:
                return Counted(self._pen.account, frozenset(items), page["used"], trio.current_time())
            params = {"after": page["next"]}
        return None


async def look_at(pen: Pen, caller: Asker, picture: Picture) -> Looked:
    """Get a picture, chunk by chunk, and compare it with what it should be."""
    asked: dict[str, Any] = {"account": picture.account, "hash": picture.hash}
    failure, changed = "", False
    for index in range(len(picture.manifest.chunks)):
        answer = await pen.ask("media.get", {**asked, "index": index})
        if not isinstance(answer, dict):
            failure = "no answer" if answer is None else answer.kind.name
            break
        changed = changed or answer["data"] != picture.chunk(index)
    return Looked(picture.account, picture.hash, caller.node, trio.current_time(), failure, changed)
