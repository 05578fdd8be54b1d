"""What householders did to their accounts and with their keys, and what they were answered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.record import Record


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A node said that an operation is part of its account's chain.

    Args:
        operation: which.
        sent_s, at_s: when it was first asked for, and when the answer came, in virtual seconds.
    """

    operation: Operation
    sent_s: float
    at_s: float


class Answer(Enum):
    """What a gate made of a post."""

    KEPT = "kept"
    REVOKED = "refused, its key may not sign"


@dataclass(frozen=True, slots=True)
class DevicePost:
    """A gate's answer to one post of an account with several devices.

    Args:
        record: the post.
        gate: the name of the node that answered.
        answer: see `Answer`; others say nothing of keys.
        sent_s, at_s: when it was sent, and when the answer came, in virtual seconds.
        wall_us: what the gate's wall clock said at those times.
        first: whether it had never been sent before.
    """

    record: Record
    gate: str
    answer: Answer
    sent_s: float
    at_s: float
    wall_us: tuple[int, int]
    first: bool
