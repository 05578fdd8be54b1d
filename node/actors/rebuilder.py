"""The rebuilder fills an amnesiac node from the other replicas: every range, from enough of them.

Which ranges it has is among what it may have forgotten: some may have come to it since its disk was what it
is now. So the topology is read from a majority of the seats before anything else.

It is a repair pass that may not leave anything out: a range counts as passed with a replica only once the
exchange of its cells ran to its end after this node had begun to rebuild. What is written meanwhile reaches
this node as ever. Progress is counted in passes, of which each range needs a majority of its other replicas.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

import trio
from folkmoot.node.contracts import Liveness, PeerUnreachable
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap
from folkmoot.protocol.standing import majority_of_others, rebuilt_from_enough
from folkmoot.storage.errors import StorageError

log = logging.getLogger(__name__)

PAUSE_S: Final = 0.5

Reconcile = Callable[[bytes, RangeDescriptor], Awaitable[bool]]
"""Exchanges with a node what one replica of a range has and the other has not."""

Learn = Callable[[], Awaitable[None]]
"""Adopts the topology that is decided; raises `WireError` when that cannot be known."""


class Rebuilder:
    """See the module.

    Args:
        node_id: this node's.
        ranges: the range map now; None while it is not known.
        learn: see `Learn`.
        reconcile: see `Reconcile`.
        liveness: see `contracts`.
    """

    def __init__(
        self,
        node_id: bytes,
        ranges: Callable[[], RangeMap | None],
        learn: Learn,
        reconcile: Reconcile,
        liveness: Liveness,
    ) -> None:
        self._node_id = node_id
        self._ranges = ranges
        self._learn = learn
        self._reconcile = reconcile
        self._liveness = liveness
        self._passed: dict[int, set[bytes]] = {}
        self._begun_at = 0.0
        self._waiting_for: list[bytes] = []

    async def rebuild(self, is_old: Callable[[bytes], bool]) -> None:
        """Returns once every range of this node is rebuilt.

        Args:
            is_old: whether another node is amnesiac itself.
        """
        self._passed = {}
        self._begun_at = trio.current_time()
        await self._learn_patiently()
        while missing := self._missing(is_old):
            moved = False
            for owner in missing:
                for node_id in self._candidates(owner, is_old):
                    moved |= await self._pass(node_id, owner)
            self._waiting_for = sorted(
                {
                    node
                    for owner in missing
                    for node in self._unpassed(owner)
                    if not self._liveness.reachable(node)
                }
            )
            if not moved:
                await trio.sleep(PAUSE_S)

    async def _learn_patiently(self) -> None:
        while True:
            try:
                return await self._learn()
            except (WireError, StorageError) as error:
                log.info("which ranges this node has to be rebuilt is not known yet: %s", error)
            await trio.sleep(PAUSE_S)

    def progress(self) -> dict[str, Any]:
        """Passes done and needed, seconds since the begin, seconds left, and who is waited for."""
        mine = self._mine()
        needed = sum(majority_of_others(len(self._others(owner))) for owner in mine)
        done = sum(
            min(len(self._passed.get(owner.id, ())), majority_of_others(len(self._others(owner))))
            for owner in mine
        )
        elapsed_s = trio.current_time() - self._begun_at
        eta_s = round(elapsed_s / done * (needed - done), 1) if done else None
        return {
            "done": done,
            "needed": needed,
            "elapsed_s": round(elapsed_s, 1),
            "eta_s": eta_s,
            "waiting_for": [node.hex() for node in self._waiting_for],
        }

    async def _pass(self, node_id: bytes, owner: RangeDescriptor) -> bool:
        """Exchange one range with one replica; whether that came to its end."""
        try:
            await self._reconcile(node_id, owner)
        except (WireError, PeerUnreachable, StorageError) as error:
            log.info("range %d is not rebuilt from %s yet: %s", owner.id, node_id.hex()[:8], error)
            return False
        self._passed.setdefault(owner.id, set()).add(node_id)
        return True

    def _missing(self, is_old: Callable[[bytes], bool]) -> list[RangeDescriptor]:
        return [owner for owner in self._mine() if not self._is_rebuilt(owner, is_old)]

    def _is_rebuilt(self, owner: RangeDescriptor, is_old: Callable[[bytes], bool]) -> bool:
        others = self._others(owner)
        old = [node for node in others if is_old(node)]
        return rebuilt_from_enough(others, self._passed.get(owner.id, set()), old)

    def _candidates(self, owner: RangeDescriptor, is_old: Callable[[bytes], bool]) -> list[bytes]:
        """Whom to ask next: who can be reached, those whose disks are old last."""
        there = [node for node in self._unpassed(owner) if self._liveness.reachable(node)]
        return sorted(there, key=is_old)

    def _unpassed(self, owner: RangeDescriptor) -> list[bytes]:
        passed = self._passed.get(owner.id, set())
        return [node for node in self._others(owner) if node not in passed]

    def _others(self, owner: RangeDescriptor) -> Collection[bytes]:
        return [node for node in owner.nodes() if node != self._node_id]

    def _mine(self) -> list[RangeDescriptor]:
        ranges = self._ranges()
        return [] if ranges is None else list(ranges.of_node(self._node_id))
