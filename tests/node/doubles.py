"""What stands in for the world around one actor: topologies, liveness, and peers that answer as told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import trio
from folkmoot.node.contracts import CellBatch, Joined, PeerUnreachable, Put, Settle, Tally
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.feed.pages import PackedPage
from folkmoot.protocol.key import lane_of
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from folkmoot.storage.profiles import StoredProfile

T = TypeVar("T")


class InlineExecutor:
    """Runs work where it stands, a turn later."""

    async def run(self, work: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work()

    def spent_s(self) -> float:
        return 0.0


class TickingExecutor(InlineExecutor):
    """A thread that has spent as much more each time it is asked.

    Args:
        tick_s: how much, seconds.

    Attributes:
        looks: how often it was asked.
    """

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self.looks = 0

    def spent_s(self) -> float:
        self.looks += 1
        return self.looks * self._tick_s


class Lanes:
    """A topology in which each lane of the key space is a range.

    Args:
        nodes_of_lane: the nodes of a lane, in slot order.

    Attributes:
        refreshed: who was asked for newer descriptors.
    """

    def __init__(self, nodes_of_lane: Callable[[int], tuple[bytes, ...]]) -> None:
        self._nodes_of_lane = nodes_of_lane
        self.epoch = 1
        self.refreshed: list[bytes] = []

    def where(self, key: bytes) -> RangeDescriptor:
        lane = lane_of(key)
        slots = tuple(Slot("eu", (node,)) for node in self._nodes_of_lane(lane))
        return RangeDescriptor(lane, self.epoch, b"", b"", slots)

    def region_of(self, node_id: bytes) -> str:
        return "eu"

    def is_news(self, range_id: int, epoch: int) -> bool:
        return epoch > self.epoch

    async def refresh(self, node_id: bytes) -> None:
        self.refreshed.append(node_id)
        self.epoch += 1


class Everybody:
    """A liveness by which all are alive but some.

    Args:
        gone: not to be reached.
        suspected: reachable, but suspected.
    """

    def __init__(
        self, gone: frozenset[bytes] = frozenset(), suspected: frozenset[bytes] = frozenset()
    ) -> None:
        self.gone = gone
        self.suspected = suspected

    def reachable(self, node_id: bytes) -> bool:
        return node_id not in self.gone

    def alive(self, node_id: bytes) -> bool:
        return node_id not in self.gone | self.suspected


Answer = Callable[[str, Mapping[str, Any]], Awaitable[Any]]


class ScriptedPeers:
    """Peers whose answers a test gives.

    Args:
        answers: by node id, given method and params.

    Attributes:
        calls: (node id, method) of everything asked, in order.
    """

    def __init__(self, answers: Mapping[bytes, Answer]) -> None:
        self._answers = answers
        self.calls: list[tuple[bytes, str]] = []

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        self.calls.append((node_id, method))
        with trio.move_on_after(timeout_s):
            return await self._answers[node_id](method, params)
        raise PeerUnreachable(f"no answer within {timeout_s} s")


class NoReplication:
    """Joined cells are not passed on."""

    def offer(self, node_id: bytes, batch: CellBatch, tally: Tally) -> list[CellBatch]:
        raise AssertionError("a joined cell is not passed on")

    async def offer_late(self, node_id: bytes, part: CellBatch, tally: Tally) -> None:
        raise AssertionError("a joined cell is not passed on")

    def send(self) -> None:
        """Nothing was offered."""


class Unasked:
    """This node's replica in a cluster in which it has no slot."""

    async def put(self, puts: Sequence[Put], level: Level, region: str, settle: Settle) -> None:
        raise AssertionError("this node has no slot")

    async def join(self, batch: CellBatch) -> Joined:
        raise AssertionError("this node has no slot")

    async def join_all(self, batches: Sequence[CellBatch]) -> list[Joined | WireError]:
        raise AssertionError("this node has no slot")

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        raise AssertionError("this node has no slot")

    def labels(self, key: bytes) -> list[bytes]:
        raise AssertionError("this node has no slot")

    def profile(self, account: bytes) -> StoredProfile:
        raise AssertionError("this node has no slot")

    def page(self, place: bytes, before: bytes | None, limit: int) -> PackedPage:
        raise AssertionError("this node has no slot")


def everyone(node_id: bytes) -> bool:
    """Every node fills its slots."""
    return True


class Counting:
    """A standing by which this node and all others count.

    Attributes:
        counted: whether this one does.
        excluded: of the others, who does not.
    """

    def __init__(self) -> None:
        self.counted = True
        self.excluded: set[bytes] = set()
        self.mark = [1, 1]

    def signed(self, result: dict[str, Any]) -> dict[str, Any]:
        return {**result, "mark": self.mark}

    def acknowledged(self, node_id: bytes, joined: Joined) -> bool:
        return joined.counted and node_id not in self.excluded
