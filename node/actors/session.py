"""A session is one client's connection: it opens with `hello`, may prove who it is, and asks.

A `record.put` is handed to the intake, which carries the puts of all sessions together; some reads are
answered at once. Other methods run as a task each. The link bounds what is in flight; more than that it
answers `busy`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import trio
from folkmoot.node.contracts import Origin, PutRequest
from folkmoot.node.rpc import Packed, TaskServer, wire_error
from folkmoot.node.transport.admission import origin_of
from folkmoot.node.transport.interface import Accepted
from folkmoot.protocol import codec, limits
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.output_budget import OutputBudget
from folkmoot.protocol.connection import Params, Request
from folkmoot.protocol.errors import BAD_REQUEST, SHUTTING_DOWN, UNKNOWN_METHOD, WireError
from folkmoot.protocol.messages import RecordPut
from folkmoot.protocol.ring.levels import parse_level
from folkmoot.protocol.token import Token

PUT = "record.put"
HELLO = "hello"
ANSWERED_ALWAYS: Final = frozenset({"ping", "auth", "cluster.status"})
"""What tells operators why a node does not serve, and is answered even then."""

_NO_TOKEN: Final = Token()


@dataclass(slots=True)
class Asker:
    """What a session knows of who is asking.

    Args:
        address: whose quota pays: an IPv4 address, or an IPv6 network of 64 bits.
        challenge: 32 random bytes of this connection.
        opened: whether `hello` has been answered.
        account, device: proven by `auth`, and the key that did it; None.
        roles: of that account.
        expires_ms: when the proof ends, by this node's clock.
        is_private: whether nobody on the way can read along.
    """

    address: str
    challenge: bytes
    opened: bool = False
    account: bytes | None = None
    device: bytes | None = None
    roles: frozenset[str] = field(default_factory=frozenset)
    expires_ms: int = 0
    is_private: bool = False

    def expire(self, now_ms: int) -> None:
        """Forget a proof whose time is over."""
        if self.account is not None and now_ms >= self.expires_ms:
            self.account, self.roles = None, frozenset()

    @property
    def origin(self) -> Origin:
        return Origin(self.address, exempt="operator" in self.roles)


Hello = Callable[[Asker, Params], dict[str, Any]]
Immediate = Callable[[Asker, Params], Packed | None]
Method = Callable[[Asker, Params], Awaitable[Any]]


class Streams(Protocol):
    """Makes what a session can ask for that goes on after the answer."""

    def open(self, link: Link, nursery: trio.Nursery) -> Mapping[str, Method]:
        """Methods by name, for one session.

        Args:
            link: takes the notifications.
            nursery: where they are sent; ends with the session. Nothing that is started there may raise.
        """
        ...


class PutIntake(Protocol):
    """Takes in records; see `intake`."""

    def submit(self, request: PutRequest) -> None: ...


@dataclass(frozen=True, slots=True)
class Offer:
    """What sessions offer.

    Args:
        hello: answers the first request.
        immediate: methods to be tried first without a task, by name; None sends them on to `methods`.
        methods: the methods of the contract but for `hello` and `record.put`, by name.
        intake: where puts go.
        now_ms: the wall clock, by which proofs of accounts expire.
        refusal: why this node serves nobody, if it does not.
        streams: further methods, for each session its own; None for none.
    """

    hello: Hello
    immediate: Mapping[str, Immediate]
    methods: Mapping[str, Method]
    intake: PutIntake
    now_ms: Callable[[], int]
    refusal: Callable[[], WireError | None]
    streams: Streams | None = None


class Sessions:
    """Serves every client connection.

    Args:
        offer: what they are offered.
        challenge: draws 32 random bytes.
    """

    def __init__(self, offer: Offer, challenge: Callable[[], bytes]) -> None:
        self._offer = offer
        self._challenge = challenge
        self._output = OutputBudget(limits.OUTPUT_CLIENTS_BYTES, limits.OUTPUT_CLIENT_BYTES)
        self._links: dict[Link, Asker] = {}
        self._leaving: WireError | None = None
        self._emptied = trio.Event()

    @property
    def open_count(self) -> int:
        """Connections now being served."""
        return len(self._links)

    async def serve(self, accepted: Accepted) -> None:
        """Serve one connection until it ends."""
        asker = Asker(origin_of(accepted.remote.host), self._challenge(), is_private=accepted.is_private)
        async with trio.open_nursery() as nursery:
            session = _Session(asker, self._offer, nursery)
            link = Link(accepted.stream, on_requests=session.on_requests, budget=self._output)
            self._links[link] = asker
            if self._leaving is not None:  # its handshake took until after the others were told
                link.leave(self._leaving)
            try:
                await link.run()
            finally:
                del self._links[link]
                if not self._links:
                    self._emptied.set()
                    self._emptied = trio.Event()
            nursery.cancel_scope.cancel()

    def look_at_roles(self, roles_of: Callable[[bytes], Iterable[str]]) -> None:
        """Take from those who have proven an account what roles it has no more; new ones need a new proof."""
        for asker in self._links.values():
            if asker.account is not None:
                asker.roles &= frozenset(roles_of(asker.account))

    def forget_revoked(self, account: bytes, keys: Collection[bytes]) -> None:
        """Let go those who proved an account by a key that is none of its `keys` any more."""
        for asker in self._links.values():
            if asker.account == account and asker.device not in keys:
                asker.account, asker.device, asker.roles = None, None, frozenset()

    async def wait_empty(self) -> None:
        """Wait until no connection is being served."""
        while self._links:
            await self._emptied.wait()

    def say_goodbye(self) -> None:
        """Tell every client that this node is shutting down, once what it asked is answered.

        Who comes later is told at once.
        """
        self._leaving = WireError(SHUTTING_DOWN, "this node is shutting down", retry_after_ms=1000)
        for link in list(self._links):
            link.leave(self._leaving)


class _Session:
    def __init__(self, asker: Asker, offer: Offer, nursery: trio.Nursery) -> None:
        self._asker = asker
        self._offer = offer
        self._nursery = nursery
        self._tasks = TaskServer(nursery, self._handle)
        self._streams: Mapping[str, Method] | None = None

    def on_requests(self, link: Link, requests: list[Request]) -> None:
        """Answer or start answering everything one read brought."""
        self._asker.expire(self._offer.now_ms())
        refusal = self._offer.refusal()
        for request in requests:
            if request.method == HELLO:
                self._open(link, request)
            elif refusal is not None and request.method not in ANSWERED_ALWAYS:
                link.refuse(request.msgid, refusal)
            elif request.method == PUT and self._asker.opened:
                self._put(link, request)
            elif not self._answer_now(link, request):
                self._nursery.start_soon(self._tasks.answer, link, request)

    def _answer_now(self, link: Link, request: Request) -> bool:
        """Answer without a task where that is possible."""
        immediate = self._offer.immediate.get(request.method)
        if immediate is None or not self._asker.opened:
            return False
        try:
            result = immediate(self._asker, request.params)
        except Exception as error:
            link.refuse(request.msgid, wire_error(error, request.method))
            return True
        if result is None:
            return False
        link.respond_packed(request.msgid, result.data)
        return True

    def _open(self, link: Link, request: Request) -> None:
        """Answer `hello` at once: what follows it in the same read may rely on it having been heard."""
        try:
            result = self._offer.hello(self._asker, request.params)
        except WireError as error:
            link.refuse(request.msgid, error)
        else:
            self._asker.opened = True
            link.respond(request.msgid, result)

    def _put(self, link: Link, request: Request) -> None:
        """Hand a put to the intake, which answers when it has its result."""

        def answer(answer: dict[str, Any] | WireError) -> None:
            if isinstance(answer, WireError):
                link.refuse(request.msgid, answer)
            else:
                link.respond(request.msgid, answer)

        try:
            put = codec.shaped(request.params, RecordPut, PUT)
            token = Token.decode(put.token, self._offer.now_ms()) if put.token else _NO_TOKEN
            self._offer.intake.submit(
                PutRequest(
                    put.records, parse_level(put.level), token, self._asker.origin, answer, link.outbox
                )
            )
        except WireError as error:
            link.refuse(request.msgid, error)

    async def _handle(self, link: Link, method: str, params: Params) -> Any:
        if not self._asker.opened:
            raise WireError(BAD_REQUEST, "the first request is hello")
        handler = self._offer.methods.get(method) or self._stream(link, method)
        if handler is None:
            raise WireError(UNKNOWN_METHOD, f"this node has no method {method[:64]!r}")
        return await handler(self._asker, params)

    def _stream(self, link: Link, method: str) -> Method | None:
        if self._streams is None:
            streams = self._offer.streams
            self._streams = {} if streams is None else streams.open(link, self._nursery)
        return self._streams.get(method)
