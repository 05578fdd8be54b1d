"""What a node may answer of feeds by now: of what it keeps, once it has read everything for it."""

from __future__ import annotations

from typing import Final, Protocol

from folkmoot.protocol.errors import BUSY, WireError

RETRY_MS: Final = 500


class Lagging(Protocol):
    """How far projections are; see `projector`."""

    def lag_s(self) -> float | None:
        """For how long, at the most, something may have changed that is not seen yet, seconds; None before
        all was read."""
        ...

    def covers(self, key: bytes) -> bool:
        """Whether all was read for what is about the place at a key."""
        ...


def lag_of(lagging: Lagging, group: bytes) -> float:
    """How far behind what this node says of a group may be, seconds.

    Raises:
        WireError: `busy`, as long as not all logs have been read for it.
    """
    lag_s = lagging.lag_s()
    if lag_s is None:
        raise WireError(BUSY, "projections have yet to read all ranges", retry_after_ms=RETRY_MS)
    if not lagging.covers(group):
        raise WireError(
            BUSY,
            "this node has come to keep that lately, and has yet to read for it",
            retry_after_ms=RETRY_MS,
        )
    return lag_s
