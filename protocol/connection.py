"""MessagePack-RPC without input or output: bytes in, events out; values in, bytes out.

A connection is symmetric: either side may send requests `[0, msgid, method, params]`, responses
`[1, msgid, error, result]` and notifications `[2, method, params]`, where `params` is an array holding
exactly one map. Messages follow each other with no other framing. What the other side can get wrong falls
into two classes, and the difference is whether there is still somebody to answer:

- *fatal*: malformed MessagePack, invalid UTF-8, extension types, a limit passed, none of the three shapes.
  `receive` yields a last `Violation` with the `goodbye` to send, and never reads another byte.
- *wrong contents* of a request whose msgid is known: `receive` yields `Rejected`, to be answered with its
  error; the connection lives on.

What *our own* side gets wrong raises `LocalProtocolError`: blame is in the type (the split is h11's).
Nothing here waits, so the bounds are exact: a message that is not whole never holds more than
`limits.MESSAGE_BYTES`, and at most `outstanding_max` of our requests are unanswered.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, FolkmootError, WireError
from folkmoot.protocol.nesting import NestingGuard, check_nesting

REQUEST: Final = 0
RESPONSE: Final = 1
NOTIFICATION: Final = 2
GOODBYE: Final = "goodbye"

Params = dict[str, Any]


class LocalProtocolError(FolkmootError):
    """Our own side asked the connection for something it must not send: a bug here, not there."""


class Request(NamedTuple):
    """The other side asks; answer with `Connection.response` or `Connection.error`."""

    msgid: int
    method: str
    params: Params


class Response(NamedTuple):
    """The other side answers one of our requests: either `error` or `result` is None, or both."""

    msgid: int
    error: Params | None
    result: Any


class Notification(NamedTuple):
    """The other side says something that wants no answer."""

    method: str
    params: Params


class Rejected(NamedTuple):
    """A request with wrong contents: answer `msgid` with `error`."""

    msgid: int
    error: WireError


class Violation(NamedTuple):
    """The other side broke the protocol: send `goodbye`, then close. Always the last event."""

    error: WireError
    goodbye: bytes


Event = Request | Response | Notification | Rejected | Violation


class ConnectionStatistics(NamedTuple):
    """Where a connection stands.

    Args:
        buffered_bytes: of a message that is not whole yet.
        outstanding: our requests without an answer.
        stray_responses: answers received to nothing we asked, ignored.
    """

    buffered_bytes: int
    outstanding: int
    stray_responses: int


class Connection:
    """One end of a MessagePack-RPC conversation.

    Args:
        outstanding_max: how many requests of ours may be unanswered at once.
    """

    def __init__(self, *, outstanding_max: int = limits.INFLIGHT_PER_CONNECTION) -> None:
        self._framer = codec.message_framer()
        self._framed_bytes = 0  # where in all received bytes the message being read begins
        self._unfinished = b""  # that message as far as it has arrived
        self._guard = NestingGuard()  # watches it while it is short
        self._violated = False
        self._outstanding: set[int] = set()
        self._outstanding_max = outstanding_max
        self._next_msgid = 0
        self._stray_responses = 0

    # In: bytes to events.

    @property
    def mid_message(self) -> bool:
        """Whether a message has begun and is not whole."""
        return bool(self._unfinished)

    def receive(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take in bytes as they come, in pieces of any size.

        Returns:
            What they completed, in order. A `Violation` is the last event this connection ever yields.
        """
        events: list[Event] = []
        pieces = memoryview(data)
        for start in range(0, len(pieces), limits.RECEIVE_CHUNK_BYTES):
            if self._violated:
                break
            try:
                self._receive_piece(pieces[start : start + limits.RECEIVE_CHUNK_BYTES], events)
            except WireError as error:
                events.append(self._violation(error))
            except codec.FramingErrors as error:
                events.append(self._violation(codec.explain(error)))
        return events

    def _receive_piece(self, piece: memoryview, events: list[Event]) -> None:
        """Cut one piece, with what waited for it, into messages; a message is decoded once it is whole."""
        self._framer.feed(piece)
        data = memoryview(self._unfinished + bytes(piece)) if self._unfinished else piece
        start, end = 0, len(data)
        while start < end:
            try:
                self._framer.skip()
            except codec.Unfinished:
                self._keep(data[start:], len(piece))
                return
            size = self._framer.tell() - self._framed_bytes
            _check_room(size)
            event = self._event(codec.unpack(data[start : start + size]))
            if event is not None:
                events.append(event)
            start += size
            self._framed_bytes += size
        self._unfinished = b""

    def _keep(self, unfinished: memoryview, new_bytes: int) -> None:
        """Keep what is not a whole message, if it still can become one.

        A message that has barely begun is watched byte by byte, so that one which announces the impossible
        and falls silent is refused at once; a long one costs nothing until it is whole.
        """
        _check_room(len(unfinished))
        if len(unfinished) < new_bytes or not self._unfinished:
            self._guard = NestingGuard()
            new_bytes = len(unfinished)
        self._unfinished = bytes(unfinished)
        if 0 < len(unfinished) <= limits.GUARDED_BYTES:
            self._guard.feed(unfinished[len(unfinished) - new_bytes :])

    def _event(self, message: Any) -> Event | None:
        """Tell which of the three shapes a decoded message has."""
        if type(message) is not list or not 3 <= len(message) <= 4 or type(message[0]) is not int:
            raise WireError(BAD_REQUEST, "not a request, response or notification")
        check_nesting(message)
        if len(message) == 3:
            return self._notification(message)
        shape, msgid, third, fourth = message
        if type(msgid) is not int or not 0 <= msgid <= limits.MSGID_MAX or not REQUEST <= shape <= RESPONSE:
            raise WireError(BAD_REQUEST, "neither a request nor a response: [0 or 1, unsigned 32-bit, …, …]")
        if shape == RESPONSE:
            return self._response(msgid, third, fourth)
        if type(third) is not str:
            return Rejected(msgid, WireError(BAD_REQUEST, "the method is not a string"))
        if type(fourth) is not list or len(fourth) != 1 or type(fourth[0]) is not dict:
            return Rejected(msgid, WireError(BAD_REQUEST, "params is not an array holding exactly one map"))
        return Request(msgid, third, fourth[0])

    def _notification(self, message: list[Any]) -> Notification:
        shape, method, params = message
        if shape != NOTIFICATION or type(method) is not str:
            raise WireError(BAD_REQUEST, "not a notification: [2, method, params]")
        if type(params) is not list or len(params) != 1 or type(params[0]) is not dict:
            raise WireError(BAD_REQUEST, "a notification's params is not an array holding exactly one map")
        return Notification(method, params[0])

    def _response(self, msgid: int, error: Any, result: Any) -> Response | None:
        if error is not None and (type(error) is not dict or result is not None):
            raise WireError(BAD_REQUEST, "a response's error is nil, or a map beside a nil result")
        if msgid not in self._outstanding:
            self._stray_responses += 1
            return None
        self._outstanding.remove(msgid)
        return Response(msgid, error, result)

    def _violation(self, error: WireError) -> Violation:
        self._violated = True
        self._unfinished = b""
        return Violation(error, self.goodbye(error))

    # Out: values to bytes.

    def request(self, method: str, params: Params) -> tuple[int, bytes]:
        """A request under a msgid of its own.

        Returns:
            The msgid, and the bytes to send.

        Raises:
            LocalProtocolError: too many requests are unanswered, or the message is over the limit.
        """
        if len(self._outstanding) >= self._outstanding_max:
            raise LocalProtocolError(f"{self._outstanding_max} requests are unanswered already")
        msgid = self._next_msgid
        while msgid in self._outstanding:
            msgid = (msgid + 1) & limits.MSGID_MAX
        message = b"\x94\x00" + codec.pack(msgid) + codec.pack(method) + b"\x91" + codec.pack(params)
        _check_size(message)
        self._next_msgid = (msgid + 1) & limits.MSGID_MAX
        self._outstanding.add(msgid)
        return msgid, message

    def forget(self, msgid: int) -> None:
        """Stop waiting for an answer to `msgid`; should one come, it is stray."""
        self._outstanding.discard(msgid)

    def response(self, msgid: int, result: Any) -> bytes:
        """The answer to a request.

        Raises:
            LocalProtocolError: the message is over the limit.
        """
        return self.response_packed(msgid, codec.pack(result))

    def response_packed(self, msgid: int, result: bytes) -> bytes:
        """`response` with its result already packed: pages of stored frames are joined, not encoded again."""
        message = b"\x94\x01" + codec.pack(msgid) + b"\xc0" + result
        _check_size(message)
        return message

    def error(self, msgid: int, error: WireError) -> bytes:
        """The refusal of a request."""
        return codec.pack([RESPONSE, msgid, error.to_wire(), None])

    def notification(self, method: str, params: Params) -> bytes:
        """A message that wants no answer.

        Raises:
            LocalProtocolError: the message is over the limit.
        """
        return self.notification_packed(method, codec.pack(params))

    def notification_packed(self, method: str, params: bytes) -> bytes:
        """`notification` with its map already packed: stored frames are joined, not encoded again."""
        message = b"\x93\x02" + codec.pack(method) + b"\x91" + params
        _check_size(message)
        return message

    def goodbye(self, error: WireError) -> bytes:
        """The last message before closing, saying why."""
        wire = error.to_wire()
        return codec.pack([NOTIFICATION, GOODBYE, [{key: wire[key] for key in ("code", "name", "message")}]])

    def statistics(self) -> ConnectionStatistics:
        """Where this connection stands."""
        return ConnectionStatistics(
            buffered_bytes=len(self._unfinished),
            outstanding=len(self._outstanding),
            stray_responses=self._stray_responses,
        )


def _check_room(size: int) -> None:
    if size > limits.MESSAGE_BYTES:
        raise WireError(TOO_LARGE, f"a message of {size} bytes or more, over {limits.MESSAGE_BYTES}")


def _check_size(message: bytes) -> None:
    if len(message) > limits.MESSAGE_BYTES:
        raise LocalProtocolError(f"a message of {len(message)} bytes, over {limits.MESSAGE_BYTES}")
