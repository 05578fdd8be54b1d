"""A conversation over a stream: one task reads, one writes, and nothing else runs per message.

The rules that make it fast are the same that keep it bounded:

- One `receive_some` may complete hundreds of messages. All requests among them are handed over in *one*
  synchronous call, `on_requests`, which answers at once or later with `respond`.
- Everything to send is appended to one buffer; the writer sends what has gathered since it last woke.
- Reading never waits for writing, so two ends that answer each other cannot block each other. Instead the
  output is bounded: above `output_bytes` answers become `busy`, above twice that the link is cut, and a
  flush that takes longer than its deadline cuts it too. Links may share a budget besides.
- At most `inflight` requests of the other side are unanswered here, the rest are refused `busy`; at most
  as many of ours are unanswered there, further calls wait.
- A message that has begun must end before its deadline, and a silent link ends `idle_s` or a little later.
- What one read brought is answered by the task that read it, as far as that needs no waiting (see `outbox`).

When the stream ends, for whatever reason, every call that waits raises `LinkBroken`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import trio
from folkmoot.protocol import limits
from folkmoot.protocol.client.link_terms import (
    Ended,
    LinkBroken,
    LinkSettings,
    LinkStatistics,
    NoAnswer,
    Reply,
    busy,
    result_of,
)
from folkmoot.protocol.client.outbox import NotRead, Outbox
from folkmoot.protocol.client.output_budget import OutputBudget
from folkmoot.protocol.client.patience import Patience
from folkmoot.protocol.connection import (
    GOODBYE,
    Connection,
    Event,
    LocalProtocolError,
    Notification,
    Params,
    Rejected,
    Request,
    Response,
    Violation,
)
from folkmoot.protocol.errors import TIMEOUT, TOO_LARGE, UNKNOWN_METHOD, WireError

OnReply = Callable[[Reply], None]
OnRequests = Callable[["Link", list[Request]], None]
OnNotification = Callable[["Link", Notification], None]


class Link:
    """One end of a conversation; `run` carries it.

    Args:
        stream: connected, its handshakes done; the link closes it.
        on_requests: called with all requests of one read, in order; must not wait. None refuses requests.
        on_notification: called with each notification but `goodbye`; must not wait.
        settings: the bounds.
        budget: bounds what this link and others together hold unread; None bounds this one alone.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        on_requests: OnRequests | None = None,
        on_notification: OnNotification | None = None,
        settings: LinkSettings | None = None,
        budget: OutputBudget | None = None,
    ) -> None:
        self.stream = stream
        self.settings = settings or LinkSettings()
        self.on_requests = on_requests
        self.on_notification = on_notification
        self._connection = Connection(outstanding_max=self.settings.inflight)
        self._waiting: dict[int, OnReply] = {}
        self._unanswered = 0
        self._share = (budget or OutputBudget()).share(self.settings.output_bytes, self._make_room)
        self._held_bytes_max = 2 * self.settings.output_bytes
        self.outbox = Outbox(stream, self.settings.send_s, self._share)  # see `outbox.gathered`
        self._leaving: WireError | None = None
        self._once_all_answered: Callable[[], None] | None = None
        self._nursery: trio.Nursery | None = None
        self._ended: Ended | None = None
        self._room_freed = trio.lowlevel.ParkingLot()
        self._scope = trio.CancelScope()
        self._other_ended = False  # nothing more will come
        self._received_bytes = 0
        self._refused_busy = 0

    # Asking.

    @property
    def has_room(self) -> bool:
        """Whether another request may be submitted now."""
        return len(self._waiting) < self.settings.inflight and self.outbox.has_room

    async def wait_room(self) -> None:
        """Wait until `has_room`; no other task runs between that and the return.

        Raises:
            LinkBroken: the link has ended.
        """
        while self._ended is None and not self.has_room:
            if self.outbox.has_room:
                await self._room_freed.park()
            else:
                await self.outbox.wait_room()
        if self._ended is not None:
            raise LinkBroken(self._ended)

    def submit(self, method: str, params: Params, on_reply: OnReply) -> int:
        """Send a request and return at once with its msgid; no task waits for the answer.

        Args:
            method: the method's name.
            params: its parameters.
            on_reply: called exactly once, with the response or with why none will come; must not wait.
                Not called after `forget`.

        Raises:
            LinkBroken: the link has ended.
            LocalProtocolError: `inflight` requests are unanswered, or the message is over the limit.
        """
        msgid, message = self._connection.request(method, params)
        if self._ended is not None:
            self._connection.forget(msgid)
            raise LinkBroken(self._ended)
        self._waiting[msgid] = on_reply
        self._append(message)
        return msgid

    def forget(self, msgid: int) -> None:
        """Drop interest in the answer to a submitted request."""
        if self._waiting.pop(msgid, None) is not None:
            self._connection.forget(msgid)
            self._room_freed.unpark()

    async def call(self, method: str, params: Params, *, timeout_s: float = limits.REQUEST_TIMEOUT_S) -> Any:
        """Ask, and wait for the result.

        Raises:
            WireError: the other side's error; `NoAnswer` when none came in time.
            LinkBroken: the link ended first.
        """
        reply: Reply | None = None
        answered = trio.Event()

        def on_reply(received: Reply) -> None:
            nonlocal reply
            reply = received
            answered.set()

        with trio.move_on_after(timeout_s):
            await self.wait_room()
            msgid = self.submit(method, params, on_reply)
            try:
                await answered.wait()
            finally:
                self.forget(msgid)
        if reply is None:
            raise NoAnswer(method, timeout_s)
        return result_of(reply)

    def notify(self, method: str, params: Params) -> None:
        """Say something that wants no answer; lost when the link has ended."""
        self._append(self._connection.notification(method, params))

    def notify_packed(self, method: str, params: bytes) -> None:
        """`notify` with the map already packed."""
        self._append(self._connection.notification_packed(method, params))

    # Answering.

    def respond(self, msgid: int, result: Any) -> None:
        """Answer a request; lost when the link has ended."""
        self._answer(msgid, self._connection.response, result)

    def respond_packed(self, msgid: int, result: bytes) -> None:
        """`respond` with the result already packed."""
        self._answer(msgid, self._connection.response_packed, result)

    def refuse(self, msgid: int, error: WireError) -> None:
        """Answer a request with an error; lost when the link has ended."""
        self._answer(msgid, self._connection.error, error)

    # Ending.

    def leave(self, error: WireError) -> None:
        """Refuse requests from now on, answer those in work, and say goodbye with the reason.

        The goodbye is said after `leave_s` at the latest; `run` returns when it was read, or `close_s` later.
        """
        self._leaving = error
        self._once_answered(partial(self._leave_now, error), self.settings.leave_s)

    def close(self) -> None:
        """End the link without a word; `run` returns."""
        self._end(Ended("this side closed the link"))

    @property
    def ended(self) -> Ended | None:
        """Why the link ended, once it has or is about to."""
        return self._ended

    def statistics(self) -> LinkStatistics:
        """What this link has done and what it holds."""
        return LinkStatistics(
            received_bytes=self._received_bytes,
            sent_bytes=self.outbox.sent_bytes,
            flushes=self.outbox.flushes,
            buffered_bytes=self.outbox.buffered_bytes,
            unanswered=self._unanswered,
            waiting=len(self._waiting),
            refused_busy=self._refused_busy,
        )

    async def run(self) -> None:
        """Carry the conversation until it ends, then close the stream. What ended it is `ended`.

        Only what our own callbacks raise is raised.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    self._nursery = nursery
                    nursery.start_soon(self._write)
                    await self._read()
        finally:
            self._nursery = None
            self._end(Ended("this side stopped the link"))
            with trio.move_on_after(self.settings.close_s, shield=True):
                await self.stream.aclose()

    # The reading task.

    async def _read(self) -> None:
        patience = Patience(self.settings)
        with patience.scope:
            while data := await self._receive():
                events = self._connection.receive(data)
                if events:
                    self.outbox.gather()
                    self._dispatch(events)
                    self.outbox.send_gathered()
                patience.read(whole=bool(events), within=self._connection.mid_message)
        if patience.scope.cancelled_caught:
            self._leave_now(WireError(TIMEOUT, "no whole message came in time"))

    async def _receive(self) -> bytes | bytearray:
        """The next bytes; none when the other side has ended."""
        try:
            data = await self.stream.receive_some(limits.RECEIVE_CHUNK_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._end(Ended(f"the connection broke: {error.__cause__ or error}"))
            return b""
        if not data:  # what was asked before may still be answered
            self._other_ended = True
            if self._leaving is None:
                self._once_answered(self.outbox.finish, self.settings.half_closed_s)
            self._fail_calls(Ended("the other side closed the connection"))
        self._received_bytes += len(data)
        return data

    def _dispatch(self, events: list[Event]) -> None:
        requests: list[Request] = []
        for event in events:
            if isinstance(event, Response):
                self._answered(event)
            elif isinstance(event, Request):
                if self._take(event):
                    requests.append(event)
            elif isinstance(event, Rejected):
                self._append(self._connection.error(event.msgid, event.error))
            elif isinstance(event, Notification):
                self._notified(event)
        if requests:
            self._hand_over(requests)
        if isinstance(last := events[-1], Violation):
            self._fail_calls(Ended(f"the other side broke the protocol: {last.error.message}"))
            self.leave(last.error)

    def _answered(self, response: Response) -> None:
        on_reply = self._waiting.pop(response.msgid, None)
        if on_reply is not None:
            on_reply(response)
            self._room_freed.unpark()

    def _hand_over(self, requests: list[Request]) -> None:
        if self.on_requests is not None:
            self.on_requests(self, requests)
            return
        for request in requests:
            self.refuse(request.msgid, WireError(UNKNOWN_METHOD, "this side answers nothing"))

    def _take(self, request: Request) -> bool:
        """Whether there is room for a request; it is refused where there is none."""
        refusal = self._leaving
        if refusal is None:
            if self._unanswered < self.settings.inflight and not self._share.is_full:
                self._unanswered += 1
                return True
            self._refused_busy += 1
            unread_bytes = self.outbox.buffered_bytes
            refusal = busy(f"{self._unanswered} requests are unanswered, {unread_bytes} bytes unread")
        self._append(self._connection.error(request.msgid, refusal))
        return False

    def _notified(self, notification: Notification) -> None:
        if notification.method == GOODBYE:
            goodbye = WireError.from_wire(notification.params)
            self._end(Ended(f"the other side left: {goodbye}", goodbye))
        elif self.on_notification is not None:
            self.on_notification(self, notification)

    # The writing task.

    async def _write(self) -> None:
        try:
            await self.outbox.flush_until_finished()
        except NotRead as error:
            self._end(Ended(f"the other side reads too slowly: {error}"))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._end(Ended(f"the connection broke: {error.__cause__ or error}"))
        else:
            if not self._other_ended:
                await self._linger()
            self._end(Ended("this side left"))

    async def _linger(self) -> None:
        """Give the goodbye time to be read: closing over unread bytes at once would reset it away."""
        with trio.move_on_after(self.settings.close_s):
            if isinstance(self.stream, trio.abc.HalfCloseableStream):
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # gone before us
                    await self.stream.send_eof()
            await trio.sleep_forever()  # the reading task discards what comes, and ends the link at its end

    # Between the two.

    def _answer(self, msgid: int, build: Callable[[int, Any], bytes], answer: Any) -> None:
        assert self._unanswered > 0, "more answers than requests"
        self._unanswered -= 1
        try:
            message = build(msgid, answer)
        except LocalProtocolError:
            error = WireError(TOO_LARGE, "the answer would be over the message limit: ask for less at once")
            message = self._connection.error(msgid, error)
        if not self._share.has_room(len(message)):
            message = self._connection.error(msgid, busy("answers are read slower than asked for"))
        self._append(message)
        if self._once_all_answered is not None and not self._unanswered:
            self._once_all_answered()

    def _append(self, message: bytes) -> None:
        self.outbox.append(message)
        if self._share.held_bytes > self._held_bytes_max:
            self._end(Ended("the other side asks and does not read"))

    def _once_answered(self, then: Callable[[], None], within_s: float) -> None:
        """Do something once the requests in work are answered, or when that takes too long."""
        if not self._unanswered or not within_s or self._nursery is None:
            return then()
        self._once_all_answered = then
        self._nursery.start_soon(self._later, then, within_s)

    async def _later(self, then: Callable[[], None], after_s: float) -> None:
        await trio.sleep(after_s)
        then()

    def _leave_now(self, error: WireError) -> None:
        self.outbox.append(self._connection.goodbye(error))
        self.outbox.finish()
        self._fail_calls(Ended(f"this side left: {error}"))

    def _make_room(self) -> None:
        self._end(Ended("the other side reads too slowly, and others needed the room"))

    def _end(self, reason: Ended) -> None:
        self.outbox.discard()
        self._fail_calls(reason)
        self._scope.cancel()

    def _fail_calls(self, reason: Ended) -> None:
        if self._ended is None:
            self._ended = reason
        waiting, self._waiting = self._waiting, {}
        for on_reply in waiting.values():
            on_reply(self._ended)
        self._room_freed.unpark_all()
