"""Selecting: which of the posts that stand in a feed a viewer sees, and what is said of them first.

What decides is `protocol.feed.audience`. Here it is given what it asks for: the posts that are answered and
quoted, and which of the follows and blocks that matter are on. Most posts need nothing of that, and of those
nobody in particular looks at nothing is even read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import trio
from folkmoot.node.contracts import Reading
from folkmoot.node.projections.definitions import Defining
from folkmoot.node.projections.labelled import Labelled
from folkmoot.node.projections.listings import Place
from folkmoot.node.projections.posts import Posts, Ref, Unreached
from folkmoot.protocol import limits
from folkmoot.protocol.bodies import make_uuid7, post_time_ms
from folkmoot.protocol.crdt.flag import says_on
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.feed import threads
from folkmoot.protocol.feed.audience import Audience, Candidate, Decision, Hide, PageKind, Reason, Show, Warn
from folkmoot.protocol.feed.cautions import Heeding
from folkmoot.protocol.feed.controls import Edge
from folkmoot.protocol.feed.threads import STEPS, answered_by, first_of, heads, ref_of, strays, unknown_above
from folkmoot.protocol.feed.viewer import PUBLIC, Viewer
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.moderation.outcome import NOTHING
from folkmoot.protocol.record import Record
from folkmoot.protocol.token import Token
from folkmoot.storage.shown_post import Post

Found = Post | Unreached | None
_DECIDED_AT_ONCE: Final = 16
"""Posts in which words are looked for before others have their turn: a text may take milliseconds."""

_Known = dict[threads.Ref, Record | None]
"""Posts that were looked up; None for those that were deleted."""
_Marked = dict[threads.Ref, Post]
"""Those of them that were decided on, or bear labels."""


class Selected(NamedTuple):
    """What becomes of a post on a page.

    Args:
        decision: see `audience`.
        strays: whether it names a thread that what it answers does not belong to; see `threads`.
    """

    decision: Decision
    strays: bool = False

    @property
    def more(self) -> dict[str, Any]:
        """What its item says besides record, labels and counts."""
        match self.decision:
            case Warn(cautions, without_quote):
                said: dict[str, Any] = {"cautions": [caution.told() for caution in cautions]}
                return said if without_quote is None else {**said, "quote_hidden": without_quote.value}
            case Show(without_quote) if without_quote is not None:
                return {"quote_hidden": without_quote.value}
        return {}


_SHOW: Final = Selected(Show())
_CLOCK: Final = Selected(Hide(Reason.CLOCK))


class Selection:
    """See the module.

    Args:
        posts: reads posts from wherever they are kept.
        reading: reads the flags of others.
        labelled: the labels that viewers heed.
        defining: what these mean.
        now_us: wall time, microseconds since 1970.
        reviews: whether an account (34 bytes) may decide about what is shown.
    """

    def __init__(
        self,
        posts: Posts,
        reading: Reading,
        labelled: Labelled,
        defining: Defining,
        now_us: Callable[[], int],
        reviews: Callable[[bytes], bool],
    ) -> None:
        self._posts = posts
        self._reading = reading
        self._labelled = labelled
        self._defining = defining
        self._now_us = now_us
        self._reviews = reviews

    def plain(self, places: Sequence[Place], found: Sequence[Found]) -> list[bytes] | None:
        """The items of posts that are shown to nobody in particular as they are; None when one is not so
        simple."""
        latest = make_uuid7((self._now_us() + limits.STAMP_AHEAD_US) // 1000 + 1, 0)
        for place in places:
            if place.reposter is not None or place.why is not None or place.ref.item >= latest:
                return None
        items = [post.item for post in found if isinstance(post, Post) and not post.telling]
        return items if len(items) == len(found) else None

    async def select(
        self,
        viewer: Viewer,
        kind: PageKind,
        places: Sequence[Place],
        found: Sequence[Found],
        of: Ref | None = None,
    ) -> list[Selected]:
        """What becomes of each post; of what is deleted or unknown nothing is asked.

        Args:
            viewer: who looks.
            kind: of the page.
            places, found: the posts, and where they stand.
            of: what the thread begins with that they stand in; its author says who may answer in it.
        """
        now_us = self._now_us()
        decided: dict[int, Selected] = {}
        waiting: dict[int, tuple[Place, Post, Record]] = {}
        latest_ms = (now_us + limits.STAMP_AHEAD_US) // 1000
        for number, (place, post) in enumerate(zip(places, found, strict=True)):
            if not isinstance(post, Post) or post.frame is None:
                decided[number] = _SHOW
            elif viewer is PUBLIC and not post.telling:
                is_ahead = kind is not PageKind.AUTHOR and post_time_ms(place.ref.item) > latest_ms
                decided[number] = _CLOCK if is_ahead else _SHOW
            else:
                waiting[number] = (place, post, post.record)
        if waiting:
            reviews = viewer.account is not None and self._reviews(viewer.account)
            candidates, heeding = await self._candidates(list(waiting.values()), of, viewer)
            audience = Audience(viewer, kind, now_us, reviews=reviews, heeding=heeding)
            edges = await self.on(audience.edges_asked(each for each, _ in candidates))
            for count, (number, (each, is_stray)) in enumerate(zip(waiting, candidates, strict=True), 1):
                decided[number] = Selected(audience.decide(each, edges), is_stray)
                if viewer.words and not count % _DECIDED_AT_ONCE:
                    await trio.lowlevel.checkpoint()
        return [decided[number] for number in range(len(places))]

    async def _candidates(
        self, posts: Sequence[tuple[Place, Post, Record]], of: Ref | None, viewer: Viewer
    ) -> tuple[list[tuple[Candidate, bool]], Heeding]:
        """The posts with the others that decide about them, as far as they are known, and whether each
        strays from the thread that it names; and how the labels on them are heeded."""
        records = [record for _, _, record in posts]
        quoted = {id(record): _ref(record.body.get("quote")) for record in records}
        answering = [record for record in records if "reply_to" in record.body]
        known, marked = await self._above(answering, [of, *quoted.values()])
        behind = {ref: marked[ref] for ref in quoted.values() if ref is not None and ref in marked}
        pairs = chain(behind.items(), ((place.ref, post) for place, post, _ in posts))
        labels, heeding = await self._heard(pairs, viewer)

        def candidate(place: Place, post: Post, record: Record) -> tuple[Candidate, bool]:
            quoted_ref = quoted[id(record)]
            shown = None if quoted_ref is None else known.get(quoted_ref)
            made = Candidate(
                record,
                quoted=shown,
                labels=labels.get(place.ref, ()),
                reposter=place.reposter,
                reposted_us=1000 * (place.reposted_ms or 0),
                outcome=post.outcome,
                quoted_outcome=behind[quoted_ref].outcome if quoted_ref in behind else NOTHING,
                quoted_labels=() if quoted_ref is None else labels.get(quoted_ref, ()),
                quote_deleted=shown is None and quoted_ref in known,
            )
            answered = answered_by(record)
            if answered is None:
                return made, False
            begins = heads(record, known.get)
            if of is not None and of not in begins:
                begins.append(of)
            firsts = [first for first in map(known.get, begins) if first is not None]
            names = [author + item for author, item in begins]
            answer = made._replace(parent=known.get(answered), firsts=firsts, threads=names)
            return answer, strays(record, known.get)

        return [candidate(*each) for each in posts], heeding

    async def _heard(
        self, posts: Iterable[tuple[Ref, Post]], viewer: Viewer
    ) -> tuple[Mapping[Ref, Sequence[Label]], Heeding]:
        """The labels on some posts that a viewer heeds, and how."""
        community, chosen = self._defining.community, viewer.labelling.labellers
        bearing = {ref: post for ref, post in posts if post.labels or post.labels_cut}
        if not bearing:
            return {}, Heeding(viewer.labelling, {}, community)
        labels, labellers = await self._labelled.heard(bearing, chosen.keys(), self._now_us())
        definitions = await self._defining.of(sorted(labellers)) if labellers else {}
        return labels, Heeding(viewer.labelling, definitions, community)

    async def first_of(self, post: Record) -> Ref:
        """What the thread of a post begins with, as far as what stands above it can be read."""
        known, _ = await self._above([post], [])
        return Ref(*first_of(post, known.get))

    async def _above(self, posts: Sequence[Record], others: Iterable[Ref | None]) -> tuple[_Known, _Marked]:
        """What stands above some posts (see `protocol.feed.threads`), and others besides; and those of them
        that were decided on, or bear labels."""
        known: _Known = {}
        marked: _Marked = {}
        asked: set[threads.Ref] = set()
        wanted = [*filter(None, others), *unknown_above(posts, known.get)]
        for _ in range(STEPS + 1):
            some = [Ref(*ref) for ref in wanted if ref not in asked]
            if not some:
                break
            asked.update(some)
            found, some_marked = await self._records(some)
            known |= found
            marked |= some_marked
            wanted = unknown_above(posts, known.get)
        return known, marked

    async def _records(self, refs: Iterable[Ref]) -> tuple[_Known, _Marked]:
        """Some posts, as far as they can be read, and those that were decided on, or bear labels."""
        wanted = list(dict.fromkeys(refs))
        if not wanted:
            return {}, {}
        found = await self._posts.read(wanted)
        posts = {ref: post for ref, post in zip(wanted, found, strict=True) if isinstance(post, Post)}
        known: _Known = {ref: None if post.frame is None else post.record for ref, post in posts.items()}
        return known, {ref: post for ref, post in posts.items() if _is_marked(post)}

    async def on(self, edges: Iterable[Edge]) -> frozenset[Edge]:
        """Those of some flags that are on; one that cannot be found out is off."""
        keys = {cell_key(edge.author, edge.kind, edge.other): edge for edge in dict.fromkeys(edges)}
        cells = await self.cells(list(keys))
        return frozenset(keys[key] for key, cell in cells.items() if says_on(cell))

    async def cells(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The encoded cells at some keys, as far as there are such and they can be read."""
        cells: dict[bytes, bytes | None] = {}
        own, elsewhere = self._posts.divided(keys)
        cells.update(zip(own, self._posts.own_cells(own), strict=True))
        for start in range(0, len(elsewhere), limits.KEYS_PER_GET):
            some = elsewhere[start : start + limits.KEYS_PER_GET]
            try:
                read = await self._reading.get(some, "one", Token())
            except WireError:
                continue
            cells.update(zip(some, read.cells, strict=True))
        return {key: cell for key, cell in cells.items() if cell is not None}


def _is_marked(post: Post) -> bool:
    return bool(post.decisions or post.labels or post.labels_cut)


def labels_of(post: Post, trusted: Collection[bytes], now_us: int) -> list[Label]:
    """The labels that readers are to be told of: those of the cluster's own nodes that hold at a time
    (microseconds since 1970)."""
    return [label for label in post.said if label.labeller in trusted and label.holds(now_us)]


def _ref(value: Mapping[str, Any] | None) -> Ref | None:
    """A post that another one names."""
    ref = ref_of(value)
    return None if ref is None else Ref(*ref)
