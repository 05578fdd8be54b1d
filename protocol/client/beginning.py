"""Since when a stream is followed, where its cursors do not say.

The cursor of a home feed or a tag is a time, and who comes back with it is told again what is dated later
than an hour before. What was told already is recognised (see `seen`); what stood in the feed before the
stream began was never told, and is recognised by its date.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.record import Record

SLACK_MS: Final = 5_000  # by which authors' clocks may be behind the node's


class Beginning:
    """See the module.

    Args:
        what: is followed.
        since_ms: from when on, milliseconds since 1970; None for the moment at which it begins.
        known: False when the stream goes on from a cursor of another one, whose beginning nobody knows.
    """

    def __init__(self, what: Mapping[str, Any], since_ms: int | None, *, known: bool) -> None:
        self._unknown = not known or not {"home", "tag"}.intersection(what)
        self._from_ms = since_ms

    def note(self, node_ms: int) -> None:
        """It has begun, at this time by the node's clock, unless it had before."""
        if self._from_ms is None:
            self._from_ms = node_ms - SLACK_MS

    def was_before(self, item: Mapping[str, Any], record: Record) -> bool:
        """Whether an item, of this record, stood in the feed before."""
        if self._unknown or self._from_ms is None:
            return False
        reposted_ms = item.get("reposted_ms", self._from_ms) if "reposter" in item else None
        return (post_time_ms(record.item) if reposted_ms is None else reposted_ms) < self._from_ms
