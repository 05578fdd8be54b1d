"""`gossip.push_pull` between nodes: comparisons of views carried over peer links, both ways.

The link proves who is at its other end, and what is carried says who speaks; where the two differ, or where
an answer is none, the comparison has failed. So the membership may take what arrives here as the word of the
node that is named in it, which no datagram can be taken for.

An answer also tells the time of who gives it, beside what it carries: by that nodes notice that their own
clock strays (see `gossip.clocks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Protocol

import trio
from folkmoot.node.environment import WallClock
from folkmoot.node.joining.seeds import Joining
from folkmoot.node.peer_clocks import PeerClocks
from folkmoot.node.transport.interface import Address
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.gossip import push_pull
from folkmoot.protocol.gossip.push_pull import Answer, Request
from msgspec import Meta, Struct

PUSH_PULL: Final = "gossip.push_pull"


class Links(Protocol):
    """How other nodes are asked."""

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any: ...

    async def call_address(
        self, address: Address, method: str, params: Mapping[str, Any], timeout_s: float
    ) -> tuple[bytes, Any]: ...


class Membership(Protocol):
    """Who compares."""

    def address_of(self, node_id: bytes) -> Address | None: ...

    async def handle_push_pull(self, request: Request) -> bytes: ...


class _Asked(Struct):
    """The params: the encoded request."""

    payload: bytes


class _Answered(Struct):
    """The result: the encoded answer, and the wall clock of who answers, in microseconds since 1970."""

    payload: bytes
    time_us: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)] | None = None


class PushPulls:
    """See the module.

    Args:
        links: how other nodes are asked.
        joining: hears how asking a seed fails.
        wall: this node's clock.

    Attributes:
        clocks: how that compares with what answers tell.
    """

    _membership: Membership

    def __init__(self, links: Links, joining: Joining, wall: WallClock) -> None:
        self._links = links
        self._joining = joining
        self.clocks = PeerClocks(wall)

    def follow(self, membership: Membership) -> None:
        """Say, before any is carried, who compares."""
        self._membership = membership

    async def ask(self, address: Address, node_id: bytes | None, payload: bytes) -> Answer:
        """Carry an encoded request to `node_id` (None: whoever is at `address`) and return the answer.

        Raises:
            FolkmootError: there is none, or it is malformed, or it is in another node's name.
        """
        params, timeout_s = {"payload": payload}, limits.REQUEST_TIMEOUT_S
        asked_s = trio.current_time()
        if node_id is None or self._membership.address_of(node_id) != address:
            with self._joining.asking(address):
                there, result = await self._links.call_address(address, PUSH_PULL, params, timeout_s)
        else:
            there, result = node_id, await self._links.call(node_id, PUSH_PULL, params, timeout_s)
        told = codec.shaped(result, _Answered, f"the answer to {PUSH_PULL}")
        answer = push_pull.decode_answer(told.payload)
        _check_speaker(answer.node_id, there)
        if told.time_us is not None:
            self.clocks.heard(there, told.time_us, asked_s)
        return answer

    async def answer(self, node_id: bytes, params: Any) -> dict[str, Any]:
        """Answer `node_id` (16 bytes), whom the link has proven.

        Raises:
            WireError: `bad_request` and its kin for what is not a request of that node; `busy`.
        """
        request = push_pull.decode_request(codec.shaped(params, _Asked, PUSH_PULL).payload)
        _check_speaker(request.node_id, node_id)
        answer = await self._membership.handle_push_pull(request)
        return {"payload": answer, "time_us": self.clocks.now_us()}


def _check_speaker(named: bytes, proven: bytes) -> None:
    if named != proven:
        raise WireError(
            BAD_REQUEST, f"node {proven.hex()} spoke in a comparison of views as if it were {named.hex()}"
        )
