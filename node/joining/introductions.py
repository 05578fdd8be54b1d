"""Introductions: a node that is to become a member says who it is.

What stands on the roster comes from the node itself over its authenticated link, and not from gossip, which
carries neither its service account nor its capacity.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import NOT_FOUND, WireError
from folkmoot.protocol.ring.errors import blame_peer
from folkmoot.protocol.ring.roster import CAPACITY_STEPS, RosterNode, Slug
from msgspec import Struct

METHOD: Final = "node.introduce"


class _Introduced(Struct):
    """The answer to `node.introduce`; the capacity in thousandths."""

    name: Slug
    region: Slug
    capacity: int
    service: bytes


class Introductions:
    """See the module.

    Args:
        own: this node, as it would stand on the roster.
        peers: see `contracts`.
    """

    def __init__(self, own: RosterNode, peers: Peers) -> None:
        self._own = own
        self._peers = peers

    def methods(self) -> Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {METHOD: self.answer}

    async def answer(self, asker: bytes, params: Any) -> dict[str, Any]:
        """Say who this node is."""
        wire = self._own.to_wire()
        return {name: wire[name] for name in ("name", "region", "capacity", "service")}

    async def ask(self, node_id: bytes, timeout_s: float = limits.REQUEST_TIMEOUT_S) -> RosterNode:
        """A node as it should stand on the roster.

        Args:
            node_id: of the node.
            timeout_s: how long it may take to answer, in seconds.

        Raises:
            WireError: `not_found`, when it does not answer; `bad_request`, when what it says makes no member.
        """
        if node_id == self._own.node_id:
            return self._own
        try:
            answer = await self._peers.call(node_id, METHOD, {}, timeout_s)
        except PeerUnreachable as error:
            raise WireError(
                NOT_FOUND,
                f"node {node_id.hex()} does not answer: it has to run, with nodes of this cluster as seeds",
            ) from error
        told = codec.shaped(answer, _Introduced, f"the result of {METHOD}")
        with blame_peer():
            return RosterNode(node_id, told.name, told.region, told.capacity / CAPACITY_STEPS, told.service)
