"""The change log of a range, wherever its replicas are: the one that was followed before, else the nearest.

To go on in the same log is exact, so the node whose log it is is asked first, even from afar. Only when it
cannot be reached, or does not keep the range any more, the others are asked, the nearest first; and one that
would have to leave something out only when none of them can prove that it need not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec
from folkmoot.node.contracts import Peers, PeerUnreachable, Topology
from folkmoot.node.live.messages import CHANGES, ChangesAsked, ChangesTold
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, LEVEL_UNREACHABLE, STALE_TOPOLOGY, WireError
from folkmoot.protocol.feed.places import LogPlace
from folkmoot.protocol.ring.ranges import RangeDescriptor

ROUNDS_MAX: Final = 3


class LocalLog(Protocol):
    """This node's own; see `log_service`."""

    async def answer(self, asked: ChangesAsked) -> ChangesTold: ...


class RangeLog:
    """See the module.

    Args:
        router: orders replicas by distance.
        topology: who owns what.
        peers: how to reach the others.
        local: this node's own.
    """

    def __init__(self, router: Router, topology: Topology, peers: Peers, local: LocalLog) -> None:
        self._router = router
        self._topology = topology
        self._peers = peers
        self._local = local

    async def read(
        self,
        start: bytes,
        end: bytes,
        place: bytes | None,
        *,
        most: int,
        since_us: int | None = None,
        wait_s: float = 0.0,
        public: bool = True,
        items: bool = False,
        only: bytes | None = None,
    ) -> ChangesTold:
        """What has changed in a slice of one range; see `ChangesAsked`.

        Args:
            start, end: the slice; where it reaches beyond the range, of the range.
            wait_s: seconds, at most `limits.FOLLOW_WAIT_S`.
            only: ask this node and no other.

        Raises:
            WireError: `level_unreachable`: no replica could tell; or why `only` could not.
        """

        def asked_of(owner: RangeDescriptor) -> ChangesAsked:
            within = end if not owner.end or (end and end <= owner.end) else owner.end
            claim, wait_ms = [(owner.id, owner.epoch)], int(wait_s * 1000)
            return ChangesAsked(
                claim, start, within, most, place, since_us, wait_ms, public=public, items=items
            )

        failed: dict[bytes, WireError] = {}
        for _ in range(ROUNDS_MAX):
            failed.clear()
            owner = self._topology.where(start)
            told = await self._ask_in_turn(self._candidates(owner, place, only), asked_of(owner), failed)
            if told is not None:
                return told
            await self._catch_up(failed)
            if self._topology.where(start) == owner:
                break
        if only in failed:
            raise failed[only]
        raise self._router.unreachable(owner.slots, "one", failed)

    def _candidates(self, owner: RangeDescriptor, place: bytes | None, only: bytes | None) -> list[bytes]:
        """Whom to ask, in order: who was followed, if it keeps the range, and those who answer its reads."""
        nearest = self._router.candidates(owner.slots)
        if only is not None:
            return [node_id for node_id in nearest if node_id == only]
        followed = None if place is None else LogPlace.decode(place).node
        asked = {followed, *(slot.reader for slot in owner.slots)}
        return sorted((each for each in nearest if each in asked), key=lambda each: each != followed)

    async def _ask_in_turn(
        self, nodes: Iterable[bytes], asked: ChangesAsked, failed: dict[bytes, WireError]
    ) -> ChangesTold | None:
        """The first answer that leaves nothing out, else the first one; None when nobody could tell."""
        incomplete: ChangesTold | None = None
        for node_id in nodes:
            try:
                told = await self._ask(node_id, asked)
            except WireError as error:
                failed[node_id] = error
            except PeerUnreachable as error:
                failed[node_id] = WireError(LEVEL_UNREACHABLE, "a replica went away before it answered")
                failed[node_id].__cause__ = error
            else:
                if told.how != "lost":
                    return told
                incomplete = incomplete or told
        return incomplete

    async def _ask(self, node_id: bytes, asked: ChangesAsked) -> ChangesTold:
        if node_id == self._router.node_id:
            return await self._local.answer(asked)
        params: dict[str, Any] = msgspec.to_builtins(asked, builtin_types=(bytes,))
        patience_s = limits.REPLICA_READ_TIMEOUT_S + asked.wait_ms / 1000
        answer = await self._peers.call(node_id, CHANGES, params, patience_s)
        told = codec.shaped(answer, ChangesTold, "the answer to replica.changes")
        if len(told.rows) > asked.most or (asked.items and len(told.items) != len(told.rows)):
            raise WireError(BAD_REQUEST, "a replica told more than was asked for, or less")
        if LogPlace.decode(told.place).node != node_id:
            raise WireError(BAD_REQUEST, "a replica told a place in another one's log")
        return told

    async def _catch_up(self, failed: Mapping[bytes, WireError]) -> None:
        """Learn of newer epochs from those who know of some."""
        for node_id, error in failed.items():
            if error.kind is STALE_TOPOLOGY and node_id != self._router.node_id:
                await self._topology.refresh(node_id)
