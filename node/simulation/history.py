"""The history: every acknowledgement and every read of a run, as the clients saw them.

Checkers judge this and what the nodes hold, and nothing else: no promise is checked against what a node
believes of itself. Times are virtual seconds; sessions are numbered, and one session is one thing at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from folkmoot.node.simulation.client_history import Exchange
from folkmoot.node.simulation.key_history import DevicePost, KeyChange
from folkmoot.node.simulation.media_history import Audit, Looked
from folkmoot.node.simulation.page_history import RankedPage, Searched
from folkmoot.node.simulation.pictures import Picture
from folkmoot.protocol.crdt.clock import Clock
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.record import Record
from folkmoot.storage.media.layout import Name

if TYPE_CHECKING:
    # The checkers' package imports this module, whichever of its modules is asked for.
    from folkmoot.node.simulation.checkers.linearizability import Operation

# Levels at which a write meets every read of these levels.
QUORUM_LEVELS: Final = frozenset({"quorum", "each_quorum", "all"})
KEPT: Final = frozenset({"stored", "duplicate"})


@dataclass(frozen=True, slots=True)
class Ack:
    """A node said that it has a record.

    Args:
        record: which.
        sent_s, at_s: when that was asked, and when the answer came.
        asked: the level asked for.
        level: the level achieved, by the answer.
        session: who asked; None for a stranger who replays.
    """

    record: Record
    sent_s: float
    at_s: float
    asked: str
    level: str
    session: int | None


@dataclass(frozen=True, slots=True)
class CellView:
    """A cell as a client was told it.

    Args:
        clock: device → stamp.
        shown: (device, stamp) of the records, winner first.
        deleted: whether the cell is a deletion.
        on: whether a flag is on; False for what is no flag.
    """

    clock: Clock
    shown: tuple[tuple[bytes, int], ...]
    deleted: bool
    on: bool

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> CellView:
        """What `record.get` told."""
        records = [Record.from_wire(frame) for frame in wire["records"]]
        return cls(
            {bytes.fromhex(device): stamp for device, stamp in wire["clock"].items()},
            tuple((record.device, record.stamp) for record in records),
            wire["deleted"],
            any(record.body.get("on") is True for record in records),
        )


@dataclass(frozen=True, slots=True)
class CellRead:
    """One cell of one answered read.

    Args:
        key: which.
        view: what was told; None for nothing.
        sent_s, at_s: when it was asked, and when the answer came.
        asked: the level asked for.
        level: the level achieved, by the answer.
        session: who asked.
    """

    key: bytes
    view: CellView | None
    sent_s: float
    at_s: float
    asked: str
    level: str
    session: int


class ShownPost(NamedTuple):
    """The record of a post that a page shows."""

    stamp: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class PageRead:
    """One answered `feed.author`, from the newest post on.

    Args:
        account: whose posts.
        shown: post item → the record shown.
        complete: whether the page says there is nothing more.
        sent_s, at_s, level: as for `CellRead`; the level is the one asked for.
    """

    account: bytes
    shown: Mapping[bytes, ShownPost]
    complete: bool
    sent_s: float
    at_s: float
    level: str

    def reaches(self, item: bytes) -> bool:
        """Whether a post with this item would have to be on the page."""
        return self.complete or (bool(self.shown) and item > min(self.shown))


class Review(NamedTuple):
    """What a person decided about a post, once that was acknowledged.

    Args:
        post: the version that was judged.
        action: `release`, `reject`, `remove` or `restore`.
    """

    post: Record
    action: str


@dataclass(slots=True)
class History:
    """See the module.

    Attributes:
        submitted: every record any client ever sent, in order.
        acks, reads, pages: what was answered.
        registers: what was asked of each register, and answered.
        exchanges: what each session did, see `client_history`.
        kept_back: records that the policy refused or holds for review.
        key_changes, device_posts: what was answered to householders, see `key_history`.
        pictures: whatever was drawn, by account and hash.
        looked, visited: what was seen of media, under load and in the quiet.
        audits: what was told in the quiet of how much there is.
        ahead: media that were not waited for in the quiet, see `checkers.media.kept_ahead`.
        searches, rankings: the pages that curators were told.
        reviews: by a post's key, the last that was decided about it.
        counts: outcomes, for the report.
        ran_twice: whether a node did, see `without_weak_acks`.
    """

    submitted: list[Record] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    reads: list[CellRead] = field(default_factory=list)
    pages: list[PageRead] = field(default_factory=list)
    registers: dict[str, list[Operation]] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    kept_back: list[Record] = field(default_factory=list)
    key_changes: list[KeyChange] = field(default_factory=list)
    device_posts: list[DevicePost] = field(default_factory=list)
    pictures: dict[tuple[bytes, bytes], Picture] = field(default_factory=dict)
    looked: list[Looked] = field(default_factory=list)
    visited: list[Looked] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)
    ahead: set[Name] = field(default_factory=set)
    searches: list[Searched] = field(default_factory=list)
    rankings: list[RankedPage] = field(default_factory=list)
    reviews: dict[bytes, Review] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    ran_twice: bool = False
    _events: int = 0

    def next_event(self) -> int:
        """The place of a call or a return among all calls and returns."""
        self._events += 1
        return self._events

    def without_weak_acks(self, *, ran_twice: bool = False) -> History:
        """What remains of it where a disk may be lost: what only that disk acknowledged goes with it.

        Args:
            ran_twice: whether a node did. What was acknowledged at `all` has reached one of the two then, and
                whoever can ask only the other need not be told of it; so it counts as at `each_quorum`.
        """
        acks = [ack for ack in self.acks if ack.level in QUORUM_LEVELS]
        acks = [_below_all(ack) for ack in acks] if ran_twice else acks
        return replace(self, acks=acks, ran_twice=ran_twice)

    def count(self, outcome: str) -> None:
        """One more of these."""
        self.counts[outcome] = self.counts.get(outcome, 0) + 1


def _below_all(ack: Ack) -> Ack:
    level, asked = ("each_quorum" if each == "all" else each for each in (ack.level, ack.asked))
    return replace(ack, level=level, asked=asked)


def newest_acks(acks: Iterable[Ack]) -> dict[tuple[bytes, bytes], Ack]:
    """For each cell and device, the acknowledged record with the greatest stamp."""
    newest: dict[tuple[bytes, bytes], Ack] = {}
    for ack in acks:
        at = ack.record.key, ack.record.device
        if at not in newest or newest[at].record.stamp < ack.record.stamp:
            newest[at] = ack
    return newest


def key_of(wire: Iterable[Any]) -> bytes:
    """The cell key of `[place, kind, item]`."""
    place, kind, item = wire
    return cell_key(place, kind, item)
