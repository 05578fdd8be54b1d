"""Selecting: which of the posts that stand in a feed a viewer sees, and what is said of them first.

What decides is `protocol.feed.audience`. Here it is given what it asks for: the posts that are answered and
quoted, and which of the follows and blocks that matter are on. Most posts need nothing of that, and of those
nobody in particular looks at nothing is even read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import trio
from folkmoot.node.contracts import Reading
from folkmoot.node.projections.listings import Place
from folkmoot.node.projections.posts import Posts, Ref, Unreached
from folkmoot.protocol import limits
from folkmoot.protocol.bodies import make_uuid7, post_time_ms
from folkmoot.protocol.crdt.flag import says_on
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.feed.audience import Audience, Candidate, Decision, Hide, PageKind, Reason, Show, Warn
from folkmoot.protocol.feed.controls import Edge
from folkmoot.protocol.feed.viewer import PUBLIC, Viewer
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.moderation.label import Label, parse_label
from folkmoot.protocol.moderation.outcome import NOTHING, Outcome
from folkmoot.protocol.record import Record
from folkmoot.protocol.token import Token
from folkmoot.storage.shown_post import Post

Found = Post | Unreached | None

_SHOW: Final = Show()
_CLOCK: Final = Hide(Reason.CLOCK)
_DECIDED_AT_ONCE: Final = 16
"""Posts in which words are looked for before others have their turn: a text may take milliseconds."""


class Selected(NamedTuple):
    """What becomes of a post on a page.

    Args:
        decision: see `audience`.
    """

    decision: Decision

    @property
    def more(self) -> dict[str, Any]:
        """What its item says besides record, labels and counts."""
        match self.decision:
            case Warn(cautions, without_quote):
                said: dict[str, Any] = {"cautions": [caution._asdict() for caution in cautions]}
                return said if without_quote is None else {**said, "quote_hidden": without_quote.value}
            case Show(without_quote) if without_quote is not None:
                return {"quote_hidden": without_quote.value}
        return {}


class Selection:
    """See the module.

    Args:
        posts: reads posts from wherever they are kept.
        reading: reads the flags of others.
        trusted: whose labels are heeded.
        now_us: wall time, microseconds since 1970.
        reviews: whether an account (34 bytes) may decide about what is shown.
    """

    def __init__(
        self,
        posts: Posts,
        reading: Reading,
        trusted: Callable[[], Collection[bytes]],
        now_us: Callable[[], int],
        reviews: Callable[[bytes], bool],
    ) -> None:
        self._posts = posts
        self._reading = reading
        self._trusted = trusted
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
        self, viewer: Viewer, kind: PageKind, places: Sequence[Place], found: Sequence[Found]
    ) -> list[Selected]:
        """What becomes of each post; of what is deleted or unknown nothing is asked.

        Args:
            viewer: who looks.
            kind: of the page.
            places, found: the posts, and where they stand.
        """
        now_us = self._now_us()
        decided: dict[int, Decision] = {}
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
            audience = Audience(viewer, kind, now_us, reviews=reviews)
            candidates = dict(zip(waiting, await self._candidates(list(waiting.values())), strict=True))
            edges = await self.on(audience.edges_asked(candidates.values()))
            for count, (number, each) in enumerate(candidates.items(), 1):
                decided[number] = audience.decide(each, edges)
                if viewer.words and not count % _DECIDED_AT_ONCE:
                    await trio.lowlevel.checkpoint()
        return [Selected(decided[number]) for number in range(len(places))]

    async def _candidates(self, posts: Sequence[tuple[Place, Post, Record]]) -> list[Candidate]:
        """The posts with the others that decide about them, as far as they are known."""
        answered = {id(record): _ref(record.body.get("reply_to")) for _, _, record in posts}
        quoted = {id(record): _ref(record.body.get("quote")) for _, _, record in posts}
        known, outcomes = await self._known(filter(None, (*answered.values(), *quoted.values())))
        roots: dict[Ref, Ref | None] = {}
        for ref in answered.values():
            parent = None if ref is None else known.get(ref)
            if ref is not None and parent is not None:
                roots[ref] = _ref(parent.body.get("root") or parent.body.get("reply_to"))
        known |= (await self._known(root for root in roots.values() if root and root not in known))[0]
        trusted, now_us = self._trusted(), self._now_us()

        def candidate(place: Place, post: Post, record: Record) -> Candidate:
            parent_ref, shown_ref = answered[id(record)], quoted[id(record)]
            parent = None if parent_ref is None else known.get(parent_ref)
            root_ref = None if parent_ref is None else roots.get(parent_ref)
            root = parent if root_ref is None else known.get(root_ref)
            shown = None if shown_ref is None else known.get(shown_ref)
            labels = labels_of(post, trusted, now_us) if post.labels else ()
            reposted_us = 1000 * (place.reposted_ms or 0)
            reposted = place.reposter, reposted_us
            decided = post.outcome, NOTHING if shown_ref is None else outcomes.get(shown_ref, NOTHING)
            return Candidate(record, parent, root, shown, labels, *reposted, *decided)

        return [candidate(*each) for each in posts]

    async def _known(self, refs: Iterable[Ref]) -> tuple[dict[Ref, Record], dict[Ref, Outcome]]:
        """The posts that are known and not deleted, and what was decided about those that are decided on."""
        wanted = list(dict.fromkeys(refs))
        if not wanted:
            return {}, {}
        found = await self._posts.read(wanted)
        posts = {
            ref: post
            for ref, post in zip(wanted, found, strict=True)
            if isinstance(post, Post) and post.frame is not None
        }
        outcomes = {ref: post.outcome for ref, post in posts.items() if post.decisions}
        return {ref: post.record for ref, post in posts.items()}, outcomes

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


def labels_of(post: Post, trusted: Collection[bytes], now_us: int) -> list[Label]:
    """The labels that readers are to be told of: those of the cluster's own nodes that hold at a time
    (microseconds since 1970)."""
    labels = (parse_label(each.item, each.body) for each in post.label_records if each.author in trusted)
    return [label for label in labels if label.holds(now_us)]


def _ref(value: Mapping[str, Any] | None) -> Ref | None:
    """A post that another one names."""
    if value is None or not is_account(value["author"]) or len(value["item"]) != limits.POST_ITEM_BYTES:
        return None
    return Ref(value["author"], value["item"])
