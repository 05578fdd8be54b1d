"""The live streams of clients: `feed.follow`, `feed.credit` and `feed.unfollow`, and a task for each stream.

A stream reads no more than it has credit for, and only while its connection has room for more; it holds one
batch at most. Who reads slowly is left behind in the log, not in memory. A stream that cannot be read from
anywhere for a while ends with the reason; the client may go on from its cursor, here or at another node.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import trio
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.live.contracts import Opens, Subject
from folkmoot.node.rpc import wire_error
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, NOT_FOUND, UNKNOWN_METHOD, WireError
from folkmoot.protocol.feed import cursor as cursors
from folkmoot.protocol.feed.following import EVENT, Batch, Following, Told, pack_end, pack_event

FOLLOW: Final = "feed.follow"

PAUSE_S: Final = 0.2


class Subscriptions:
    """The streams of all sessions.

    Args:
        opens: what can be followed.
        heartbeat_s: of nothing to tell, after which a stream says that it is alive.
    """

    def __init__(self, opens: Opens, heartbeat_s: float = limits.FOLLOW_HEARTBEAT_S) -> None:
        self.opens = opens
        self.heartbeat_s = heartbeat_s
        self.count = 0

    def open(self, link: Link, nursery: trio.Nursery) -> Mapping[str, Method]:
        """See `actors.session.Streams`."""
        return _OfSession(self, link, nursery).client_methods()


class _OfSession:
    """The streams of one session."""

    def __init__(self, all_of_them: Subscriptions, link: Link, nursery: trio.Nursery) -> None:
        self._all = all_of_them
        self._link = link
        self._nursery = nursery
        self._streams: dict[int, _Stream] = {}
        self._opening = 0
        self._last = 0

    def client_methods(self) -> Mapping[str, Method]:
        return {"feed.follow": self._follow, "feed.credit": self._credit, "feed.unfollow": self._unfollow}

    async def _follow(self, asker: Asker, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, messages.FeedFollow, FOLLOW)
        if len(self._streams) + self._opening >= limits.FOLLOW_SUBSCRIPTIONS:
            raise WireError(BUSY, f"this connection has {limits.FOLLOW_SUBSCRIPTIONS} subscriptions already")
        if self._all.count >= limits.FOLLOW_SUBSCRIPTIONS_OF_ALL:
            raise WireError(BUSY, "this node has all the subscriptions it can carry", retry_after_ms=5000)
        self._opening += 1  # others may be asked for while this one's source is found
        try:
            subject = await self._subject(asker, asked.what)
            try:
                place = await _place(subject, asked)
                core = Following(place, asked.credit, trio.current_time(), self._all.heartbeat_s)
            except BaseException:
                subject.source.close()
                raise
        finally:
            self._opening -= 1
        self._last += 1
        stream = self._streams[self._last] = _Stream(self._last, subject, core, self._link)
        self._all.count += 1
        # The answer is on its way before the task first runs: nothing is waited for in between.
        self._nursery.start_soon(self._carry, stream)
        return {"subscription": stream.number, "cursor": stream.cursor(place)}

    async def _credit(self, asker: Asker, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, messages.FeedCredit, "feed.credit")
        stream = self._stream(asked.subscription)
        stream.grant(asked.credit)
        return {"credit": stream.core.credit}

    async def _unfollow(self, asker: Asker, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, messages.FeedUnfollow, "feed.unfollow")
        self._stream(asked.subscription).scope.cancel()
        return {}

    def _stream(self, number: int) -> _Stream:
        stream = self._streams.get(number)
        if stream is None:
            raise WireError(NOT_FOUND, f"this connection has no subscription {number}: it has ended")
        return stream

    async def _subject(self, asker: Asker, what: messages.What) -> Subject:
        asked = {name: value for name in what.__struct_fields__ if (value := getattr(what, name)) is not None}
        if len(asked) != 1:
            raise WireError(BAD_REQUEST, f"{FOLLOW}: what is one of {', '.join(what.__struct_fields__)}")
        [(name, value)] = asked.items()
        if name not in self._all.opens:
            raise WireError(UNKNOWN_METHOD, f"this node has no streams of what: {name}")
        return await self._all.opens[name](asker, value)

    async def _carry(self, stream: _Stream) -> None:
        try:
            with stream.scope:
                await stream.run()
        except Exception as error:  # never to be raised: it would end the session
            if self._link.ended is None:
                self._link.notify_packed(EVENT, pack_end(stream.number, wire_error(error, FOLLOW)))
        finally:
            stream.subject.source.close()
            del self._streams[stream.number]
            self._all.count -= 1


class _Stream:
    """One subscription and its task."""

    def __init__(self, number: int, subject: Subject, core: Following, link: Link) -> None:
        self.number = number
        self.subject = subject
        self.core = core
        self.scope = trio.CancelScope()
        self._link = link
        self._granted = trio.Event()

    def cursor(self, place: bytes) -> bytes:
        return cursors.encode(self.subject.kind, self.subject.subject, place)

    def grant(self, credit: int) -> None:
        self.core.grant(credit)
        self._granted.set()

    async def run(self) -> None:
        """Read and tell until cancelled, or until there is nothing to read from."""
        due = True
        while self._link.ended is None:
            if due and self.core.wanted:
                due = await self._read()
                continue
            if not await self._woken(changes=not due):
                if self.core.wanted:
                    await self._read()  # the place moves on with what others write
                await self._tell(self.core.tick(trio.current_time()))
            elif not due:
                due = True

    async def _woken(self, *, changes: bool) -> bool:
        """Wait for credit, or for something to read; False when it is time for a heartbeat."""
        self._granted = trio.Event()
        with trio.move_on_at(self.core.heartbeat_at):
            if not changes:
                await self._granted.wait()
            elif self.core.wanted:
                await self.subject.source.wait_changed()
            else:
                await _first(self.subject.source.wait_changed, self._granted.wait)
            return True
        return False

    async def _read(self) -> bool:
        """Read what there is credit for and tell it; whether there is more.

        Raises:
            WireError: it could not be read for too long, or never will be.
        """
        ends = trio.current_time() + limits.FOLLOW_UNREACHABLE_S
        while True:
            try:
                batch: Batch = await self.subject.source.read(self.core.place, self.core.wanted)
                break
            except (WireError, PeerUnreachable) as error:
                told = wire_error(error, FOLLOW)
                if not told.kind.retryable or trio.current_time() >= ends:
                    raise told from error
                await trio.sleep(PAUSE_S)
        await self._tell(self.core.take(batch, trio.current_time()))
        return batch.more

    async def _tell(self, told: list[Told]) -> None:
        for each in told:
            while not self._link.outbox.has_room and self._link.ended is None:
                await self._link.outbox.wait_room()
            if self._link.ended is not None:
                return
            self._link.notify_packed(EVENT, pack_event(self.number, self.cursor(each.place), each))
        await trio.lowlevel.checkpoint()


async def _place(subject: Subject, asked: messages.FeedFollow) -> bytes:
    """Where a subscription begins."""
    if asked.cursor is None:
        return await subject.source.begin(None if asked.since_ms is None else asked.since_ms * 1000)
    place = cursors.decode(subject.kind, subject.subject, asked.cursor)
    subject.source.check(place)
    return place


async def _first(*waits: Callable[[], Awaitable[None]]) -> None:
    """Wait for one of several things."""
    async with trio.open_nursery() as nursery:

        async def wait(for_it: Callable[[], Awaitable[None]]) -> None:
            await for_it()
            nursery.cancel_scope.cancel()

        for each in waits:
            nursery.start_soon(wait, each)
