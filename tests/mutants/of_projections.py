"""Bugs of projections: what is derived is forgotten, kept too long, or not made again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from folkmoot.node.actors.projector import Projector
from folkmoot.node.projections.stretches import KeptBlocks
from folkmoot.node.simulation.schedule import MOVES
from folkmoot.protocol.projections.entries import Entry, Index, Projection
from folkmoot.protocol.projections.notices import Crowd, Reaction
from folkmoot.storage.inbox import Inbox
from folkmoot.storage.inboxes import Inboxes, Shown
from folkmoot.storage.interface import Table
from folkmoot.storage.projecting import Application, Changed
from folkmoot.storage.projections import MAIN, Member, ProjectionBook, entry_key

from tests.mutants.mutant import ORDINARY, Plant, mutant


@mutant("what-was-made-of-it-stays", "a cell keeps the entries it was once made into", "projections")
def what_was_made_of_it_stays(plant: Plant) -> None:
    real = ProjectionBook.replace

    def replace(
        self: ProjectionBook, projection: Projection, generation: int, source: bytes, entries: list[Entry]
    ) -> None:
        if entries:
            real(self, projection, generation, source, entries)

    plant.setattr(ProjectionBook, "replace", replace)


@mutant("nobody-is-filled-in", "a new follow brings only what is posted later", "projections")
def nobody_is_filled_in(plant: Plant) -> None:
    def ask(self: Inboxes, group: bytes, account: bytes, *, stale: bool = False) -> None:
        return

    plant.setattr(Inboxes, "_ask", ask)


@mutant("unfollowed-and-still-there", "who was unfollowed stays in the inbox", "projections")
def unfollowed_and_still_there(plant: Plant) -> None:
    def take_out(self: Inboxes, group: bytes, account: bytes) -> None:
        return

    plant.setattr(Inboxes, "_take_out", take_out)


@mutant("deletions-are-not-news", "a post that is deleted stays in inboxes", "projections")
def deletions_are_not_news(plant: Plant) -> None:
    real = Inboxes._fan_out

    def fan_out(self: Inboxes, shown: Shown, stands: bool) -> None:
        if stands or shown.reposter is not None:
            real(self, shown, stands)

    plant.setattr(Inboxes, "_fan_out", fan_out)


@mutant("counted-whatever-was-there", "an entry that is made again is counted again", "projections", "I10")
def counted_whatever_was_there(plant: Plant) -> None:
    real = ProjectionBook.put

    def put(self: ProjectionBook, generation: int, entry: Entry) -> None:
        key = entry_key(entry.into, generation, entry.group, entry.member)
        self.rows.delete(Table.ENTRIES, key)
        real(self, generation, entry)

    plant.setattr(ProjectionBook, "put", put)


@mutant("tags-are-forgotten", "tags are not among the facts of a post", "projections")
def tags_are_forgotten(plant: Plant) -> None:
    real = Application.apply

    def apply(self: Application, change: Changed) -> None:
        real(self, change._replace(facts=msgspec.structs.replace(change.facts, tags=[])))

    plant.setattr(Application, "apply", apply)


@mutant(
    "new-ranges-are-not-read",
    "a node that comes to keep more reads none of it again",
    "projections",
    faults=(*ORDINARY, MOVES),
)
def new_ranges_are_not_read(plant: Plant) -> None:
    async def cover(self: Projector) -> None:
        self._kept = self._covered = self._kept.joined(KeptBlocks.of(self._ranges(), self._node_id))

    plant.setattr(Projector, "_cover_what_is_kept", cover)


@mutant("floors-hold-nothing-back", "what is below the floor of an inbox comes into it", "projections")
def floors_hold_nothing_back(plant: Plant) -> None:
    def put(self: Inbox, entries: Sequence[Member], *, news: bool = True) -> None:
        self._book.insert(Index.INBOX, self._generation, self._group, entries)
        if news:
            self.trim()

    plant.setattr(Inbox, "put", put)


@mutant("inboxes-are-never-counted", "an inbox keeps all that was ever put into it", "projections")
def inboxes_are_never_counted(plant: Plant) -> None:
    def trim(self: Inbox, least: bytes = b"") -> None:
        return

    plant.setattr(Inbox, "trim", trim)


@mutant("nobody-is-merged", "authors go into inboxes however many follow them", "projections")
def nobody_is_merged(plant: Plant) -> None:
    def weigh(self: Inboxes, account: bytes) -> None:
        return

    plant.setattr(Inboxes, "weigh", weigh)


@mutant("what-was-merged-stays", "who is no longer merged is filled in beside what was there", "projections")
def what_was_merged_stays(plant: Plant) -> None:
    def is_stale(self: Inboxes, group: bytes, account: bytes) -> bool:
        return False

    plant.setattr(Inboxes, "_is_stale", is_stale)


@mutant("rebuilt-from-where-it-ended", "a second rebuild reads on where the first one ended", "projections")
def rebuilt_from_where_it_ended(plant: Plant) -> None:
    real = ProjectionBook.forget_cursors

    def forget_cursors(self: ProjectionBook, run: int) -> None:
        if run == MAIN:
            real(self, run)

    plant.setattr(ProjectionBook, "forget_cursors", forget_cursors)


@mutant("mentions-are-forgotten", "who is named in a post is not told of it", "projections")
def mentions_are_forgotten(plant: Plant) -> None:
    real = Application.apply

    def apply(self: Application, change: Changed) -> None:
        real(self, change._replace(facts=msgspec.structs.replace(change.facts, mentions=[])))

    plant.setattr(Application, "apply", apply)


@mutant("liked-for-ever", "who takes a like back is still among those who like the post", "projections")
def liked_for_ever(plant: Plant) -> None:
    real = Crowd.changed

    def changed(self: Crowd, who: Reaction, *, on: bool) -> Crowd:
        return real(self, who, on=True) if on else self

    plant.setattr(Crowd, "changed", changed)
