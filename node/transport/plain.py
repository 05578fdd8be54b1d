"""A plain TCP connection by the shortest way: what a page costs is mostly the way in and out.

Two things are different from trio's own stream. It waits for bytes before it asks for them, since a reader
who has had its answer is never there with the next request yet; asking first would be a system call and an
exception for nothing. And it can send without waiting (see `outbox.Prompt`), so that an answer leaves from
the task that made it. Everything that has to wait is trio's.
"""

from __future__ import annotations

import errno
import os

import trio
from folkmoot.protocol import limits


class PlainStream(trio.abc.HalfCloseableStream):
    """A connected socket, unencrypted.

    Args:
        stream: the same socket as trio knows it; closed with this one.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._socket = stream.socket

    def send_now(self, data: bytes) -> int:
        """Send what the kernel takes at once, and return how many bytes that was; see `outbox.Prompt`."""
        try:
            return os.write(self._socket.fileno(), data)
        except OSError:
            return 0  # `send_all` is asked next: it waits, or says what is wrong

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What has come, once something has; empty at the end.

        Raises:
            trio.BrokenResourceError: the connection is gone.
            trio.ClosedResourceError: this end was closed.
        """
        while True:
            descriptor = self._socket.fileno()
            if descriptor < 0:
                raise trio.ClosedResourceError("this socket was already closed")
            await trio.lowlevel.wait_readable(descriptor)
            try:
                return os.read(descriptor, max_bytes or limits.RECEIVE_CHUNK_BYTES)
            except BlockingIOError:  # the kernel took it for readable and found nothing good in it
                continue
            except OSError as error:
                if error.errno == errno.EBADF:
                    raise trio.ClosedResourceError("this socket was already closed") from None
                raise trio.BrokenResourceError(f"socket connection broken: {error}") from error

    async def aclose(self) -> None:
        await self._stream.aclose()
