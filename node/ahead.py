"""Records whose clocks are ahead of this node's: what they say would win over every later edit."""

from __future__ import annotations

from folkmoot.protocol import limits
from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.record import Record


def ahead(record: Record, latest_us: int) -> WireError | None:
    """Why a record is not taken now, if it is of later than that.

    Args:
        record: as read.
        latest_us: this node's wall clock and what is allowed besides, microseconds since 1970.
    """
    newest_us = max((record.stamp, *record.seen.values()))
    if newest_us > latest_us:
        seconds = (newest_us - latest_us + limits.STAMP_AHEAD_US) // 1_000_000
        return WireError(
            BAD_REQUEST,
            f"stamp or seen is {seconds} s ahead of this node's clock; at most 300 s are accepted",
            details={"node_time_us": latest_us - limits.STAMP_AHEAD_US},
        )
    if record.kind == "post" and post_time_ms(record.item) * 1000 > latest_us:
        return WireError(BAD_REQUEST, "the post's UUIDv7 is more than 5 minutes ahead of this node's clock")
    return None
