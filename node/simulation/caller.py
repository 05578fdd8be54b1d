"""A client's conversation with the cluster: the real link over simulated streams, at whatever node serves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from random import Random
from typing import Any

import trio
from folkmoot.node.methods import AUTH_PREFIX
from folkmoot.node.simulation.network import HostNetwork
from folkmoot.node.simulation.next_version import NEXT_VERSION
from folkmoot.node.simulation.world import SimulatedNode, World
from folkmoot.node.transport.errors import TransportError
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import PATIENT, LinkBroken
from folkmoot.protocol.errors import TIMEOUT, FolkmootError, WireError
from folkmoot.protocol.identity import KeyPair

CALL_TIMEOUT_S = 12.0
MOVE_CHANCE = 0.3


class NoNode(FolkmootError):
    """No node serves clients, or the one that was dialled does not."""


class Caller:
    """One client's connection, dialled anew at another node now and then and whenever it broke.

    Args:
        world: whose nodes are called.
        host: the client's.
        random: chooses nodes.
        nursery: where links run.
        account: whose key is proven on every link; None to prove none.

    Attributes:
        node: the name of the node that was asked last.
        preferred: the names of nodes that are dialled, if one of them serves.
    """

    def __init__(
        self,
        world: World,
        host: str,
        random: Random,
        nursery: trio.Nursery,
        account: KeyPair | None = None,
    ) -> None:
        self._world = world
        self._network: HostNetwork = world.network.boot(host, None)
        self._random = random
        self._nursery = nursery
        self._account = account
        self._link: Link | None = None
        self.node = ""
        self.preferred: Collection[str] = ()

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Ask a node, and wait for the result.

        Raises:
            WireError: its error, or no answer in time.
            LinkBroken, NoNode, TransportError: there was no node to ask, or it went away.
        """
        if self._link is not None and self._random.random() < MOVE_CHANCE:
            self.leave()
        if self._link is None or self._link.ended is not None:
            self._link = await self._dial()
        try:
            return await self._link.call(method, dict(params), timeout_s=CALL_TIMEOUT_S)
        except WireError as error:
            if error.kind is TIMEOUT:
                self.leave()
            raise

    def leave(self) -> None:
        """Use another connection from now on."""
        if self._link is not None:
            self._link.close()
            self._link = None

    async def _dial(self) -> Link:
        serving = [node for node in self._world.nodes if node.clients is not None]
        if not serving:
            raise NoNode("no node serves")
        preferred = [node for node in serving if node.name in self.preferred]
        chosen = self._random.choice(preferred or serving)
        self.node = chosen.name
        return await self.open(chosen)

    async def open(self, node: SimulatedNode) -> Link:
        """A link to one node that has said hello.

        Raises:
            WireError, LinkBroken, NoNode, TransportError: it could not be reached.
        """
        if node.clients is None:
            raise NoNode(f"{node.name} does not serve")
        stream = await self._network.dial_client(node.clients)
        link = Link(stream, settings=PATIENT)
        self._nursery.start_soon(link.run)
        try:
            offered = self._random.choice((1, NEXT_VERSION))
            hello = {"versions": [1, offered], "client": "simulation/1"}
            greeting = await link.call("hello", hello, timeout_s=CALL_TIMEOUT_S)
            self._world.versions_agreed[offered, greeting["version"]] += 1
            if self._account is not None:
                proof = AUTH_PREFIX + greeting["challenge"] + greeting["node"]["id"].encode()
                params = {"account": self._account.account, "signature": self._account.sign(proof)}
                await link.call("auth", params, timeout_s=CALL_TIMEOUT_S)
        except BaseException:
            link.close()
            raise
        return link


UNANSWERED = (LinkBroken, NoNode, TransportError)
"""Errors after which a client does not know what became of its request."""
