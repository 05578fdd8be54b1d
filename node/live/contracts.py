"""What a live stream asks of what it follows: see `protocol.feed.following` for the words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

from folkmoot.node.actors.session import Asker
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.feed.following import Batch


class Source(Protocol):
    """Something that is followed by one subscription: a slice of a change log, or what is derived from some.

    Places are bytes that only the source reads; they are in cursors, and may come back years later, at any
    node.
    """

    async def begin(self, since_us: int | None) -> bytes:
        """The place to begin at: now, or before all that came at or after a time (microseconds since 1970).

        Raises:
            WireError: nobody can tell.
        """
        ...

    def check(self, place: bytes) -> None:
        """Look whether a place that a client brought back may be one of this source.

        Raises:
            WireError: `bad_request`.
        """
        ...

    async def read(self, after: bytes, limit: int) -> Batch:
        """The next items after a place, at most `limit`; does not wait for there to be some.

        Raises:
            WireError: nobody can tell; retryable ones are waited out for a while.
        """
        ...

    async def wait_changed(self) -> None:
        """Wait until the last `read` may not be the whole truth any more. May return too often."""
        ...

    def close(self) -> None:
        """The subscription has ended."""
        ...


class Subject(NamedTuple):
    """What somebody asked to follow.

    Attributes:
        kind, subject: what its cursors are bound to.
        source: see `Source`.
    """

    kind: CursorKind
    subject: bytes
    source: Source


Open = Callable[[Asker, object], Awaitable[Subject]]
"""Makes a source of the value in `what`; raises `WireError` when there is none, or the asker may not."""

Opens = Mapping[str, Open]
"""By the key in `what`: `author`, `range`, …"""
