"""Searches and ranked feeds: what curators were told of them.

In the quiet every page is what all cells of the cluster come to. A search finds the posts that have the
word, of those who want to be found; nobody sees whom they block or mute, or who blocks them; and a ranked
feed is put in order anew, by the document and what cells say of each post. Of answers to posts of people who
block the one who answers no more is said than that they may be missing.

At any time a post is on a page once, and the terms of its score add up to it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from folkmoot.node.simulation.checkers.verdict import Evidence, HeldCells, Inquiry, Verdict
from folkmoot.node.simulation.page_history import Entry, RankedPage, Searched
from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.flag import is_on
from folkmoot.protocol.key import KIND_AT, KIND_BYTE
from folkmoot.protocol.limits import ACCOUNT_BYTES
from folkmoot.protocol.projections.entries import public_of, tag_form
from folkmoot.protocol.ranking.document import Document, Origin, parse_document, version_of
from folkmoot.protocol.ranking.program import compiled
from folkmoot.protocol.ranking.scoring import Candidate, rank, terms_of
from folkmoot.protocol.ranking.shipped import SHIPPED
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeMap

Ref = tuple[bytes, bytes]
"""A post: its author and its item."""

KINDS: Final = {
    KIND_BYTE[kind]: kind for kind in ("post", "like", "follow", "block", "mute", "profile", "algorithm")
}
CANDIDATES_MAX: Final = 150  # above which sources would be cut


@dataclass(slots=True)
class Settled:
    """What all cells come to, as far as pages are made of it.

    Attributes:
        posts: those that stand, as they are shown.
        likes: of each post, by how many it is liked.
        edges: (kind, account, other) of follows and blocks that are on.
        mutes: of each account the mutes that are on: the item and what it says.
        hidden: who does not want to be found.
        algorithms: of each account and name, the record.
    """

    posts: dict[Ref, Record] = field(default_factory=dict)
    likes: Counter[Ref] = field(default_factory=Counter)
    edges: set[tuple[str, bytes, bytes]] = field(default_factory=set)
    mutes: dict[bytes, list[Record]] = field(default_factory=lambda: defaultdict(list))
    hidden: set[bytes] = field(default_factory=set)
    algorithms: dict[tuple[bytes, str], Record] = field(default_factory=dict)

    def add(self, kind: str, cell: Cell) -> None:
        """Take one cell into account."""
        record = cell.winner
        match kind:
            case "post" if not cell.deleted:
                self.posts[record.author, record.item] = record
            case "like" if is_on(cell):
                self.likes[record.place, record.item[:-ACCOUNT_BYTES]] += 1
            case "follow" | "block" if is_on(cell):
                self.edges.add((kind, record.author, record.item))
            case "mute" if is_on(cell):
                self.mutes[record.author].append(record)
            case "profile" if record.item == b"searchable" and record.body.get("value") is False:
                self.hidden.add(record.author)
            case "algorithm":
                self.algorithms[record.author, record.item.decode()] = record

    def is_unwanted(self, viewer: bytes, ref: Ref) -> bool:
        """Whether a viewer is not to see a post, whatever page it is on."""
        author, _ = ref
        if author == viewer:
            return False
        if ("block", viewer, author) in self.edges or ("block", author, viewer) in self.edges:
            return True
        return any(self._is_muted(mute, ref) for mute in self.mutes[viewer])

    def may_be_missing(self, viewer: bytes, ref: Ref) -> bool:
        """Whether a post answers somebody who blocks its author, or belongs to a muted thread, perhaps."""
        threads = {mute.item for mute in self.mutes[viewer]}
        at: Ref | None = ref
        seen: set[Ref] = set()
        while at is not None and at not in seen:
            seen.add(at)
            if ("block", at[0], ref[0]) in self.edges or at[0] + at[1] in threads:
                return ref[0] != viewer
            post = self.posts.get(at)
            answered = {} if post is None else post.body.get("reply_to", {})
            at = (answered["author"], answered["item"]) if answered else None
        return False

    def _is_muted(self, mute: Record, ref: Ref) -> bool:
        author, item = ref
        if mute.item == author:
            return "reposts" not in mute.body
        if "word" in mute.body:
            body = self.posts[ref].body
            said = " ".join((body["text"], *(f"#{tag}" for tag in body.get("tags", ()))))
            return mute.body["word"] in said.casefold()
        return mute.item == author + item and "reply_to" not in self.posts[ref].body  # else it is no thread


def check(evidence: Evidence) -> Verdict:
    """Hold every page to what it was made of."""
    inquiry = Inquiry("pages")
    history = evidence.history
    cells = settled(evidence.held, evidence.ranges)
    pages: list[Searched | RankedPage] = [*history.searches, *history.rankings]
    for page in pages:
        refs = [(entry.author, entry.item) for entry in page.entries]
        if inquiry.fails(len(set(refs)) == len(refs)):
            inquiry.complain(f"{page.node} told {_viewer(page)} a post twice on one page")
    for searched in history.searches:
        if searched.settled:
            _judge_search(inquiry, searched, cells)
    for ranked in history.rankings:
        for entry in ranked.entries:
            if inquiry.fails(entry.why is not None and _adds_up(entry.why)):
                inquiry.complain(f"{ranked.node} told a score that is not the sum of its terms: {entry.why}")
        if ranked.settled:
            _judge_ranking(inquiry, ranked, cells)
    quiet = [page for page in pages if page.settled]
    if never := history.counts.get("pages never told", 0):
        inquiry.complain(f"{never} pages were not told in the quiet, however often they were asked for")
    return inquiry.verdict({"pages": len(pages), "settled": len(quiet)})


def settled(held: Sequence[HeldCells], ranges: RangeMap) -> Settled:
    """What the cells of all ranges come to: of each what its first replica holds."""
    found = Settled()
    by_id = {each.node_id: each for each in held}
    for owner in ranges.ranges:
        holder = next((by_id[node] for node in owner.nodes() if node in by_id), None)
        for key, cell in () if holder is None else holder.cells.items():
            kind = KINDS.get(key[KIND_AT])
            if kind is not None and owner.covers(key):
                found.add(kind, Cell.decode(cell))
    return found


def _judge_search(inquiry: Inquiry, searched: Searched, cells: Settled) -> None:
    """All posts that have the word are found, and no others."""
    having = {ref for ref, post in cells.posts.items() if searched.word in post.body["text"].casefold()}
    may = {ref for ref in having if ref[0] not in cells.hidden}
    found = {(entry.author, entry.item) for entry in searched.entries}
    where = f"{searched.node}, asked by {_viewer(searched)}"
    for _, item in sorted(found - may):
        inquiry.complain(f"{where}, found post {item.hex()}, which is not to be found")
    _judge_seen(inquiry, where, searched.viewer, may, found, cells)


def _judge_seen(
    inquiry: Inquiry, where: str, viewer: bytes, may: Iterable[Ref], found: set[Ref], cells: Settled
) -> None:
    """What a viewer wants to see is there, and what they do not is not."""
    for ref in sorted(may):
        inquiry.compared += 1
        unwanted = cells.is_unwanted(viewer, ref)
        if unwanted and ref in found:
            inquiry.complain(f"{where}, showed post {ref[1].hex()}, which is blocked or muted")
        if not unwanted and ref not in found and not cells.may_be_missing(viewer, ref):
            inquiry.complain(f"{where}, did not show post {ref[1].hex()}")


def _judge_ranking(inquiry: Inquiry, page: RankedPage, cells: Settled) -> None:
    where = f"{page.node}, asked by {_viewer(page)} for {page.algorithm}"
    document = _document(page, cells)
    if inquiry.fails(document is not None) or document is None:
        inquiry.complain(f"{where}, ranked by a document that is not the one there is")
        return
    shown = {(entry.author, entry.item): entry for entry in page.entries}
    gone = [ref for ref in shown if ref not in cells.posts]
    if inquiry.fails(not gone):
        inquiry.complain(f"{where}, showed posts that do not stand: {[item.hex() for _, item in gone]}")
        return
    only_tags = [source.origin for source in document.sources] == [Origin.TAGS]
    of_shipped = isinstance(page.algorithm, str)
    tagged = {ref for ref in cells.posts if only_tags and _forms(document) & set(_tags(cells, ref))}
    if only_tags and page.complete and not of_shipped and len(tagged) < CANDIDATES_MAX:
        may = {each.ref for each in _ranked(document, page, tagged, shown, cells)}
        for _, item in sorted(shown.keys() - may):
            inquiry.complain(f"{where}, showed post {item.hex()}, which no source has")
        _judge_seen(inquiry, where, page.viewer, may, set(shown), cells)
    else:
        _judge_seen(inquiry, where, page.viewer, shown, set(shown), cells)
    if of_shipped:
        return  # their signals are of more than cells say by themselves
    order = []
    for ranked in _ranked(document, page, shown, shown, cells):
        inquiry.compared += 1
        order.append(ranked.ref)
        why = shown[ranked.ref].why
        if why is None or (why["score"], why["terms"]) != (ranked.score, ranked.terms):
            inquiry.complain(f"{where}, told {why}; it is {ranked.score}, {ranked.terms}")
    if order != list(shown):
        inquiry.complain(f"{where}, showed posts in another order than that of their scores")


@dataclass(frozen=True, slots=True)
class _Ranked:
    ref: Ref
    score: int
    terms: list[dict[str, Any]]


def _ranked(
    document: Document, page: RankedPage, refs: Iterable[Ref], shown: dict[Ref, Entry], cells: Settled
) -> Iterator[_Ranked]:
    """Some posts in the order of a document, worked out anew."""
    refs = list(refs)
    candidates = [
        Candidate(
            item + public_of(author),
            author,
            _signals(document, page, (author, item), shown.get((author, item)), cells),
        )
        for author, item in refs
    ]
    for each in rank(compiled(document), candidates, lambda: False).ranked:
        yield _Ranked(refs[each.candidate], each.score, terms_of(document, each))


def _signals(
    document: Document, page: RankedPage, ref: Ref, entry: Entry | None, cells: Settled
) -> dict[str, Any]:
    """What cells say of a post: all that curators' documents speak of."""
    body = cells.posts[ref].body
    since_ms = post_time_ms(ref[1]) if entry is None or entry.reposted_ms is None else entry.reposted_ms
    return {
        "age_s": max(0, page.as_of_ms - since_ms) / 1000,
        "likes": float(cells.likes[ref]),
        "length": float(len(body["text"])),
        "tag_hits": float(len(_forms(document) & set(_tags(cells, ref)))),
        "followed": ("follow", page.viewer, ref[0]) in cells.edges,
        "is_reply": "reply_to" in body,
        "own": ref[0] == page.viewer,
    }


def _forms(document: Document) -> set[str]:
    """The tags that a document asks for."""
    return {tag_form(tag) for source in document.sources if source.tags for tag in source.tags}


def _tags(cells: Settled, ref: Ref) -> list[str]:
    return [tag_form(tag) for tag in cells.posts[ref].body.get("tags", ())]


def _document(page: RankedPage, cells: Settled) -> Document | None:
    """What a page was made by; None when it names another version."""
    if isinstance(page.algorithm, str):
        wire = SHIPPED[page.algorithm]
        return parse_document(wire) if version_of(wire) == page.version else None
    record = cells.algorithms.get(page.algorithm)
    if record is None or record.id != page.version or "document" not in record.body:
        return None
    return parse_document(record.body["document"])


def _adds_up(why: Any) -> bool:
    return bool(why["score"] == sum(term["points"] for term in why["terms"]))


def _viewer(page: Searched | RankedPage) -> str:
    return page.viewer.hex()[-8:]
