"""Listening in on what nodes ask a node and what it answers, on the wire between them.

What a node did is then known from what it told others, not from what it would say of itself. A tap reads the
messages of one link: requests as they reach the host that is asked, answers as they leave it. Most of what
nodes say to each other is not looked at further than at its first bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from folkmoot.node.simulation.framing import Messages
from folkmoot.protocol import codec
from folkmoot.protocol.connection import REQUEST, RESPONSE

_FOUR: Final = 0x94  # the header of an array of four, as requests and responses are
_NIL: Final = 0xC0  # where a response has its error, when it is none
_WIDTHS: Final = {0xCC: 1, 0xCD: 2, 0xCE: 4}
_HEAD_BYTES: Final = 2
_STRING_MOST: Final = 31  # bytes, with the header of one byte that the names of methods have


@dataclass(slots=True, eq=False)
class Question:
    """A request that reached a node.

    Args:
        disk: the name of the disk of the process that was asked.
        method, params: what was asked.
        notes: what was the case then, for those who overhear the answer.
    """

    disk: str
    method: str
    params: Mapping[str, Any]
    notes: Any = None


class Overhearing(Protocol):
    """Who is told what a tap hears."""

    def is_of_interest(self, method: str) -> bool: ...

    def asked(self, question: Question) -> None:
        """A request has arrived."""
        ...

    def answered(self, question: Question, result: Callable[[], Any]) -> None:
        """Its answer leaves, and is no error; of most that is all there is to know."""
        ...


class Tap:
    """One link, as seen at the end that is asked.

    Args:
        disk: the name of the disk of the process there.
        overhearing: told what is of interest.
    """

    def __init__(self, disk: str, overhearing: Overhearing) -> None:
        self._disk = disk
        self._overhearing = overhearing
        self._requests = Messages()
        self._responses = Messages()
        self._open: dict[int, Question] = {}

    def arrived(self, data: bytes) -> None:
        """Bytes have reached the host that is asked."""
        for message in self._requests.completed_by(data):
            if not _is(message, REQUEST):
                continue
            msgid, at = _msgid(message)
            if self._overhearing.is_of_interest(_short_string(message, at)):
                _, _, method, [params] = codec.unpack(message)
                question = self._open[msgid] = Question(self._disk, method, params)
                self._overhearing.asked(question)

    def left(self, data: bytes) -> None:
        """Bytes have left that host."""
        for message in self._responses.completed_by(data):
            if not _is(message, RESPONSE):
                continue
            msgid, at = _msgid(message)
            question = self._open.pop(msgid, None)
            if question is not None and message[at] == _NIL:
                self._overhearing.answered(question, partial(_result_in, message))


def _is(message: bytes, kind: int) -> bool:
    return message[0] == _FOUR and message[1] == kind


def _result_in(message: bytes) -> Any:
    return codec.unpack(message)[3]


def _msgid(message: bytes) -> tuple[int, int]:
    """A message's id, and where what follows it begins."""
    first = message[_HEAD_BYTES]
    width = _WIDTHS.get(first)
    if width is None:
        return first, _HEAD_BYTES + 1
    end = _HEAD_BYTES + 1 + width
    return int.from_bytes(message[_HEAD_BYTES + 1 : end], "big"), end


def _short_string(message: bytes, at: int) -> str:
    """The string at a place in a message; empty when it is longer than any name of interest."""
    length = message[at] - 0xA0
    if not 0 <= length <= _STRING_MOST:
        return ""
    return message[at + 1 : at + 1 + length].decode()
