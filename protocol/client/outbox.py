"""What a link has yet to send: one buffer, flushed by one task, bounded in bytes and in time.

Appending never waits and wakes the flushing task at most once; whatever gathers until that task runs goes
out in one piece. So a hundred answers to a hundred pipelined requests cost one system call.

Waking a task costs as much as making a short answer. Where the stream can send without waiting, a task that
answers many things at once has them *gathered*, and sends them itself when it is done. What does not leave
at once is left to the flushing task, in order and within its deadline, as if nothing had been tried.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import trio
from folkmoot.protocol import limits
from folkmoot.protocol.client.output_budget import OutputShare


@runtime_checkable
class Prompt(Protocol):
    """What a stream may be able to do besides."""

    def send_now(self, data: bytes) -> int:
        """Send as much from the beginning of `data` as can be sent without waiting.

        Not to be called while another task sends. Never raises: `send_all` will meet what is wrong.

        Returns:
            How many bytes were sent; 0 when waiting, or failing, is all there is to do.
        """
        ...


class NotRead(Exception):
    """The other side did not take what it was sent: in time, or in amount."""


class Outbox:
    """The outgoing half of a link.

    Args:
        stream: where the bytes go; nobody else sends on it.
        send_s: how long one flush of at most `limits.FLUSH_BYTES` may take.
        share: what it may hold.
    """

    def __init__(self, stream: trio.abc.SendStream, send_s: float, share: OutputShare) -> None:
        self._stream = stream
        self._send_s = send_s
        self._share = share
        self._messages: deque[bytes] = deque()
        self._send_now = stream.send_now if isinstance(stream, Prompt) else None
        self._gathering = False
        self._sending = False
        self._finished = False
        self._to_flush = trio.lowlevel.ParkingLot()
        self._to_append = trio.lowlevel.ParkingLot()
        self.sent_bytes = 0
        self.flushes = 0

    @property
    def buffered_bytes(self) -> int:
        """Gathered, or being sent."""
        return self._share.held_bytes

    @property
    def has_room(self) -> bool:
        """Whether callers who can wait may append."""
        return self.buffered_bytes < limits.OUTPUT_HIGH_WATER_BYTES

    def append(self, message: bytes) -> None:
        """Send `message` soon; lost once `finish` or `discard` was called."""
        if self._finished:
            return
        self._messages.append(message)
        self._share.take(len(message))
        if self._to_flush and not self._gathering:
            self._to_flush.unpark()

    def gather(self) -> None:
        """Let the flushing task sleep whatever is appended, until `send_gathered`; nothing waits between.

        Whoever calls this calls `send_gathered` too, whatever happens. Calls may be nested.
        """
        self._gathering = self._send_now is not None

    def send_gathered(self) -> None:
        """Send as much of what has gathered as goes without waiting; the rest is the flushing task's."""
        self._gathering = False
        if self._send_now is not None and not self._sending:
            while self._messages:
                data = self._gather()
                sent = self._send_now(data)
                if sent:
                    self._sent(sent)
                if sent < len(data):
                    self._messages.appendleft(data[sent:])
                    break
        if self._messages:
            self._to_flush.unpark()

    def finish(self) -> None:
        """Send what has gathered and nothing more."""
        self._finished = True
        self._to_flush.unpark_all()
        self._to_append.unpark_all()

    def discard(self) -> None:
        """Drop what has gathered, and everything to come."""
        self._messages.clear()
        self._share.close()
        self.finish()

    async def wait_room(self) -> None:
        """Wait for a flush, unless there is room."""
        if not self.has_room and not self._finished:
            await self._to_append.park()

    async def flush_until_finished(self) -> None:
        """Send what gathers, until `finish`.

        Raises:
            NotRead: a flush took longer than `send_s`.
            trio.BrokenResourceError: the connection is gone.
        """
        with trio.CancelScope() as patience:
            while self._messages or not self._finished:
                if not self._messages:
                    await self._to_flush.park()
                    continue
                self._sending = True
                gathered = self._gather()
                for start in range(0, len(gathered), limits.FLUSH_BYTES):
                    patience.deadline = trio.current_time() + self._send_s
                    flushed = gathered[start : start + limits.FLUSH_BYTES]
                    await self._stream.send_all(flushed)
                    self._sent(len(flushed))
                patience.deadline = math.inf
                self._sending = False
        if patience.cancelled_caught:
            raise NotRead(f"{self.buffered_bytes} bytes were not read within {self._send_s} s")

    def _gather(self) -> bytes:
        """The next messages, as many as fit one flush, or one that is longer: what is sent is held twice."""
        if len(self._messages) == 1:
            return self._messages.popleft()
        if self._share.held_bytes <= limits.FLUSH_BYTES:
            gathered = b"".join(self._messages)
            self._messages.clear()
            return gathered
        first = [self._messages.popleft()]
        room = limits.FLUSH_BYTES - len(first[0])
        while self._messages and len(self._messages[0]) <= room:
            first.append(self._messages.popleft())
            room -= len(first[-1])
        return b"".join(first)

    def _sent(self, size: int) -> None:
        self.flushes += 1
        self.sent_bytes += size
        self._share.give_back(size)
        if self._to_append and self.has_room:
            self._to_append.unpark_all()


@contextmanager
def gathered(outboxes: Collection[Outbox]) -> Iterator[None]:
    """Have what is appended within sent once it is all there, in this order; nothing waits within.

    Args:
        outboxes: each once, and in no set: it would send in the order of addresses in memory.
    """
    for outbox in outboxes:
        outbox.gather()
    try:
        yield
    finally:
        for outbox in outboxes:
            outbox.send_gathered()
