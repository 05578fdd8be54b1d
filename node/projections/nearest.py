"""What is derived is served by a node that keeps the place it is about: this one, or the nearest there is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.routing import Router
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, WireError
from folkmoot.protocol.ring.ranges import RangeDescriptor

T = TypeVar("T")


async def from_nearest(
    router: Router,
    owner: RangeDescriptor,
    own: Callable[[], Awaitable[T]],
    ask: Callable[[bytes], Awaitable[T]],
) -> T:
    """What the first node says that can be asked.

    Args:
        router: orders replicas by distance.
        owner: the range that has the place.
        own: answers as this node.
        ask: asks another one, by its id.

    Raises:
        WireError: `level_unreachable`; `busy` when all that can be reached have yet to read the logs;
            `bad_request`, since the others would say the same.
    """
    failed: set[bytes] = set()
    busy: WireError | None = None
    for node_id in router.candidates(owner.slots):
        try:
            return await (own() if node_id == router.node_id else ask(node_id))
        except (WireError, PeerUnreachable) as error:
            failed.add(node_id)
            if isinstance(error, WireError):
                if error.kind is BAD_REQUEST:
                    raise
                busy = error if error.kind is BUSY else busy
    raise busy or router.unreachable(owner.slots, "one", failed)
