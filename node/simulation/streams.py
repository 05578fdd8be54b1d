"""Byte streams between simulated hosts: in order, bounded in flight, and breakable like TCP's.

A stream is two pipes, one a direction. A pipe holds what is on its way and what has arrived but was not
read; together they are bounded, so that a reader that does not read holds up its writer. When a host dies,
its other ends learn of it by a reset that travels the link like everything else: over a cut link they learn
nothing until it heals.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable

import trio
from folkmoot.node.simulation.courier import Courier
from folkmoot.node.simulation.links import Link
from folkmoot.node.simulation.trace import Trace
from folkmoot.node.simulation.wiretap import Tap

WINDOW_BYTES = 256 * 1024


class Mark(enum.Enum):
    """What can travel besides bytes."""

    EOF = "eof"
    RESET = "reset"


class Pipe:
    """One direction of a stream.

    Args:
        link, courier: what carries it.
        trace: told of every arrival.
        label: who sends to whom, for the trace.

    Attributes:
        reverse: the opposite direction.
        on_arrival, on_departure: told of bytes as they reach the one end, or leave the other.
    """

    reverse: Pipe
    on_arrival: Callable[[bytes], None] | None = None
    on_departure: Callable[[bytes], None] | None = None

    def __init__(self, link: Link, courier: Courier, trace: Trace, label: str) -> None:
        self._link = link
        self._courier = courier
        self._trace = trace
        self._label = label
        self._travelling: deque[bytes | Mark] = deque()
        self._stalled = 0
        self._last_arrival = 0.0
        self._arrived = bytearray()
        self._held_bytes = 0
        self._ended = False
        self._changed = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self.peak_bytes = 0
        self.sender_broken = False
        self.receiver_broken = False
        self.receiver_closed = False

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._travelling

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`, waiting for room in the window.

        Raises:
            trio.BrokenResourceError: the other end is gone.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        rest = bytes(data)
        while True:
            if self.sender_broken:
                raise trio.BrokenResourceError("the connection was reset")
            if not rest:
                return
            room = WINDOW_BYTES - self._held_bytes
            if room <= 0:
                await self._room.park()
                continue
            piece, rest = rest[:room], rest[room:]
            self._held_bytes += len(piece)
            self.peak_bytes = max(self.peak_bytes, self._held_bytes)
            self.post(piece)

    def send_now(self, data: bytes) -> int:
        """Send what there is room for, and return how many bytes that was."""
        room = 0 if self.sender_broken else min(len(data), WINDOW_BYTES - self._held_bytes)
        if room > 0:
            self._held_bytes += room
            self.peak_bytes = max(self.peak_bytes, self._held_bytes)
            self.post(data[:room])
        return max(0, room)

    def post(self, item: bytes | Mark) -> None:
        """Put something on its way, behind what is."""
        if self.on_departure is not None and not isinstance(item, Mark):
            self.on_departure(item)
        self._travelling.append(item)
        self._last_arrival = max(self._last_arrival, trio.current_time() + self._link.crossing_s())
        self._courier.send(self._last_arrival, self._arrive)

    async def receive(self, max_bytes: int | None) -> bytes:
        """What has arrived; empty at the end.

        Raises:
            trio.BrokenResourceError: the other end is gone.
            trio.ClosedResourceError: this end was closed.
        """
        if self._readable:
            await trio.lowlevel.checkpoint()
        while not self._readable:
            await self._changed.park()
        if self.receiver_closed:
            raise trio.ClosedResourceError("this end is closed")
        if self._arrived:
            return self._take(max_bytes or len(self._arrived))
        if self.receiver_broken:
            raise trio.BrokenResourceError("the connection was reset")
        return b""

    @property
    def _readable(self) -> bool:
        """Whether reading need not wait."""
        return bool(self._arrived or self._ended or self.receiver_broken or self.receiver_closed)

    def close_receiver(self) -> None:
        """Read no more: what still arrives is answered by a reset."""
        self.receiver_closed = True
        self._changed.unpark_all()

    def break_sender(self) -> None:
        """Nothing sent from now on can arrive."""
        self.sender_broken = True
        self._room.unpark_all()

    def lose_travelling(self) -> None:
        """What is on its way does not arrive: the machine that kept it for retransmission is gone."""
        self._travelling = deque(b"" for _ in self._travelling)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._arrived[:count])
        del self._arrived[:count]
        self._held_bytes -= len(taken)
        self._room.unpark_all()
        return taken

    def _arrive(self) -> None:
        if self._link.stalls or self._stalled:
            if not self._stalled:
                self._link.stall(self._resume)
            self._stalled += 1
            return
        self._deliver(self._travelling.popleft())

    def _resume(self) -> None:
        """The link carries again: what was held arrives now, in order, after one more crossing."""
        stalled, self._stalled = self._stalled, 0
        at = trio.current_time() + self._link.crossing_s()
        self._last_arrival = max(self._last_arrival, at)
        for _ in range(stalled):
            self._courier.send(at, self._arrive)

    def _deliver(self, item: bytes | Mark) -> None:
        if item is Mark.RESET:
            self.receiver_broken = True
            self.reverse.break_sender()
        elif item is Mark.EOF:
            self._ended = True
        elif self.receiver_closed:
            self._held_bytes -= len(item)
            if item:
                self.reverse.post(Mark.RESET)
            return
        else:
            self._arrived += item
            if self.on_arrival is not None:
                self.on_arrival(item)
        self._trace.note(self._label, item.value.encode() if isinstance(item, Mark) else item)
        self._changed.unpark_all()


class SimulatedStream(trio.abc.HalfCloseableStream):
    """One end of a stream; see `stream_pair`.

    Args:
        outgoing, incoming: the two directions as this end sees them.
    """

    def __init__(self, outgoing: Pipe, incoming: Pipe) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._closed = False
        self._finished = False

    @property
    def gone(self) -> bool:
        """Whether this end was closed and everything it had sent has arrived."""
        return self._closed and self._outgoing.idle

    @property
    def peak_bytes(self) -> int:
        """The most that was ever sent by this end and not yet read by the other."""
        return self._outgoing.peak_bytes

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`; see `Pipe.send`."""
        if self._closed or self._finished:
            raise trio.ClosedResourceError("this end is closed")
        await self._outgoing.send(data)
        if self._closed:
            raise trio.ClosedResourceError("this end was closed while it sent")

    async def wait_send_all_might_not_block(self) -> None:
        """Wait for nothing: `send_all` waits."""
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        """Tell the other end that nothing more will come."""
        await trio.lowlevel.checkpoint()
        self._finish()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive what has arrived; see `Pipe.receive`."""
        return await self._incoming.receive(max_bytes)

    async def aclose(self) -> None:
        """Close both directions."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """`aclose` without the checkpoint."""
        if not self._closed:
            self._closed = True
            self._finish()
            self._outgoing.break_sender()
            self._incoming.close_receiver()

    def die(self, *, lose_travelling: bool) -> None:
        """End as when the process at this end is killed: the other end will see a reset.

        Args:
            lose_travelling: whether what was sent and has not arrived is lost.
        """
        if lose_travelling:
            self._outgoing.lose_travelling()
        if lose_travelling or not self._closed:
            self._outgoing.post(Mark.RESET)
        self._closed = True
        self._outgoing.break_sender()
        self._incoming.close_receiver()

    def _finish(self) -> None:
        if not self._finished and not self._outgoing.sender_broken:
            self._outgoing.post(Mark.EOF)
        self._finished = True


class PromptStream(SimulatedStream):
    """A stream that can send without waiting, as those without encryption can; see `outbox.Prompt`."""

    def send_now(self, data: bytes) -> int:
        """Send what can be sent at once; see `Pipe.send_now`."""
        return 0 if self._closed or self._finished else self._outgoing.send_now(data)


def stream_pair(
    there: Link,
    back: Link,
    courier: Courier,
    trace: Trace,
    names: tuple[str, str],
    *,
    prompt: bool = False,
    tap: Tap | None = None,
) -> tuple[SimulatedStream, SimulatedStream]:
    """The two ends of a new stream: the dialler's and the listener's.

    Args:
        there: the link from the dialler's host to the listener's.
        back: the opposite one.
        courier, trace: the network's.
        names: the dialler's host and the listener's.
        prompt: whether its ends are `PromptStream`s.
        tap: listens in at the listener's end.
    """
    source, target = names
    outgoing = Pipe(there, courier, trace, f"stream {source} {target}")
    incoming = Pipe(back, courier, trace, f"stream {target} {source}")
    outgoing.reverse, incoming.reverse = incoming, outgoing
    if tap is not None:
        outgoing.on_arrival, incoming.on_departure = tap.arrived, tap.left
    end = PromptStream if prompt else SimulatedStream
    return end(outgoing, incoming), end(incoming, outgoing)
