"""The exhibition: media are looked at in the quiet, when all that is shown is to be seen everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import trio
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.checkers import media
from folkmoot.node.simulation.checkers.verdict import HeldCells
from folkmoot.node.simulation.history import History
from folkmoot.node.simulation.media_history import Audit, Looked
from folkmoot.node.simulation.photographer import Photographer
from folkmoot.node.simulation.pictures import Picture
from folkmoot.node.simulation.world import SimulatedNode, World
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.key import place_prefix
from folkmoot.storage.media.layout import OPEN_AREAS

AGAIN: Final = 5
AGAIN_S: Final = 1.0


class Exhibition:
    """See the module.

    Args:
        world: whose nodes are visited.
        history: where what was seen goes.
        photographers: who are told how much they have.
        held: what the nodes hold now.
        links: where links run.
    """

    def __init__(
        self,
        world: World,
        history: History,
        photographers: Sequence[Photographer],
        held: Callable[[], Sequence[HeldCells]],
        links: trio.Nursery,
    ) -> None:
        self._world = world
        self._history = history
        self._photographers = photographers
        self._held = held
        self._random = world.random("exhibition")
        self._caller = Caller(world, "visitor", self._random, links)

    async def is_hung(self) -> bool:
        """Whether every replica has everything that is shown."""
        return not media.lacking(self._held(), self._world.ranges, self._history.pictures)

    async def is_tidy(self) -> bool:
        """Whether nothing else lies anywhere that will soon be given up."""
        held = self._held()
        self._history.ahead = media.kept_ahead(held)
        return media.is_tidy(held, self._world.ranges)

    async def visit(self) -> None:
        """Look at everything that is shown, in every region."""
        wanted = sorted(media.referred(self._held(), self._world.ranges))
        regions = sorted({node.member.region for node in self._world.nodes})
        for region in regions:
            nodes = [node for node in self._world.nodes if node.member.region == region]
            for name in wanted:
                node = self._random.choice(nodes)
                picture = self._history.pictures[name.account, name.hash]
                self._history.visited.append(await self._look(node, picture))

    async def audit(self) -> None:
        """Have everybody told how much there is, and compare it with the disks."""
        for photographer in self._photographers:
            told = await photographer.count()
            if told is None:
                continue
            owners = self._world.ranges.lookup(place_prefix(told.account)).nodes()
            found = tuple(
                media.used_by(each, told.account) for each in self._held() if each.node_id in owners
            )
            self._history.audits.append(Audit("what an account's media take", told.used, found))
        for node in self._world.nodes:
            try:
                link = await self._caller.open(node)
                status = (await link.call("cluster.status", {}))["node"]["media"]
            except (*UNANSWERED, WireError):
                continue
            link.close()
            [held] = [each for each in self._held() if each.node_id == node.node_id]
            for area in OPEN_AREAS:
                what, told_bytes = f"{area.value} media of {node.name}", status[f"{area.value}_bytes"]
                self._history.audits.append(Audit(what, told_bytes, (media.used_in(held, area),)))

    async def _look(self, node: SimulatedNode, picture: Picture) -> Looked:
        """Look at a picture at one node; what it has yet to fetch is asked for again."""
        for _ in range(AGAIN):
            try:
                link = await self._caller.open(node)
            except (*UNANSWERED, WireError):
                break
            looked = await self._chunks(node, link, picture)
            link.close()
            if looked.failure != BUSY.name:
                return looked
            await trio.sleep(AGAIN_S)
        return Looked(picture.account, picture.hash, node.name, trio.current_time(), "it was busy", False)

    async def _chunks(self, node: SimulatedNode, link: Link, picture: Picture) -> Looked:
        failure, changed = "", False
        for index in range(len(picture.manifest.chunks)):
            asked = {"account": picture.account, "hash": picture.hash, "index": index}
            try:
                answer = await link.call("media.get", asked)
            except WireError as error:
                failure = error.kind.name
                break
            except UNANSWERED as error:
                failure = type(error).__name__
                break
            changed = changed or answer["data"] != picture.chunk(index)
        return Looked(picture.account, picture.hash, node.name, trio.current_time(), failure, changed)
