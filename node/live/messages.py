"""`replica.changes`: what nodes ask of each other to follow a range."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from folkmoot.protocol import limits
from folkmoot.protocol.feed.places import PLACE_BYTES
from msgspec import Meta, Struct

CHANGES: Final = "replica.changes"

Bound = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)]
Place = Annotated[bytes, Meta(min_length=PLACE_BYTES, max_length=PLACE_BYTES)]


class ChangesAsked(Struct, frozen=True):
    """The parameters.

    Args:
        ranges: the claim of the range the slice is of: one id and epoch.
        start, end: of the cells with start ≤ key < end (an empty `end` is the end of the range).
        most: changes, at most.
        place: in whosever log (see `feed.places`); None to begin now.
        since_us: without a place: begin with what came at this time or later, microseconds since 1970.
        wait_ms: how long to wait for something to change when nothing has.
        public: leave out the kinds that only their authors may read.
        items: tell what stands at the keys, too, as items of pages.
    """

    ranges: Annotated[list[tuple[int, int]], Meta(min_length=1, max_length=1)]
    start: Bound
    end: Bound
    most: Annotated[int, Meta(ge=1, le=limits.FOLLOW_LOG_ROWS)]
    place: Place | None = None
    since_us: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)] | None = None
    wait_ms: Annotated[int, Meta(ge=0, le=int(limits.FOLLOW_WAIT_S * 1000))] = 0
    public: bool = True
    items: bool = False


class ChangesTold(Struct, frozen=True):
    """The answer.

    Args:
        how: what the answer goes on from: the place that was asked for (`exact`); one of this log, all before
            which the other one had (`proven`); what it can, something being lost in between (`lost`); or none
            was given (`begun`).
        place: up to which all has been told after this, in the log of who answers.
        head: the latest change of the store.
        more: whether there is more already.
        rows: (change, key) in order; of a cell the latest change.
        items: what stands at each key (see `feed.pages`), empty where nothing can be told; none if not asked.
        damaged: how many rows of the log could not be read.
    """

    how: Literal["exact", "proven", "lost", "begun"]
    place: Place
    head: int
    more: bool
    rows: Annotated[list[tuple[int, bytes]], Meta(max_length=limits.FOLLOW_LOG_ROWS)]
    items: Annotated[list[bytes], Meta(max_length=limits.FOLLOW_LOG_ROWS)]
    damaged: int
