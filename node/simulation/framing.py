"""Where one message ends and the next begins, for those who read along or change what is sent."""

from __future__ import annotations

from folkmoot.protocol import codec


class Messages:
    """Cuts what comes in pieces into messages."""

    def __init__(self) -> None:
        self._framer = codec.message_framer()
        self._framed_bytes = 0
        self._unfinished = b""

    def completed_by(self, piece: bytes) -> list[bytes]:
        """The messages that a piece brings to their end."""
        self._framer.feed(piece)
        data = self._unfinished + piece
        messages = []
        start = 0
        while start < len(data):
            try:
                self._framer.skip()
            except codec.Unfinished:
                break
            size = self._framer.tell() - self._framed_bytes
            self._framed_bytes += size
            messages.append(data[start : start + size])
            start += size
        self._unfinished = data[start:]
        return messages
