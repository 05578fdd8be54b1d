"""Following: one live stream that goes on over broken connections, restarted and lost nodes.

The stream is opened anew, with whichever node answers, from the cursor that came last. What is told again
then is left out (see `seen`), and what was there before it began (see `beginning`); a stretch that may be
missing is told. A connection on which nothing is heard for longer than the node's heartbeats allow is
dropped, and dialled anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final, NamedTuple, Protocol

import trio
from folkmoot.protocol import codec, limits
from folkmoot.protocol.client.backoff import backoff_s
from folkmoot.protocol.client.beginning import Beginning
from folkmoot.protocol.client.link import Link, OnNotification
from folkmoot.protocol.client.link_terms import LinkBroken, NoAnswer, Reply, result_of
from folkmoot.protocol.client.seen import Seen
from folkmoot.protocol.client.session import Session
from folkmoot.protocol.connection import LocalProtocolError, Notification, Params
from folkmoot.protocol.errors import BAD_REQUEST, INTERNAL, WireError
from folkmoot.protocol.feed.following import EVENT
from folkmoot.protocol.record import Record
from msgspec import Struct

CREDIT: Final = 256
HEARTBEATS_MISSED: Final = 3  # after which nobody is there any more


class Gap(Struct, frozen=True, rename={"begin_ms": "from", "end_ms": "to"}):
    """A stretch of a stream of which nobody knows whether all of it was told.

    Args:
        begin_ms, end_ms: milliseconds since 1970, by a node's clock; 0 for a beginning that is not known.
        reason: `not_proven`, `damaged` or `split`; see the contract.
        range: the other range, of a split.
    """

    begin_ms: int
    end_ms: int
    reason: str
    range: int | None = None


class Event(NamedTuple):
    """Something a stream told.

    Attributes:
        cursor: after which a stream goes on that is opened later, by another program perhaps.
        items: `{record, labels, counts}` each, what changed last at the end; a deletion is one, too. In the
            place of a post that the node could ask nobody for stands `{gap: {author, item, reason}}`.
        gap: what may be missing before all that follows; then there are no items.
    """

    cursor: bytes
    items: list[dict[str, Any]]
    gap: Gap | None = None


class _Told(Struct):
    """The map of a `feed.event`."""

    subscription: int
    cursor: bytes | None = None
    items: list[dict[str, Any]] | None = None
    gap: Gap | None = None
    heartbeat: bool = False
    error: dict[str, Any] | None = None


class _Begun(Struct):
    """The result of `feed.follow`."""

    subscription: int
    cursor: bytes | None = None


class Sessions(Protocol):
    """Opens sessions; see `failover`."""

    async def session(self, deadline: float) -> Session: ...

    def abandon(self, session: Session) -> None: ...


Hear = Callable[[_Told], None]


class Events:
    """Hands each `feed.event` to the stream it belongs to, and all else to whoever asked for notifications.

    Args:
        others: takes the rest; None drops it.
    """

    def __init__(self, others: OnNotification | None = None) -> None:
        self._others = others
        self._streams: dict[tuple[Link, int], Hear] = {}

    def add(self, link: Link, subscription: int, hear: Hear) -> None:
        """Have a stream hear what is told on a link under a number."""
        self._streams[link, subscription] = hear

    def remove(self, link: Link, subscription: int) -> None:
        """The stream has ended."""
        self._streams.pop((link, subscription), None)

    def heard(self, link: Link, notification: Notification) -> None:
        """See `Link`."""
        if notification.method == EVENT:
            told = _told(notification.params)
            if (hear := self._streams.get((link, told.subscription))) is not None:
                hear(told)
                return
        if self._others is not None:
            self._others(link, notification)


class Follow:
    """An asynchronous iterator over what a stream tells; made by `Client.follow`.

    When no node can be reached it raises, and goes on from where it was when it is asked again.

    Args:
        sessions: opens sessions.
        events: hands over what is told.
        what: what is followed.
        credit: how many items may be on their way.
        cursor: after which to begin; None for now.
        since_ms: without a cursor: with what came at this time or later.
        deadline_s: for a node to be found, each time; and for one that tells something, when those that are
            found cannot.
        silence_s: after which a silent connection is dropped; None for what the node's heartbeats allow.
        random: draws the jitter of pauses.

    Attributes:
        cursor: after the last event that was given out; of a stream that is idle, later.
    """

    def __init__(
        self,
        sessions: Sessions,
        events: Events,
        what: Mapping[str, Any],
        *,
        credit: int,
        cursor: bytes | None,
        since_ms: int | None,
        deadline_s: float,
        silence_s: float | None,
        random: Random,
    ) -> None:
        self.cursor = cursor
        self._sessions = sessions
        self._events = events
        self._what = dict(what)
        self._window = min(max(credit, 1), limits.FOLLOW_CREDIT)
        self._since_ms = since_ms
        self._beginning = Beginning(what, since_ms, known=cursor is None)
        self._deadline_s = deadline_s
        self._silence_s = silence_s
        self._random = random
        self._seen = Seen()
        self._queue: deque[tuple[Event, bool]] = deque()  # and whether it was told after a break
        self._goes_on = False
        self._received = cursor  # what the next stream begins after
        self._owed = 0  # items that were given out since credit was granted last
        self._failures = 0
        self._failing_since = 0.0
        self._session: Session | None = None
        self._subscription: int | None = None
        self._ended: WireError | None = None
        self._heard = trio.Event()

    def __aiter__(self) -> Follow:
        return self

    async def __anext__(self) -> Event:
        """The next event.

        Raises:
            Unreachable: no node answered in time.
            WireError: this cannot be followed; or no node that was found could tell anything.
        """
        while True:
            while self._queue:
                event = self._news(*self._queue.popleft())
                self._grant()
                if event is not None:
                    return event
            if self._session is None:
                await self._open()
            else:
                await self._wait(self._session)

    async def aclose(self) -> None:
        """End the stream; what was not given out yet is dropped."""
        session, subscription = self._session, self._subscription
        self._forget()
        self._queue.clear()
        if session is not None and subscription is not None:
            _say(session, "feed.unfollow", {"subscription": subscription})
        await trio.lowlevel.checkpoint()

    def _news(self, event: Event, goes_on: bool) -> Event | None:
        """What of an event has not been given out yet; None when nothing is left.

        Args:
            event: that was told.
            goes_on: whether the stream was opened anew before.

        Raises:
            WireError: it has no records in it.
        """
        self._owed += len(event.items)
        self.cursor = event.cursor
        items = [item for item in event.items if "gap" in item or self._is_news(item, goes_on)]
        return event._replace(items=items) if items or event.gap is not None else None

    def _is_news(self, item: Mapping[str, Any], goes_on: bool) -> bool:
        record = Record.from_wire(item.get("record"))
        return not (goes_on and self._beginning.was_before(item, record)) and self._seen.is_news(record)

    def _grant(self) -> None:
        """Give credit back for what was given out, when that is half of it."""
        if self._owed * 2 < self._window or self._session is None:
            return
        credit, self._owed = self._owed, 0
        _say(self._session, "feed.credit", {"subscription": self._subscription, "credit": credit})

    async def _open(self) -> None:
        """Have some node begin the stream, after the last cursor."""
        if self._failures:
            await trio.sleep(backoff_s(self._failures, self._random))
        session = await self._sessions.session(trio.current_time() + self._deadline_s)
        params: Params = {"what": self._what, "credit": self._window}
        if self._received is not None:
            params["cursor"] = self._received
        elif self._since_ms is not None:
            params["since_ms"] = self._since_ms
        self._owed, self._ended, self._heard = 0, None, trio.Event()
        self._goes_on = self._received is not None
        asked_ms = session.node_time_ms
        try:
            begun = await self._begin(session, params)
        except (LinkBroken, WireError) as error:
            self._failed(session, error)
            return
        self._session = session
        self._beginning.note(asked_ms)
        if self._received is None:
            self._received = self.cursor = begun.cursor

    async def _begin(self, session: Session, params: Params) -> _Begun:
        """Ask for the stream, and hear it from its very first event on."""
        replies: list[Reply] = []
        answered = trio.Event()

        def on_reply(reply: Reply) -> None:
            # Events may come in the same read as the answer, and are handed over before any task runs.
            replies.append(reply)
            answered.set()
            number = getattr(reply, "result", None)
            if isinstance(number, dict) and isinstance(number.get("subscription"), int):
                self._subscription = number["subscription"]
                self._events.add(session.link, self._subscription, self._hear)

        with trio.move_on_after(self._deadline_s):
            await session.link.wait_room()
            msgid = session.link.submit("feed.follow", params, on_reply)
            try:
                await answered.wait()
            finally:
                session.link.forget(msgid)
        if not replies:
            raise NoAnswer("feed.follow", self._deadline_s)
        session.when_ended(self._heard_of_the_end)
        return codec.shaped(result_of(replies[0]), _Begun, "the answer to feed.follow")

    def _hear(self, told: _Told) -> None:
        """Something was told. Items are bounded by the credit that was given; of the rest there is little."""
        self._heard.set()
        if told.error is not None:
            self._ended = WireError.from_wire(told.error)
            return
        if told.cursor is None:
            self._ended = WireError(BAD_REQUEST, "an event without a cursor")
            return
        self._failures = 0
        self._received = told.cursor
        if told.gap is not None:
            self._queue.append((Event(told.cursor, [], told.gap), self._goes_on))
        elif told.items:
            self._queue.append((Event(told.cursor, told.items), self._goes_on))
        elif not self._queue:
            self.cursor = told.cursor
        if told.heartbeat and self._session is not None:
            _say(self._session, "ping", {})  # a client that only listens would be taken for a dead one

    def _heard_of_the_end(self) -> None:
        self._heard.set()

    async def _wait(self, session: Session) -> None:
        """Wait until something is heard; give up a session of which nothing more will come."""
        silent = False
        if session.alive and self._ended is None:
            with trio.move_on_after(self._patience_s(session)) as patience:
                await self._heard.wait()
            silent = patience.cancelled_caught
            self._heard = trio.Event()
        if self._queue:
            return
        if self._ended is not None:
            self._failed(session, self._ended)
        elif silent or not session.alive:
            self._give_up(session)

    def _patience_s(self, session: Session) -> float:
        if self._silence_s is not None:
            return self._silence_s
        heartbeat_ms = session.welcome.limits.get("follow_heartbeat_ms", 0)
        return HEARTBEATS_MISSED * (heartbeat_ms / 1000 if heartbeat_ms > 0 else limits.FOLLOW_HEARTBEAT_S)

    def _failed(self, session: Session, error: LinkBroken | WireError) -> None:
        """A node could not, or would not, tell: try the next one, unless that is of no use.

        Raises:
            WireError, LinkBroken: it is of no use.
        """
        passing = isinstance(error, LinkBroken) or error.kind.retryable or error.kind is INTERNAL
        self._give_up(session)
        if not passing or trio.current_time() >= self._failing_since + self._deadline_s:
            self._failures = 0
            raise error

    def _give_up(self, session: Session) -> None:
        """Be without a stream, and prefer another node for the next one."""
        self._forget()
        self._sessions.abandon(session)
        if not self._failures:
            self._failing_since = trio.current_time()
        self._failures += 1

    def _forget(self) -> None:
        """Be without a stream."""
        if self._session is not None:
            self._session.forget(self._heard_of_the_end)
            if self._subscription is not None:
                self._events.remove(self._session.link, self._subscription)
        self._session = self._subscription = None


def _say(session: Session, method: str, params: Params) -> None:
    """Ask something whose answer does not matter; if there is no room, or nobody, it is left out."""
    if session.link.has_room:
        try:
            session.link.submit(method, params, lambda reply: None)
        except (LinkBroken, LocalProtocolError):
            return


def _told(params: Params) -> _Told:
    """What an event says; if it is none, the end of its stream."""
    try:
        return codec.shaped(params, _Told, EVENT)
    except WireError as error:
        number = params.get("subscription")
        return _Told(number if type(number) is int else -1, error=error.to_wire())
