"""Scattering: every range of the cluster is asked about at one node that keeps it, and some may not answer.

Nobody is waited for longer than a second, and all together no longer than two: whoever does not answer has
its ranges asked of others once more, and what is then still missing is said. An answer that says what it does
not know is worth more than one that comes too late, or none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.routing import Router
from folkmoot.node.search.assigning import assigned
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap, Slot
from folkmoot.protocol.search import bounds
from msgspec import Meta

SEARCHES_AT_ONCE: Final = 64
_ROUNDS: Final = 2

_Number = Annotated[int, Meta(ge=0)]
Epochs = Annotated[list[tuple[_Number, _Number]], Meta(max_length=limits.RANGES)]
"""Ranges, each with its epoch."""
RangeIds = Annotated[list[_Number], Meta(max_length=limits.RANGES)]

Ask = Callable[[bytes, Epochs], Awaitable[Collection[int]]]
"""Asks a node about ranges, and tells which of them its answer, which was taken, is about."""

Keeps = Callable[[bytes], bool]


class Scatter:
    """See the module.

    Args:
        router: orders replicas by distance.
        peers: how to reach the others.
        ranges: the range map now.
    """

    def __init__(self, router: Router, peers: Peers, ranges: Callable[[], RangeMap]) -> None:
        self._router = router
        self._peers = peers
        self._ranges = ranges
        self._under_way = 0
        self._judged: tuple[RangeMap, dict[int, frozenset[bytes]]] | None = None

    @property
    def node_id(self) -> bytes:
        """This node's."""
        return self._router.node_id

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any]) -> Any:
        """Ask another node; see `Peers.call`."""
        return await self._peers.call(node_id, method, params, bounds.SEARCH_ASK_TIMEOUT_S)

    async def over_ranges(self, ask: Ask, failed: set[bytes]) -> set[int]:
        """Ask about all ranges, as far as that goes in time; which of them were answered for.

        Args:
            ask: see there.
            failed: who is not asked any more; grows.
        """
        covered: set[int] = set()
        ranges, readers = self._readers()
        epochs = {owner.id: owner.epoch for owner in ranges.ranges}

        async def ask_one(node_id: bytes, some: Sequence[int]) -> None:
            answered: Collection[int] = ()
            try:
                with trio.fail_after(bounds.SEARCH_ASK_TIMEOUT_S):
                    answered = await ask(node_id, [(range_id, epochs[range_id]) for range_id in some])
            except (WireError, PeerUnreachable, trio.TooSlowError):
                pass  # its ranges are asked of others, or said to be missing
            covered.update(set(answered).intersection(some))
            if not covered.issuperset(some):
                failed.add(node_id)

        with trio.move_on_after(bounds.SEARCH_TIMEOUT_S):
            for _ in range(_ROUNDS):
                left = [owner for owner in ranges.ranges if owner.id not in covered]
                whom = assigned(self._candidates(left, readers, failed), self.node_id)
                if not whom:
                    break
                if len(whom) == 1:  # of small clusters each node has it all
                    await ask_one(*whom.popitem())
                    continue
                async with trio.open_nursery() as nursery:
                    for node_id, some in whom.items():
                        nursery.start_soon(ask_one, node_id, some)
        return covered

    def _readers(self) -> tuple[RangeMap, dict[int, frozenset[bytes]]]:
        """The range map now, and from which nodes each range is read; worked out once for each map."""
        ranges = self._ranges()
        if self._judged is None or self._judged[0] is not ranges:
            readers = {owner.id: frozenset(slot.reader for slot in owner.slots) for owner in ranges.ranges}
            self._judged = ranges, readers
        return self._judged

    def _candidates(
        self, left: Iterable[RangeDescriptor], readers: Mapping[int, frozenset[bytes]], failed: set[bytes]
    ) -> dict[int, list[bytes]]:
        """Who may be asked for ranges: those they are read from, and for all it keeps this node alone."""
        own = self.node_id if self._router.counts_itself and self.node_id not in failed else None
        ordered: dict[tuple[Slot, ...], list[bytes]] = {}
        found: dict[int, list[bytes]] = {}
        for owner in left:
            if own in readers[owner.id]:
                found[owner.id] = [self.node_id]
                continue
            if (nodes := ordered.get(owner.slots)) is None:
                nodes = ordered[owner.slots] = self._router.candidates(owner.slots, failed)
            found[owner.id] = [node for node in nodes if node in readers[owner.id]]
        return found

    @asynccontextmanager
    async def answering(self, asked: Epochs) -> AsyncIterator[tuple[list[int], Keeps]]:
        """Answer for this node: which of the ranges asked about it keeps, as the asker knows them, and
        whether a key is in one of them.

        Raises:
            WireError: `busy`.
        """
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)
        if self._under_way >= SEARCHES_AT_ONCE:
            raise WireError(BUSY, "too many searches are under way on this node", retry_after_ms=250)
        (ranges, readers), epochs = self._readers(), dict(asked)
        searched = [
            owner.id
            for owner in ranges.ranges
            if epochs.get(owner.id) == owner.epoch and self.node_id in readers[owner.id]
        ]
        self._under_way += 1
        try:
            yield searched, _keeps(ranges, frozenset(searched))
        finally:
            self._under_way -= 1


def _keeps(ranges: RangeMap, searched: frozenset[int]) -> Keeps:
    if len(searched) == len(ranges.ranges):
        return lambda key: True
    return lambda key: ranges.lookup(key).id in searched
