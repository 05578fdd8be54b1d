"""How far all nodes are with what is being moved, gathered from each by whoever is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.protocol import codec
from folkmoot.protocol.errors import WireError
from msgspec import Struct

METHOD: Final = "move.progress"
TIMEOUT_S: Final = 2.0


class MoverStatistics(NamedTuple):
    """What a node does about the plan.

    Args:
        done: changes carried out since the start.
        left: of the plan, those that are this node's.
        running: range id → what it does about it; copies say how far they are.
        cells, cell_bytes: copied since the start, for changes of this node's.
        busy_s: seconds since the start in which something was under way.
        stuck: range id → why it could not be brought on when it was tried last.
    """

    done: int
    left: int
    running: dict[int, dict[str, Any]]
    cells: int
    cell_bytes: int
    busy_s: float
    stuck: dict[int, str]

    def to_wire(self) -> dict[str, Any]:
        """The map in a status."""
        return {
            "done": self.done,
            "left": self.left,
            "running": {str(range_id): told for range_id, told in sorted(self.running.items())},
            "cells": self.cells,
            "bytes": self.cell_bytes,
            "busy_s": round(self.busy_s, 3),
            "stuck": {str(range_id): reason for range_id, reason in sorted(self.stuck.items())},
        }


class Told(Struct):
    """The answer to `move.progress`: see `actors.mover`, and what keeps a node that leaves.

    Args:
        leftovers: the ranges of which it still has what is others'.
        leftovers_reason: why that is so; empty when it is merely not done yet.
        seat: whether it holds a seat, or does not know who does.
    """

    done: int
    left: int
    running: dict[str, dict[str, Any]]
    cells: int
    bytes: int
    stuck: dict[str, str]
    busy_s: float = 0.0
    leftovers: int = 0
    leftovers_reason: str = ""
    seat: bool = False


class Progresses:
    """See the module.

    Args:
        node_id: this node's.
        own: what it does itself.
        peers: see `contracts`.
    """

    def __init__(self, node_id: bytes, own: Callable[[], dict[str, Any]], peers: Peers) -> None:
        self._node_id = node_id
        self._own = own
        self._peers = peers

    def methods(self) -> Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {METHOD: self.answer}

    async def answer(self, asker: bytes, params: Any) -> dict[str, Any]:
        """Tell how far this node is."""
        return self._own()

    async def of(self, nodes: Sequence[bytes]) -> dict[str, dict[str, Any]]:
        """How far some nodes are, by id in hexadecimal; those that do not say are left out."""
        found: dict[str, dict[str, Any]] = {}

        async def ask(node_id: bytes) -> None:
            try:
                answer = await self._peers.call(node_id, METHOD, {}, TIMEOUT_S)
                told = codec.shaped(answer, Told, f"the result of {METHOD}")
            except (WireError, PeerUnreachable):
                return
            found[node_id.hex()] = {name: getattr(told, name) for name in told.__struct_fields__}

        async with trio.open_nursery() as nursery:
            for node_id in nodes:
                if node_id == self._node_id:
                    found[node_id.hex()] = self._own()
                else:
                    nursery.start_soon(ask, node_id)
        return found
