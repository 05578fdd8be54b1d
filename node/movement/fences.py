"""The fence: nothing under an older epoch of a range is acknowledged here any more.

A slot may only move on when two epochs can never both form quorums. So whoever moves it asks enough nodes to
put up a fence, which is kept once three things hold: the newer descriptor is durable, so that a restart does
not take the fence down; it is in force, so that what arrives under an older epoch is refused; and what had
been let in before is committed or refused, because epochs are looked at once more in the commit itself (see
`replica`). The last is had by waiting for one more commit, which ends after all that were under way.

Source: the joint configurations of D. Ongaro, J. Ousterhout, "In Search of an Understandable Consensus
Algorithm" (2014), section 6; leases replaced by durable epochs, as no clock is trusted here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Protocol

from folkmoot.node.commits import Commits
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import STALE_TOPOLOGY, WireError
from folkmoot.protocol.ring.ranges import RangeId, RangeMap
from folkmoot.protocol.ring.roster import Epoch
from folkmoot.storage.errors import StorageError
from folkmoot.storage.transaction import Admission, WriteTransaction
from msgspec import Meta, Struct

METHOD: Final = "range.fence"


class _Fence(Struct):
    """`range.fence`: (range id, the epoch below which nothing is to be acknowledged)."""

    ranges: Annotated[list[tuple[RangeId, Epoch]], Meta(min_length=1, max_length=limits.RANGES)]


class _Fenced(Struct):
    ranges: list[tuple[int, int]]


class Ranges(Protocol):
    """The ranges, as far as they are known here."""

    @property
    def ranges(self) -> RangeMap | None: ...

    async def refresh(self, node_id: bytes) -> None:
        """Take what a peer knows of the topology and this node does not."""
        ...


class Fences:
    """Puts up fences here, and asks for them elsewhere.

    Args:
        node_id: this node's.
        topology: whose epochs are in force here.
        commits: the store.
        peers: see `contracts`.
    """

    def __init__(
        self,
        node_id: bytes,
        topology: Ranges,
        commits: Commits,
        peers: Peers,
    ) -> None:
        self._node_id = node_id
        self._topology = topology
        self._commits = commits
        self._peers = peers

    def methods(self) -> Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {METHOD: self.answer}

    async def answer(self, asker: bytes, params: Any) -> dict[str, Any]:
        """Put up the fences a peer asks for; answers with the epochs from which on this node acknowledges.

        Raises:
            WireError: `stale_topology`, when this node does not know so new an epoch and did not learn it
                from the asker.
        """
        wanted = codec.shaped(params, _Fence, METHOD).ranges
        if self._behind(wanted):
            await self._topology.refresh(asker)
        if behind := self._behind(wanted):
            range_id, epoch = behind[0]
            raise WireError(
                STALE_TOPOLOGY,
                f"this node has not learned epoch {epoch} of range {range_id}",
                retry_after_ms=500,
                details={"range": range_id, "epoch": self._epoch(range_id)},
            )
        await self._commits.run(_nothing, Admission.ESSENTIAL)
        return {"ranges": [[range_id, self._epoch(range_id)] for range_id, _ in wanted]}

    async def ask(self, node_id: bytes, range_id: int, epoch: int) -> bool:
        """Whether `node_id`, which may be this node, has its fence up for a range below `epoch`."""
        params = {"ranges": [[range_id, epoch]]}
        try:
            if node_id == self._node_id:
                answer: Any = await self.answer(node_id, params)
            else:
                answer = await self._peers.call(node_id, METHOD, params, limits.REQUEST_TIMEOUT_S)
            fenced = codec.shaped(answer, _Fenced, f"the result of {METHOD}")
        except (WireError, PeerUnreachable, StorageError):
            return False
        return dict(fenced.ranges).get(range_id, 0) >= epoch

    def _behind(self, wanted: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return [(range_id, epoch) for range_id, epoch in wanted if self._epoch(range_id) < epoch]

    def _epoch(self, range_id: int) -> int:
        ranges = self._topology.ranges
        descriptor = None if ranges is None else ranges.get(range_id)
        return 0 if descriptor is None else descriptor.epoch


def _nothing(transaction: WriteTransaction) -> None:
    """A commit is all that is wanted."""
