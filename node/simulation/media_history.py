"""What photographers were told of media."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Looked:
    """Somebody wanted to see a picture.

    Args:
        account, hash: which.
        node: the name of the node that was asked last.
        at_s: when there was an answer, in virtual seconds.
        failure: why it could not be seen; empty when it was.
        changed: whether something else was told than it is.
    """

    account: bytes
    hash: bytes
    node: str
    at_s: float
    failure: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """What an account was told of its media.

    Args:
        account: whose.
        hashes: what there is.
        used: how many bytes that takes.
        at_s: when, in virtual seconds.
    """

    account: bytes
    hashes: frozenset[bytes]
    used: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Audit:
    """A figure that was told in the quiet, and what it is by the disks.

    Args:
        what: of what, in words.
        told: the figure.
        found: the figures that the disks come to: one, or one for each replica.
    """

    what: str
    told: int
    found: tuple[int, ...]
