"""Applying a change: what each projection makes of a cell that is another than before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import KINDS_PRIVATE, KeyParts, parse_key
from folkmoot.protocol.projections.entries import LOOKS_AT, Projection, entries_of
from folkmoot.protocol.projections.facts import Facts, facts_of, is_projected
from folkmoot.storage.changes import changes
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.inboxes import Bounds, Inboxes, Keeps
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.noticing import Notices
from folkmoot.storage.projections import ProjectionBook
from folkmoot.storage.rows import row_cell


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
    engine: Engine, lane: int, after: int, limit: int, start: bytes, end: bytes, *, private: bool
) -> Batch:
    """The next changes of a lane.

    Args:
        engine: the store's.
        lane, after, limit, start, end: see `changes.changes`.
        private: whether what only its author may read is among them.

    Raises:
        StoreCorrupt: the number of the last change is damaged. Of damaged cells nothing is told: they are
            mended, and have changed then.
    """
    with engine.begin() as transaction:
        read = changes(transaction, lane, after, limit, start, end)
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


class Target(NamedTuple):
    """A projection on its way through the logs, into one of its generations."""

    projection: Projection
    generation: int


class Application:
    """See the module.

    Args:
        targets: what is projected.
        followers: the generation of followers that is read.
        keeps: see `Keeps`.
        bounds: of inboxes and lists of notices.
        now_us: wall time, microseconds since 1970.
    """

    def __init__(
        self,
        targets: Iterable[Target],
        followers: int,
        keeps: Keeps,
        bounds: Bounds,
        now_us: int,
    ) -> None:
        self._now_us = now_us
        # Home feeds come after followers: they are filled from what is known of these.
        self._targets = sorted(targets)
        self._followers = followers
        self._keeps = keeps
        self._bounds = bounds

    def apply(self, book: ProjectionBook, change: Changed) -> None:
        """Bring the projections up to what a cell is now; doing it again changes nothing.

        Raises:
            DiskFull: nothing was changed.
        """
        parts = parse_key(change.key)
        for projection, generation in self._targets:
            if parts.kind not in LOOKS_AT[projection]:
                continue
            if projection is Projection.HOME:
                self._fill_inboxes(book, generation, change, parts)
            elif projection is Projection.NOTIFICATIONS:
                notices = Notices(book, generation, self._keeps, self._bounds.notices_max)
                notices.apply(change.key, parts, change.facts)
            else:
                entries = [
                    entry
                    for entry in entries_of(projection, parts, change.facts)
                    if any(map(self._keeps, entry.places(change.key)))
                ]
                book.replace(projection, generation, change.key, entries)

    def _fill_inboxes(self, book: ProjectionBook, generation: int, change: Changed, parts: KeyParts) -> None:
        inboxes = Inboxes(book, generation, self._followers, self._keeps, self._bounds, self._now_us)
        place, kind, item = parts
        on = change.facts.on
        match kind:
            case "post":
                inboxes.posted(place, item, stands=on)
            case "repost":
                post, reposter = item[: limits.POST_ITEM_BYTES], item[limits.POST_ITEM_BYTES :]
                inboxes.reposted(change.key, reposter, change.facts.stamp, (place, post), on=on)
            case "follow":
                inboxes.followed(place, item, on=on)
