"""One opened conversation with one node: connected, proven, greeted, and authenticated if asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import trio
from folkmoot.protocol import codec, limits
from folkmoot.protocol.client.dialing import Dialler, Endpoint
from folkmoot.protocol.client.errors import ClientError, Unreachable, UntrustedNode
from folkmoot.protocol.client.link import Link, OnNotification
from folkmoot.protocol.client.link_terms import PATIENT
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.node_name import NodeName
from msgspec import Struct

VERSION_MIN: Final = 1
VERSION_MAX: Final = 1
AUTH_CONTEXT: Final = b"folkmoot-auth-v1\0"


class WelcomeNode(Struct, frozen=True):
    """The node that answered."""

    id: str
    name: str
    region: str


class Welcome(Struct, frozen=True):
    """The result of `hello`."""

    version: int
    node: WelcomeNode
    cluster: str
    features: list[str]
    limits: dict[str, int]
    challenge: bytes
    time_ms: int


class Session:
    """A link to a node that has said who it is.

    Args:
        link: running.
        welcome: what the node said.
    """

    def __init__(self, link: Link, welcome: Welcome) -> None:
        self.link = link
        self.welcome = welcome
        self._opened_s = trio.current_time()
        self._when_ended: dict[Callable[[], None], None] = {}

    def when_ended(self, call: Callable[[], None]) -> None:
        """Have something called once the link has ended; at once if it has."""
        if self.link.ended is not None:
            call()
        else:
            self._when_ended[call] = None

    def forget(self, call: Callable[[], None]) -> None:
        """Take back what was given to `when_ended`."""
        self._when_ended.pop(call, None)

    def ended(self) -> None:
        """The link has ended."""
        calls, self._when_ended = self._when_ended, {}
        for call in calls:
            call()

    @property
    def node_time_ms(self) -> int:
        """About what the node's clock shows, milliseconds since 1970."""
        return self.welcome.time_ms + int((trio.current_time() - self._opened_s) * 1000)

    @property
    def alive(self) -> bool:
        """Whether calls can still be made."""
        return self.link.ended is None

    async def authenticate(self, keypair: KeyPair, account: bytes) -> dict[str, Any]:
        """Prove to the node that we act for `account`.

        Args:
            keypair: one of the account's keys.
            account: 34 bytes.

        Returns:
            `{account, roles, expires_ms}`.

        Raises:
            WireError: the node does not believe it.
            LinkBroken: the link ended first.
        """
        signed = AUTH_CONTEXT + self.welcome.challenge + self.welcome.node.id.encode()
        params: dict[str, Any] = {"account": account, "signature": keypair.sign(signed)}
        if keypair.account != account:
            params["signer"] = keypair.account
        result: dict[str, Any] = await self.link.call("auth", params)
        return result


async def open_session(
    nursery: trio.Nursery,
    dialler: Dialler,
    endpoint: Endpoint,
    *,
    client: str,
    on_notification: OnNotification | None = None,
) -> Session:
    """Connect to a node and say hello.

    Args:
        nursery: carries the link; cancelling it ends the session.
        dialler: how to reach it.
        endpoint: where it listens.
        client: the name and version this program gives itself.
        on_notification: see `Link`.

    Raises:
        Unreachable: nobody listens there, or what does is no node.
        UntrustedNode: it is not a node of the cluster, or not the one its certificate names.
        WireError: it refuses to talk, for example `unsupported_version`; or no answer came in time.
        LinkBroken: it hung up.
    """
    try:
        with trio.fail_after(limits.HANDSHAKE_TIMEOUT_S):
            stream, proven = await dialler.dial(endpoint)
    except trio.TooSlowError as error:
        raise Unreachable(f"{endpoint}: no answer within {limits.HANDSHAKE_TIMEOUT_S} s") from error
    link = Link(stream, on_notification=on_notification, settings=PATIENT)
    opened: list[Session] = []

    async def carry() -> None:
        await link.run()
        for session in opened:
            session.ended()

    nursery.start_soon(carry)
    try:
        params = {"versions": [VERSION_MIN, VERSION_MAX], "client": client, "features": []}
        answer = await link.call("hello", params, timeout_s=limits.HELLO_TIMEOUT_S)
        welcome = codec.shaped(answer, Welcome, f"what {endpoint} answered to hello")
        _check(welcome, proven, endpoint)
    except BaseException:
        link.close()
        raise
    session = Session(link, welcome)
    opened.append(session)
    return session


def _check(welcome: Welcome, proven: NodeName | None, endpoint: Endpoint) -> None:
    if not VERSION_MIN <= welcome.version <= VERSION_MAX:
        raise ClientError(f"{endpoint} speaks version {welcome.version}; this client speaks {VERSION_MAX}")
    said = f"folkmoot:{welcome.cluster}/{welcome.node.id}"
    if proven is not None and str(proven) != said:
        raise UntrustedNode(f"{endpoint} says it is {said}, but its certificate says {proven}")
