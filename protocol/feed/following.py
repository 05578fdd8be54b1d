"""One live subscription, as a state machine: what may be read, and what is told.

The log that is followed is the only queue there is. A subscription holds a *place* in it and nothing else:
who is slow stays behind in the log, where a cell that changes again meanwhile moves on and is told once. So a
node holds for a slow reader what it holds for a quick one.

- *Credit* is how many items may still be told. Nothing is read without it, so nothing waits to be sent.
- An *idle* stream tells after a while that it is alive, and the place it has come to.
- A stretch that was lost is told (`Gap`), before anything that comes after it.
- Places that are told never go back but by a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from folkmoot.protocol import codec
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.feed.pages import array_header
from folkmoot.protocol.limits import FOLLOW_CREDIT, FOLLOW_EVENT_ITEMS

EVENT: Final = "feed.event"

SPLIT: Final = "split"
NOT_PROVEN: Final = "not_proven"
DAMAGED: Final = "damaged"
OVERRUN: Final = "overrun"


class Gap(NamedTuple):
    """A stretch of which nobody knows whether all of it was told.

    Attributes:
        from_ms, to_ms: milliseconds since 1970, by a node's clock; 0 for a beginning that is not known.
        reason: `not_proven`, when the log that was followed is out of reach, and nobody knows what it had of
            another replica's; `damaged`, when rows of the log cannot be read any more; `split`, when part of
            a range is another range by now; `overrun`, when more came into a feed than a stream looks at.
        range: the other range, of a split.
    """

    from_ms: int
    to_ms: int
    reason: str
    range: int | None = None


class Batch(NamedTuple):
    """What was read of a source.

    Attributes:
        items: packed items (see `pages.pack_item`), oldest change first.
        place: up to which all has been told once these are.
        more: whether there is more already.
        gap: what may be missing before the items.
    """

    items: Sequence[bytes]
    place: bytes
    more: bool
    gap: Gap | None = None


class Items(NamedTuple):
    """Tell some items, and the place after them."""

    place: bytes
    items: Sequence[bytes]


class Lost(NamedTuple):
    """Tell of a gap, and the place after it."""

    place: bytes
    gap: Gap


class Heartbeat(NamedTuple):
    """Tell that the stream is alive, and the place it has come to."""

    place: bytes


Told = Items | Lost | Heartbeat


class Following:
    """See the module.

    Args:
        place: where it begins.
        credit: how many items may be told.
        now: seconds on the clock that `take` and `tick` are given.
        heartbeat_s: of nothing to tell.

    Attributes:
        place: up to which all has been told.
        credit: how many items may still be told.
    """

    def __init__(self, place: bytes, credit: int, now: float, heartbeat_s: float) -> None:
        self.place = place
        self.credit = 0
        self.grant(credit)
        self._heartbeat_s = heartbeat_s
        self._told_at = now

    def grant(self, credit: int) -> None:
        """Allow so many items more.

        Raises:
            WireError: `bad_request`: that is more than may be owed.
        """
        if credit < 0 or self.credit + credit > FOLLOW_CREDIT:
            raise WireError(
                BAD_REQUEST, f"{self.credit} items are owed already; {FOLLOW_CREDIT} may be owed at most"
            )
        self.credit += credit

    @property
    def wanted(self) -> int:
        """How many items may be read now; 0 when none may."""
        return min(self.credit, FOLLOW_EVENT_ITEMS)

    @property
    def heartbeat_at(self) -> float:
        """When to `tick`."""
        return self._told_at + self._heartbeat_s

    def take(self, batch: Batch, now: float) -> list[Told]:
        """What to tell of what was read.

        Args:
            batch: read after `place`, of at most `wanted` items.
        """
        assert len(batch.items) <= self.wanted, "no more is read than there is credit for"
        told: list[Told] = []
        if batch.gap is not None:
            # Whoever goes on from before the items is told of the gap again, and of them.
            told.append(Lost(batch.place if not batch.items else self.place, batch.gap))
        if batch.items:
            told.append(Items(batch.place, batch.items))
            self.credit -= len(batch.items)
        self.place = batch.place
        if told:
            self._told_at = now
        return told

    def tick(self, now: float) -> list[Told]:
        """The heartbeat, if it is time for one."""
        if now < self.heartbeat_at:
            return []
        self._told_at = now
        return [Heartbeat(self.place)]


def pack_event(subscription: int, cursor: bytes, told: Told) -> bytes:
    """The map of a `feed.event`, packed.

    Args:
        subscription: its number.
        cursor: of the place in `told`.
    """
    head = codec.pack("subscription") + codec.pack(subscription) + codec.pack("cursor") + codec.pack(cursor)
    if isinstance(told, Items):
        body = codec.pack("items") + array_header(len(told.items)) + b"".join(told.items)
    elif isinstance(told, Lost):
        gap = told.gap
        wire: dict[str, object] = {"from": gap.from_ms, "to": gap.to_ms, "reason": gap.reason}
        if gap.range is not None:
            wire["range"] = gap.range
        body = codec.pack("gap") + codec.pack(wire)
    else:
        body = codec.pack("heartbeat") + codec.pack(True)
    return b"\x83" + head + body


def pack_end(subscription: int, error: WireError) -> bytes:
    """The map of the last `feed.event` of a subscription, packed: why there will be no more."""
    return codec.pack({"subscription": subscription, "error": error.to_wire()})
