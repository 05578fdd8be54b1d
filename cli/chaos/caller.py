"""A client's conversation with real nodes: at one of them, and now and then or whenever it breaks at another.

Unlike the library's own client it tries nothing twice. Whoever asks learns of every failure, decides what to
send again, and carries the token itself, so that the history says exactly what was sent and what came back.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

import trio
from folkmoot.cli.chaos.scene import Scene
from folkmoot.node.simulation.caller import NoNode
from folkmoot.protocol.client.dialing import Dialler, Endpoint
from folkmoot.protocol.client.errors import ClientError
from folkmoot.protocol.client.session import Session, open_session
from folkmoot.protocol.errors import DISK_FULL, TIMEOUT, FolkmootError, WireError
from folkmoot.protocol.identity import KeyPair

# A frozen node answers nothing; with this patience a client is at another one soon.
DIAL_S: Final = 3.0
CALL_S: Final = 6.0
MOVE_CHANCE: Final = 0.3
NAME: Final = "folkmoot-chaos/1"


class Doors:
    """Where the nodes listen for clients, by name; one that was moved is there under its new address.

    Args:
        described: the cluster, as its supervisor describes it.
        scene: told of each call that goes wrong.
    """

    def __init__(self, described: Mapping[str, Any], scene: Scene) -> None:
        self.scene = scene
        self.random = Random("doors")  # noqa: S311  # protects nothing
        self.dialler = Dialler(Path(described["ca"]) if described["ca"] else None)
        self.endpoints: dict[str, Endpoint] = {}
        self.update(described)

    def update(self, described: Mapping[str, Any]) -> None:
        """Take in where nodes listen now."""
        for node in described["nodes"]:
            if node["address"]:
                self.endpoints[node["name"]] = Endpoint.parse(node["address"])


class Caller:
    """See the module.

    Args:
        doors: where the nodes listen.
        random: chooses among them.
        nursery: where links run.
        account: whose key is proven on every link; None to prove none.
        only: the name of the one node to ask; None for whichever.

    Attributes:
        node: the name of the node that was asked last.
    """

    def __init__(
        self,
        doors: Doors,
        random: Random,
        nursery: trio.Nursery,
        account: KeyPair | None = None,
        only: str | None = None,
    ) -> None:
        self._doors = doors
        self._random = random
        self._nursery = nursery
        self._account = account
        self._only = only
        self._session: Session | None = None
        self.node = ""

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Ask a node, and wait for the result.

        Raises:
            WireError: its error, or no answer in time.
            LinkBroken, NoNode: there was no node to ask, or it went away.
        """
        scene = self._doors.scene
        before = set(scene.in_force)
        try:
            answer = await self._call(method, params)
        except FolkmootError:
            scene.felt.update(before | scene.in_force)
            raise
        if any(_is_amiss(result) for result in answer.get("results", ())):
            scene.felt.update(before | scene.in_force)
        return answer

    async def _call(self, method: str, params: Mapping[str, Any]) -> Any:
        if self._session is not None and self._random.random() < MOVE_CHANCE:
            self.leave()
        if self._session is None or not self._session.alive:
            self._session = await self._open()
        try:
            return await self._session.link.call(method, dict(params), timeout_s=CALL_S)
        except WireError as error:
            if error.kind is TIMEOUT:
                self.leave()
            raise

    def leave(self) -> None:
        """Use another connection from now on."""
        if self._session is not None:
            self._session.link.close()
            self._session = None

    async def _open(self) -> Session:
        self.node = self._only or self._random.choice(list(self._doors.endpoints))
        endpoint = self._doors.endpoints[self.node]
        try:
            with trio.fail_after(DIAL_S):
                session = await open_session(self._nursery, self._doors.dialler, endpoint, client=NAME)
                if self._account is not None:
                    await session.authenticate(self._account, self._account.account)
                return session
        except (trio.TooSlowError, ClientError) as error:
            raise NoNode(f"{self.node} does not serve") from error


def _is_amiss(result: Mapping[str, Any]) -> bool:
    """Whether a write found no certain answer, or no room."""
    return bool(
        result["status"] == "uncertain"
        or (result["status"] == "refused" and result["error"]["name"] == DISK_FULL.name)
    )
