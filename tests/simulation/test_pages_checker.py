"""The checker of pages finds what is planted in searches and ranked feeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from folkmoot.node.simulation.checkers import pages
from folkmoot.node.simulation.checkers.verdict import HeldCells
from folkmoot.node.simulation.page_history import Entry, RankedPage, Searched
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.ranking.document import parse_document
from folkmoot.protocol.record import Record
from folkmoot.storage.memory_engine import MemoryEngine

from tests.node.people import Author
from tests.simulation.test_verdicts import NODE, evidence

READER, WRITER, OTHER = (Author(number) for number in (11, 12, 13))
DOCUMENT: dict[str, Any] = {
    "title": "tea",
    "sources": [{"from": "tags", "tags": ["tea"]}],
    "terms": [
        {"name": "liked", "value": "likes", "weight": 1_000},
        {"name": "short", "value": "length < 20.0", "weight": 10},
    ],
}


def says(author: Author, text: str, **more: Any) -> Record:
    return author.record("post", author.item(), {"text": text, "tags": ["tea"], **more})


LIKED, PLAIN = says(WRITER, "good morning"), says(OTHER, "good morning to all of you")
LIKE = READER.record("like", LIKED.item + READER.account, {"on": True}, place=WRITER.account)
ALGORITHM = READER.record("algorithm", b"mine", {"document": DOCUMENT})
CELLS = (LIKED, PLAIN, LIKE, ALGORITHM)


def judged(*searches: Searched, rankings: Sequence[RankedPage] = (), more: Sequence[Record] = ()) -> str:
    cells = {record.key: Cell.of(record).encode() for record in (*CELLS, *more)}
    evidence_ = evidence(HeldCells("n", NODE, MemoryEngine(), cells))
    evidence_.history.searches.extend(searches)
    evidence_.history.rankings.extend(rankings)
    return " | ".join(pages.check(evidence_).complaints)


def search(*found: Record, settled: bool = True) -> Searched:
    entries = tuple(Entry(each.author, each.item, None, None) for each in found)
    return Searched(READER.account, "morning", "n", entries, settled)


def ranking(*posts: Record, change: Callable[[dict[str, Any]], None] = lambda why: None) -> RankedPage:
    """A page as it should be, in the order that is given."""
    cells = pages.Settled()
    for record in CELLS:
        cells.add(record.kind, Cell.of(record))
    page = RankedPage(
        READER.account, (READER.account, "mine"), "n", ALGORITHM.id, LIKED.stamp // 1000, (), True, True
    )
    refs = [(post.author, post.item) for post in (LIKED, PLAIN)]
    found = {each.ref: each for each in pages._ranked(parse_document(DOCUMENT), page, refs, {}, cells)}
    entries = []
    for post in posts:
        each = found[post.author, post.item]
        why = {"score": each.score, "terms": [dict(term) for term in each.terms]}
        change(why)
        entries.append(Entry(post.author, post.item, None, why))
    return replace(page, entries=tuple(entries))


def test_right_answers_pass() -> None:
    assert judged(search(PLAIN, LIKED), rankings=[ranking(LIKED, PLAIN)]) == ""


def test_searches_that_find_too_little_too_much_or_one_twice() -> None:
    assert "did not show" in judged(search(LIKED))
    assert "not to be found" in judged(search(LIKED, PLAIN, says(OTHER, "good morning")))
    assert "twice" in judged(search(LIKED, LIKED, PLAIN))
    assert judged(search(LIKED, settled=False)) == "", "under load it may be behind"


def test_who_does_not_want_to_be_found() -> None:
    hidden = OTHER.record("profile", b"searchable", {"value": False})
    assert "not to be found" in judged(search(LIKED, PLAIN), more=[hidden])
    assert judged(search(LIKED), more=[hidden]) == ""
    again = OTHER.record("profile", b"searchable", {"value": True})
    assert judged(search(LIKED, PLAIN), more=[again]) == ""


def test_blocks_and_mutes() -> None:
    for unwanted in (
        READER.record("block", OTHER.account, {"on": True}),
        OTHER.record("block", READER.account, {"on": True}),
        READER.record("mute", OTHER.account, {"on": True}),
        READER.record("mute", OTHER.account + PLAIN.item, {"on": True}),
    ):
        told = judged(search(LIKED, PLAIN), rankings=[ranking(LIKED, PLAIN)], more=[unwanted])
        assert told.count("blocked or muted") == 2
        assert judged(search(LIKED), rankings=[ranking(LIKED)], more=[unwanted]) == ""
    only_reposts = READER.record("mute", OTHER.account, {"on": True, "reposts": True})
    assert judged(search(LIKED, PLAIN), more=[only_reposts]) == ""


def test_answers_to_who_blocks_may_be_missing() -> None:
    ref = {"author": LIKED.author, "item": LIKED.item}
    answer = says(OTHER, "good morning", reply_to=ref)
    blocks = WRITER.record("block", OTHER.account, {"on": True})
    assert judged(search(LIKED, PLAIN), more=[answer, blocks]) == ""
    assert "did not show" in judged(search(LIKED, PLAIN), more=[answer])


def test_wrong_orders_scores_and_terms() -> None:
    def add(why: dict[str, Any]) -> None:
        why["score"] += 1

    def leave_out(why: dict[str, Any]) -> None:
        why["terms"].pop()

    def both(why: dict[str, Any]) -> None:
        why["score"] += 1
        why["terms"][0]["points"] += 1

    assert "another order" in judged(search(LIKED, PLAIN), rankings=[ranking(PLAIN, LIKED)])
    assert "did not show" in judged(search(LIKED, PLAIN), rankings=[ranking(LIKED)])
    assert "not the sum" in judged(search(LIKED, PLAIN), rankings=[ranking(LIKED, PLAIN, change=add)])
    assert "it is" in judged(search(LIKED, PLAIN), rankings=[ranking(LIKED, PLAIN, change=leave_out)])
    assert "it is" in judged(search(LIKED, PLAIN), rankings=[ranking(LIKED, PLAIN, change=both)])


def test_an_algorithm_that_has_changed_since() -> None:
    changed = READER.record("algorithm", b"mine", {"document": {**DOCUMENT, "title": "coffee"}})
    assert "not the one there is" in judged(
        search(LIKED, PLAIN), rankings=[ranking(LIKED, PLAIN)], more=[changed]
    )
