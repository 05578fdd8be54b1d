"""The nouns of a link: its bounds, its figures, what an asker gets back and why a link ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from folkmoot.protocol import limits
from folkmoot.protocol.connection import Response
from folkmoot.protocol.errors import BUSY, TIMEOUT, FolkmootError, WireError

_BUSY_RETRY_MS: Final = 50


class Ended(NamedTuple):
    """Why a link ended.

    Args:
        reason: one sentence.
        goodbye: what the other side said last, if it said why it left.
    """

    reason: str
    goodbye: WireError | None = None


class LinkBroken(FolkmootError):
    """The link ended before the answer came: whether the request was carried out is unknown."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.reason)
        self.goodbye = ended.goodbye


class NoAnswer(WireError):
    """This side waited long enough: whether the request was carried out is unknown."""

    def __init__(self, method: str, timeout_s: float) -> None:
        super().__init__(TIMEOUT, f"no answer to {method} within {timeout_s:.1f} s")


Reply = Response | Ended


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """The bounds of one link.

    Args:
        inflight: unanswered requests, each way.
        first_message_s: until the first whole message has arrived.
        message_s: from the first bytes of a message to its last.
        idle_s: between messages.
        send_s: for one flush of at most `limits.FLUSH_BYTES`.
        leave_s: for requests in work to be answered before a goodbye.
        half_closed_s: for requests in work to be answered to who says no more and may still listen; 0 takes
            the end of what is said for the end of who said it.
        close_s: for the other side to read a goodbye.
        output_bytes: of answers that the other side has not read; above it they become `busy`, and above
            twice as much of whatever kind the link is cut.
    """

    inflight: int = limits.INFLIGHT_PER_CONNECTION
    first_message_s: float = limits.HELLO_TIMEOUT_S
    message_s: float = limits.MESSAGE_TIMEOUT_S
    idle_s: float = limits.IDLE_TIMEOUT_S
    send_s: float = limits.SEND_TIMEOUT_S
    leave_s: float = limits.LEAVE_TIMEOUT_S
    half_closed_s: float = limits.REQUEST_TIMEOUT_S
    close_s: float = limits.CLOSE_TIMEOUT_S
    output_bytes: int = limits.OUTPUT_BYTES


PATIENT: Final = LinkSettings(first_message_s=math.inf, idle_s=math.inf, half_closed_s=0.0)
"""For links that may be silent, since something else notices a dead end: an asker's deadlines, or gossip.

Their own end is news of a death, and told at once."""


class LinkStatistics(NamedTuple):
    """What a link has done and what it holds.

    Args:
        received_bytes: since it began.
        sent_bytes: since it began.
        flushes: how often it sent.
        buffered_bytes: waiting to be sent.
        unanswered: requests of the other side in work here.
        waiting: requests of ours in work there.
        refused_busy: requests of the other side that found no room.
    """

    received_bytes: int
    sent_bytes: int
    flushes: int
    buffered_bytes: int
    unanswered: int
    waiting: int
    refused_busy: int


def busy(sentence: str) -> WireError:
    """The refusal of a request for which there is no room just now."""
    return WireError(BUSY, sentence, retry_after_ms=_BUSY_RETRY_MS)


def result_of(reply: Reply) -> Any:
    """The result in a reply.

    Raises:
        WireError: the other side's error.
        LinkBroken: no answer will come.
    """
    if isinstance(reply, Ended):
        raise LinkBroken(reply)
    if reply.error is not None:
        raise WireError.from_wire(reply.error)
    return reply.result
