"""What can be wrong with a roster, a range map or a placement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from folkmoot.protocol.errors import BAD_REQUEST, FolkmootError, WireError


class RingError(FolkmootError):
    """A roster, descriptor or range map that cannot be; the sentence says what does not hold."""


class PlacementError(RingError):
    """The roster cannot give a range the replicas asked for; the sentence says where and how many lack."""


@contextmanager
def blame_peer() -> Iterator[None]:
    """Within, what is wrong came from a peer: a `RingError` leaves as `bad_request`."""
    try:
        yield
    except RingError as error:
        raise WireError(BAD_REQUEST, str(error)) from error
