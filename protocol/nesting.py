"""How deep a MessagePack value goes: of a whole value, and of one that is still arriving.

A decoder can only be asked about values it has finished. A sender that opens a thousand arrays and then
falls silent would keep the decoder's half-built value, and the reader's patience, for as long as it likes.
`NestingGuard` therefore follows the *bytes* of an unfinished message: it keeps how many values each open
container still expects, skips over scalars by their length, and refuses the first byte that opens one
container too many or announces more than a message may have. Finished messages are walked by
`check_nesting`, which is faster because it touches containers only.

Source: the MessagePack specification, https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from __future__ import annotations

from typing import Any, Final

from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError


def _fixed_bytes(lead: int) -> int:
    if 0xA0 <= lead <= 0xBF:  # a short string
        return 1 + (lead & 0x1F)
    if 0xCA <= lead <= 0xD3:  # float 32 and 64, uint 8 … 64, int 8 … 64
        return (5, 9, 2, 3, 5, 9, 2, 3, 5, 9)[lead - 0xCA]
    return int(lead < 0x80 or lead >= 0xE0 or lead in (0xC0, 0xC2, 0xC3))


# Bytes of a scalar known from its first byte alone; 0 where a length, or a container, follows.
_FIXED_BYTES: Final = bytes(_fixed_bytes(lead) for lead in range(256))

# First bytes that a big-endian length follows: how many bytes that length itself takes.
_LENGTH_BYTES: Final = {
    0xC4: 1,
    0xC5: 2,
    0xC6: 4,
    0xD9: 1,
    0xDA: 2,
    0xDB: 4,
    0xDC: 2,
    0xDD: 4,
    0xDE: 2,
    0xDF: 4,
}
_FIRST_ARRAY: Final = 0xDC
_FIRST_MAP: Final = 0xDE


def check_nesting(value: list[Any] | dict[Any, Any], depth: int = limits.MESSAGE_DEPTH) -> None:
    """Walk a decoded value's containers.

    Args:
        value: a container; it counts as one level itself.
        depth: levels allowed.

    Raises:
        WireError: `too_large`, when a container lies deeper than that.
    """
    level: list[Any] = [value]
    for _ in range(depth):
        deeper = []
        for container in level:
            for item in container.values() if type(container) is dict else container:
                kind = type(item)
                if kind is list or kind is dict:
                    deeper.append(item)
        if not deeper:
            return
        level = deeper
    raise _too_deep()


class NestingGuard:
    """Follows one unfinished message byte by byte, in memory of a few integers."""

    __slots__ = ("_expected", "_header", "_seen_bytes", "_skip_bytes")

    def __init__(self) -> None:
        self._expected = [1]  # values still to come: the message itself, then of each open container
        self._header = b""  # a first byte whose length has not arrived whole
        self._skip_bytes = 0  # of the scalar being passed over
        self._seen_bytes = 0

    def feed(self, data: bytes | memoryview) -> None:
        """Take in the next bytes of the message; they end before the message does.

        Raises:
            WireError: `too_large`, when the message cannot end within the limits any more.
        """
        self._seen_bytes += len(data)
        if self._skip_bytes >= len(data):
            self._skip_bytes -= len(data)
            return
        data = self._header + bytes(data[self._skip_bytes :])
        position = self._scan(data)
        self._header = data[position:]
        self._skip_bytes = max(0, position - len(data))
        if self._seen_bytes + self._skip_bytes > limits.MESSAGE_BYTES:
            raise WireError(TOO_LARGE, f"a message of more than {limits.MESSAGE_BYTES} bytes")

    def _scan(self, data: bytes) -> int:
        """Pass over the values in `data`; the position reached, beyond the end inside a long scalar."""
        position, end = 0, len(data)
        open_containers = self._expected
        expected = open_containers.pop()
        while position < end:
            lead = data[position]
            items = 0
            if size := _FIXED_BYTES[lead]:
                position += size
            elif 0x80 <= lead <= 0x9F:
                position += 1
                items = lead & 0x0F if lead >= 0x90 else 2 * (lead & 0x0F)
            elif lead in _LENGTH_BYTES:
                content = position + 1 + _LENGTH_BYTES[lead]
                if content > end:
                    break
                length = int.from_bytes(data[position + 1 : content], "big")
                position = content
                if lead < _FIRST_ARRAY:
                    position += length
                else:
                    if length > limits.MESSAGE_COLLECTION_ITEMS:
                        raise WireError(TOO_LARGE, f"a collection of {length} items")
                    items = length if lead < _FIRST_MAP else 2 * length
            else:
                raise WireError(BAD_REQUEST, "an extension type")
            expected -= 1
            if items:
                if len(open_containers) >= limits.MESSAGE_DEPTH:
                    raise _too_deep()
                open_containers.append(expected)
                expected = items
            while not expected and open_containers:
                expected = open_containers.pop()
        open_containers.append(expected)
        return position


def _too_deep() -> WireError:
    return WireError(TOO_LARGE, f"nested deeper than {limits.MESSAGE_DEPTH}")
