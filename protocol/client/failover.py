"""The one open session of a client, replaced by another node's when it breaks."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final

import trio
from folkmoot.protocol.client.backoff import backoff_s
from folkmoot.protocol.client.dialing import Dialler, Endpoint
from folkmoot.protocol.client.errors import ClientError, Unreachable
from folkmoot.protocol.client.link import OnNotification
from folkmoot.protocol.client.link_terms import LinkBroken
from folkmoot.protocol.client.session import Session, open_session
from folkmoot.protocol.errors import FolkmootError, WireError
from folkmoot.protocol.identity import KeyPair

FIRST_ROUNDS: Final = 2


class Failover:
    """Opens sessions, one at a time, with whichever node answers.

    Args:
        nursery: carries the links.
        dialler: how nodes are reached.
        endpoints: their addresses; the first that answers is kept until it fails.
        client: what this program calls itself.
        random: draws the jitter of pauses.
        on_notification: see `Link`.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        dialler: Dialler,
        endpoints: Sequence[Endpoint],
        *,
        client: str,
        random: Random,
        on_notification: OnNotification | None,
    ) -> None:
        self._nursery = nursery
        self._dialler = dialler
        self._endpoints = list(endpoints)
        self._client = client
        self._random = random
        self._on_notification = on_notification
        self._session: Session | None = None
        self._opening = trio.Lock()
        self._identity: tuple[KeyPair, bytes] | None = None
        self._reasons: dict[Endpoint, FolkmootError] = {}

    async def session(self, deadline: float, *, rounds: int | None = None) -> Session:
        """The open session; a new one when it has ended.

        Args:
            deadline: on trio's clock.
            rounds: how often to try every address; None for as often as the deadline allows.

        Raises:
            Unreachable: no node answered.
            UntrustedNode: what answers at every address is not of the cluster.
            WireError: every node refuses to talk to this client, or no longer believes who it is.
        """
        if self._session is not None and self._session.alive:
            return self._session
        with trio.CancelScope(deadline=deadline):
            async with self._opening:
                if self._session is None or not self._session.alive:
                    self._session = await self._open_any(rounds)
                return self._session
        raise self._unreachable()

    async def authenticate(self, keypair: KeyPair, account: bytes, deadline: float) -> dict[str, Any]:
        """Act for an account, in this session and in those that replace it."""
        session = await self.session(deadline)
        result = await session.authenticate(keypair, account)
        self._identity = (keypair, account)
        return result

    def abandon(self, session: Session) -> None:
        """End a session that is of no use and prefer another node; many may say so of the same one."""
        session.link.close()
        if session is self._session:
            self._session = None
            self._turn()

    async def _open_any(self, rounds: int | None) -> Session:
        """Try every address in turn, with growing pauses between the rounds."""
        self._reasons.clear()
        attempt = 0
        while rounds is None or attempt < rounds:
            if attempt:
                await trio.sleep(backoff_s(attempt, self._random))
            for endpoint in tuple(self._endpoints):
                try:
                    return await self._open(endpoint)
                except (ClientError, LinkBroken, WireError) as error:
                    self._reasons[endpoint] = error
                    self._turn()
            if not any(map(_passing, self._reasons.values())):
                raise next(iter(self._reasons.values()))
            attempt += 1
        raise self._unreachable()

    async def _open(self, endpoint: Endpoint) -> Session:
        session = await open_session(
            self._nursery,
            self._dialler,
            endpoint,
            client=self._client,
            on_notification=self._on_notification,
        )
        if self._identity is not None:
            try:
                await session.authenticate(*self._identity)
            except BaseException:
                session.link.close()
                raise
        return session

    def _turn(self) -> None:
        self._endpoints.append(self._endpoints.pop(0))

    def _unreachable(self) -> Unreachable:
        reasons = []
        for endpoint in self._endpoints:
            reason = str(self._reasons.get(endpoint, "no answer in time"))
            reasons.append(reason if str(endpoint) in reason else f"{endpoint}: {reason}")
        return Unreachable(f"no node answered: {'; '.join(reasons)}")


def _passing(error: FolkmootError) -> bool:
    """Whether an address that failed so may do better later."""
    if isinstance(error, WireError):
        return error.kind.retryable
    return isinstance(error, Unreachable | LinkBroken)
