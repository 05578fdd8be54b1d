"""Applying a change: what each projection makes of a cell that is another than before."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import KIND_BYTE, KIND_NAME, KINDS_PRIVATE, KeyParts, parse_key
from folkmoot.protocol.projections.entries import LOOKS_AT, Projection, entries_of
from folkmoot.protocol.projections.facts import Facts, facts_of, is_projected
from folkmoot.storage.changes import changes
from folkmoot.storage.deliveries import Left
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.inboxes import Bounds, Inboxes, Keeps
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.noticing import Notices
from folkmoot.storage.projections import ProjectionBook
from folkmoot.storage.rows import row_cell

OF_NO_USE: Final = {
    projection: frozenset(KIND_NAME) - {KIND_BYTE[kind] for kind in kinds}
    for projection, kinds in LOOKS_AT.items()
}
"""Of each projection the kinds of cells that it is not made of, as bytes of keys."""


class Changed(NamedTuple):
    """A cell that has changed.

    Args:
        position: of the change in the log it was read from.
        key: the cell's.
        facts: what is to be known of it now.
    """

    position: int
    key: bytes
    facts: Facts


class Batch(NamedTuple):
    """Some changes of one lane of a log, as projections need them.

    Args:
        changed: in the order of the log, of cells that projections look at.
        reached: up to and including this position nothing else has changed.
        head: the log's last position; when `reached` is as far, there is no more.
    """

    changed: list[Changed]
    reached: int
    head: int

    def position_after(self, count: int) -> int:
        """Up to where the log is done with once so many of the changes are applied."""
        return self.reached if count == len(self.changed) else self.changed[count - 1].position

    def until(self, position: int) -> Batch:
        """What of it was up to a position."""
        changed = [change for change in self.changed if change.position <= position]
        return Batch(changed, min(self.reached, position), min(self.head, position))


def read_batch(
    engine: Engine,
    lane: int,
    after: int,
    limit: int,
    start: bytes,
    end: bytes,
    *,
    private: bool,
    most: int | None = None,
    without: Container[int] = (),
) -> Batch:
    """The next changes of a lane.

    Args:
        engine: the store's.
        lane, after, limit, start, end, most, without: see `changes.changes`.
        private: whether what only its author may read is among them.

    Raises:
        StoreCorrupt: the number of the last change is damaged. Of damaged cells nothing is told: they are
            mended, and have changed then.
    """
    with engine.begin() as transaction:
        read = changes(transaction, lane, after, limit, start, end, most=most, without=without)
        rows = [
            (each, transaction.get(Table.CELLS, each.key)) for each in read.rows if is_projected(each.key)
        ]
    changed = []
    for (position, key), row in rows:
        if row is None or (not private and parse_key(key).kind in KINDS_PRIVATE):
            continue
        try:
            changed.append(Changed(position, key, facts_of(Cell.decode(row_cell(key, row)))))
        except (StoreCorrupt, WireError):
            continue
    return Batch(changed, read.reached, read.head)


class Part(IntEnum):
    """Which part of what a projection is made of is applied.

    A home feed that is built anew is made by two runs. The one through all logs puts posts and reposts into
    the inboxes of those who follow by then; who they are is known already. What becomes known of it only
    while that run is under way, the main run brings: it has inboxes that are being built be filled by a
    follow, or rid of who is not followed any more, as those that are read. So no inbox is filled twice.
    """

    ALL = 0
    POSTS = 1
    FOLLOWS = 2


class Target(NamedTuple):
    """A projection on its way through the logs, into one of its generations.

    Args:
        part: see there; of others than home feeds it is all.
    """

    projection: Projection
    generation: int
    part: Part = Part.ALL


class Application:
    """See the module. One for each transaction; what was applied is there once it was written with `write`.

    Args:
        book: the transaction's.
        targets: what is projected.
        followers: the generation of followers that is read.
        keeps: see `Keeps`.
        bounds: of inboxes and lists of notices.
        now_us: wall time, microseconds since 1970.
    """

    def __init__(
        self,
        book: ProjectionBook,
        targets: Iterable[Target],
        followers: int,
        keeps: Keeps,
        bounds: Bounds,
        now_us: int,
    ) -> None:
        self._book = book
        # Home feeds come after followers: they are filled from what is known of these.
        self._targets = sorted(targets)
        self._keeps = keeps
        self._inboxes = {
            target: Inboxes(book, target.generation, followers, keeps, bounds, now_us)
            for target in self._targets
            if target.projection is Projection.HOME
        }
        self._notices = {
            target: Notices(book, target.generation, keeps, bounds.notices_max)
            for target in self._targets
            if target.projection is Projection.NOTIFICATIONS
        }

    @property
    def cost(self) -> int:
        """How many rows were written, or wait to be, or were looked up because there may be many."""
        return self._book.written + sum(inboxes.cost for inboxes in self._inboxes.values())

    def apply(self, change: Changed) -> None:
        """Bring the projections up to what a cell is now; doing it again changes nothing.

        Raises:
            DiskFull: nothing was changed.
        """
        parts = parse_key(change.key)
        for target in self._targets:
            projection = target.projection
            if parts.kind not in LOOKS_AT[projection]:
                continue
            if projection is Projection.HOME:
                _fill(self._inboxes[target], target.part, change, parts)
            elif projection is Projection.NOTIFICATIONS:
                self._notices[target].apply(change.key, parts, change.facts)
            else:
                entries = [
                    entry
                    for entry in entries_of(projection, parts, change.facts)
                    if any(map(self._keeps, entry.places(change.key)))
                ]
                self._book.replace(projection, target.generation, change.key, entries)

    def write(self, most: int | None = None) -> Mapping[Target, Left]:
        """Write what waits.

        Args:
            most: about so many rows in the whole transaction; any number, if not given.

        Returns:
            What is to be gone on with in further transactions, before anything else is applied; what was
            applied is there after the last of them.

        Raises:
            DiskFull: nothing was changed.
        """
        left = {target: inboxes.write(most) for target, inboxes in self._inboxes.items()}
        return {target: each for target, each in left.items() if each is not None}

    def go_on(self, left: Mapping[Target, Left], most: int) -> Mapping[Target, Left]:
        """Write what an application in another transaction has left; see `write`."""
        still = {target: self._inboxes[target].go_on(each, most) for target, each in left.items()}
        return {target: each for target, each in still.items() if each is not None}


def _fill(inboxes: Inboxes, part: Part, change: Changed, parts: KeyParts) -> None:
    """Bring inboxes up to what a cell is now."""
    place, kind, item = parts
    on = change.facts.on
    match kind:
        case "follow" if part is Part.POSTS:
            inboxes.weigh(item)
        case "follow":
            inboxes.followed(place, item, on=on)
        case _ if part is Part.FOLLOWS:
            return
        case "post":
            inboxes.posted(place, item, stands=on)
        case "repost":
            post, reposter = item[: limits.POST_ITEM_BYTES], item[limits.POST_ITEM_BYTES :]
            inboxes.reposted(change.key, reposter, change.facts.stamp, (place, post), on=on)
