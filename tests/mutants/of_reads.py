"""Bugs of what answers reads: levels, write-back, tokens, pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import trio
from folkmoot.node import methods
from folkmoot.node.actors import feed_reader, intake, reader
from folkmoot.node.actors.feed_reader import FeedReader
from folkmoot.node.actors.reader import Reader
from folkmoot.node.contracts import Coverage
from folkmoot.protocol import token as tokens
from folkmoot.protocol.crdt import cell as cells
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.feed.pages import PackedPage
from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.token import Token
from folkmoot.storage import pages

from tests.mutants.mutant import Plant, mutant

SLOW: Final = ("disk",)
"""So that a write is for a while on one replica alone, and they all answer reads meanwhile."""

HOLES: Final = ("busy",)
"""So that each replica lacks something here and there, and is told of it later."""


@mutant("the-first-answer-is-taken", "a read at quorum does not look at what the others have", "I5")
def the_first_answer_is_taken(plant: Plant) -> None:
    async def settle(
        self: Reader, keys: list[bytes], nodes: Sequence[bytes], states: Mapping[bytes, Any]
    ) -> list[Any]:
        await trio.lowlevel.checkpoint()
        return list(states[nodes[0]])

    plant.setattr(Reader, "_settle", settle)


@mutant("nothing-is-written-back", "a quorum read tells a join that it gives to nobody", "I5", faults=SLOW)
def nothing_is_written_back(plant: Plant) -> None:
    async def write_back(self: Reader, node_id: bytes, pairs: object) -> None:
        await trio.lowlevel.checkpoint()

    plant.setattr(Reader, "_write_back", write_back)


@mutant("tokens-are-ignored", "a read is answered whatever its token says", "I9")
def tokens_are_ignored(plant: Plant) -> None:
    plant.setattr(reader, "_behind", lambda keys, cells, token: [])


@mutant("a-put-adds-nothing-to-the-token", "what a session wrote is not in its token", "I9")
def a_put_adds_nothing(plant: Plant) -> None:
    plant.setattr(intake, "_grown", lambda token, puts, results: token)


@mutant("a-read-adds-nothing-to-the-token", "what a session was shown is not in its token", "I9")
def a_read_adds_nothing(plant: Plant) -> None:
    plant.setattr(methods, "_seen", lambda read, keys: Token())


@mutant("a-pair-leaves-too-early", "one acknowledgement is taken for that of all slots", "I9")
def a_pair_leaves_too_early(plant: Plant) -> None:
    plant.setattr(Coverage, "complete", property(lambda self: bool(self.acks)))


@mutant("older-versions-are-shown", "what was superseded is told beside what stands", "I9")
def older_versions_are_shown(plant: Plant) -> None:
    real = cells.summary

    def summary(cell: Cell, *, history: bool = False) -> dict[str, Any]:
        return real(cell, history=True)

    plant.setattr(methods, "summary", summary)


@mutant("a-page-from-the-nearest", "a page comes from one replica, whatever level was asked for", "I5")
def a_page_from_the_nearest(plant: Plant) -> None:
    real = FeedReader.author_page

    async def author_page(
        self: FeedReader, account: bytes, before: bytes | None, limit: int, level: Level, token: Token
    ) -> PackedPage:
        return await real(self, account, before, limit, "one", Token())

    plant.setattr(FeedReader, "author_page", author_page)


@mutant("pages-are-not-compared", "of the replicas' pages the first is taken", "I5")
def pages_are_not_compared(plant: Plant) -> None:
    plant.setattr(feed_reader, "_differing", lambda pages: [])


@mutant(
    "what-moves-up-is-not-compared",
    "after differing pages are settled, the first is sent as it was",
    "I5",
    "I6",
    faults=HOLES,
)
def what_moves_up_is_not_compared(plant: Plant) -> None:
    """What takes the place of a post that was deleted may be old, or may be missing altogether."""
    real = feed_reader._differing
    settled = FeedReader._settle
    just_settled: set[trio.lowlevel.Task] = set()

    async def settle(self: FeedReader, keys: Sequence[bytes], level: Level) -> Any:
        just_settled.add(trio.lowlevel.current_task())
        return await settled(self, keys, level)

    def differing(shown: Any) -> list[bytes]:
        reading = trio.lowlevel.current_task()
        if reading in just_settled:
            just_settled.remove(reading)
            return []
        return real(shown)

    plant.setattr(FeedReader, "_settle", settle)
    plant.setattr(feed_reader, "_differing", differing)


@mutant("a-cursor-skips", "the next page begins one post too late", "I5")
def a_cursor_skips(plant: Plant) -> None:
    real = pages._posts

    def posts(transaction: Any, place: bytes, before: bytes | None, limit: int, bytes_max: int) -> Any:
        keys, frames, resume = real(transaction, place, before, limit, bytes_max)
        if before is not None and len(keys) > 1:
            return keys[1:], frames[1:], resume
        return keys, frames, resume

    plant.setattr(pages, "_posts", posts)


@mutant(
    "a-full-token-forgets",
    "a token that overflows drops pairs and flags no lane for it",
    "I9",
    faults=("partition", *HOLES, *HOLES),  # so that pairs cannot leave it, and somebody lacks what they name
)
def a_full_token_forgets(plant: Plant) -> None:
    real = tokens._bounded

    def bounded(seen: Mapping[bytes, Any], lanes: frozenset[int]) -> Token:
        return Token(real(seen, lanes).cells)

    plant.setattr(tokens, "_bounded", bounded)


@mutant("local-is-called-quorum", "a read at quorum asks a majority of its own region alone", "I5")
def local_is_called_quorum(plant: Plant) -> None:
    real = levels._required

    def required(level: Level, slots: Any, region: str) -> Any:
        return real("local_quorum" if level == "quorum" else level, slots, region)

    plant.setattr(levels, "_required", required)
