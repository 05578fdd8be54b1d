"""`media.purge`: what an account uploaded and no longer shows is gone from every node, at once.

The sweeper waits before it gives a medium up, because a post that shows it may be under way. An account that
has taken back all that it wrote knows that none is: its own word is the truth about what it shows. So its
replicas are asked, as many as a quorum read needs, whether they know of anything that still refers to a
medium; when none does, every member erases what it has of the account's: what is kept, uploads that were
begun, and copies for readers elsewhere. A member that knows a reference all the same keeps its media, and
says how many; a post that comes later has them fetched from there.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import trio
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import EpochCheck, Peers, PeerUnreachable, Topology
from folkmoot.node.media import messages
from folkmoot.node.media.keeping import Keeping
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits
from folkmoot.protocol.community.value import OPERATOR
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BUSY, CONFLICT, FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.key import place_prefix
from folkmoot.storage.errors import StorageError
from folkmoot.storage.media.layout import OPEN_AREAS, Name

log = logging.getLogger(__name__)

NODES_AT_ONCE: Final = 8

Handler = Callable[[bytes, Params], Awaitable[Any]]
Told = messages.ToldPurge


class Purging:
    """See the module.

    Args:
        keeping: this node's media and references.
        router: orders replicas by distance, and says whether this node counts.
        topology, peers, epochs: see `contracts`.
        members: all other members of the cluster; None while they are not known.
    """

    def __init__(
        self,
        keeping: Keeping,
        router: Router,
        topology: Topology,
        peers: Peers,
        epochs: EpochCheck,
        members: Callable[[], list[bytes] | None],
    ) -> None:
        self._keeping = keeping
        self._router = router
        self._topology = topology
        self._peers = peers
        self._epochs = epochs
        self._members = members
        self._one_at_a_time = trio.CapacityLimiter(1)

    def peer_methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {messages.PURGE: self._answer}

    def client_methods(self) -> Mapping[str, Method]:
        """What clients may ask, by name."""
        return {"media.purge": self.purge}

    async def purge(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Have all nodes erase an account's media."""
        account = codec.shaped(params, messages.PurgeAccount, "media.purge").account
        if asker.account != account and OPERATOR not in asker.roles:
            if asker.account is None:
                raise WireError(UNAUTHENTICATED, "an account purges its own media: send auth first")
            raise WireError(FORBIDDEN, "media are purged by their own account, and by operators")
        members = self._members()
        if members is None:
            raise WireError(BUSY, "the members of the cluster are not known yet", retry_after_ms=500)
        await self._require_unshown(account)
        told: dict[bytes, Told | str] = {}
        limiter = trio.CapacityLimiter(NODES_AT_ONCE)

        async def erase_at(node_id: bytes) -> None:
            async with limiter:
                try:
                    told[node_id] = await self._ask(node_id, {"account": account, "erase": True})
                except WireError as error:
                    told[node_id] = error.message
                except PeerUnreachable:
                    told[node_id] = "it cannot be reached"

        async with trio.open_nursery() as nursery:
            for node_id in (self._router.node_id, *members):
                nursery.start_soon(erase_at, node_id)
        return {"nodes": [_to_wire(node_id, each) for node_id, each in sorted(told.items())]}

    async def _require_unshown(self, account: bytes) -> None:
        """See that no quorum of the account's replicas knows of anything that refers to a medium.

        Raises:
            WireError: `conflict`, when one does; `level_unreachable`, when too few can be asked.
        """
        owner = self._topology.where(place_prefix(account))
        asked = {"account": account, "erase": False, "ranges": [(owner.id, owner.epoch)]}
        failed: set[bytes] = set()
        while (readers := self._router.readers(owner.slots, "quorum", failed)) is not None:
            shown = 0
            for node_id in readers:
                try:
                    shown = max(shown, (await self._ask(node_id, asked)).shown)
                except (WireError, PeerUnreachable):
                    failed.add(node_id)
            if shown:
                raise WireError(
                    CONFLICT,
                    f"the account's posts and profile still refer to {shown} media: take those back first",
                    details={"shown": shown},
                )
            if not failed.intersection(readers):
                return
        raise self._router.unreachable(owner.slots, "quorum", failed)

    async def _ask(self, node_id: bytes, asked: dict[str, Any]) -> Told:
        if node_id == self._router.node_id:
            return await self._do(asked["account"], erase=asked["erase"])
        answer = await self._peers.call(node_id, messages.PURGE, asked, limits.REQUEST_TIMEOUT_S)
        return codec.shaped(answer, Told, messages.PURGE)

    async def _answer(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, messages.Purge, messages.PURGE)
        if asked.ranges:
            self._epochs.check_epochs(dict(asked.ranges), [place_prefix(asked.account)])
        told = await self._do(asked.account, erase=asked.erase)
        return {"shown": told.shown, "erased": told.erased, "left": told.left}

    async def _do(self, account: bytes, *, erase: bool) -> Told:
        """Look what is referred to here, and erase the rest.

        Raises:
            WireError: `busy`, when this node does not know that it has all it acknowledged; or what is wrong
                with its disk.
        """
        if not self._keeping.counted:
            raise WireError(BUSY, "this node does not know all it acknowledged", retry_after_ms=250)
        async with self._one_at_a_time:
            try:
                return await self._keeping.executor.run(partial(self._erase, account, erase=erase))
            except StorageError as error:
                raise error.to_wire_error() from error

    def _erase(self, account: bytes, *, erase: bool) -> Told:
        """See `_do`; blocks."""
        known, blobs = self._keeping.referred(account), self._keeping.blobs
        erased = left = 0
        for area in OPEN_AREAS if erase else ():
            for each in blobs.listed(area, account):
                if each.hash in known:
                    left += 1
                else:
                    erased += blobs.drop(area, Name(account, each.hash))
        if erased:
            log.info("%d media of an account that was purged are gone", erased)
        return Told(len(known), erased, left)


def _to_wire(node_id: bytes, told: Told | str) -> dict[str, Any]:
    if isinstance(told, str):
        return {"node": node_id, "error": told}
    return {"node": node_id, "erased": told.erased, "left": told.left}
