"""Bugs of searches and ranked feeds: who sees what, who is found, and what scores are made of."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from folkmoot.node.projections.building import Builder
from folkmoot.node.ranking import signals
from folkmoot.node.ranking.feeds import RankedFeeds
from folkmoot.node.ranking.ranker import RankedListing
from folkmoot.protocol import messages
from folkmoot.protocol.feed.audience import Audience, PageKind
from folkmoot.protocol.feed.controls import Edge
from folkmoot.protocol.feed.pages import PackedPage
from folkmoot.protocol.feed.viewer import PUBLIC, Viewer
from folkmoot.storage.search.index import IndexWriting

from tests.mutants.mutant import Plant, mutant


@mutant("opted-out-and-still-found", "who does not want to be found is found", "search", "pages")
def opted_out_and_still_found(plant: Plant) -> None:
    real = IndexWriting.hide

    def hide(self: IndexWriting, place: bytes, *, hidden: bool) -> None:
        if not hidden:
            real(self, place, hidden=hidden)

    plant.setattr(IndexWriting, "hide", hide)


@mutant("opted-in-and-not-found", "who wants to be found again is not", "search", "pages")
def opted_in_and_not_found(plant: Plant) -> None:
    real = IndexWriting.hide

    def hide(self: IndexWriting, place: bytes, *, hidden: bool) -> None:
        if hidden:
            real(self, place, hidden=hidden)

    plant.setattr(IndexWriting, "hide", hide)


def _for_everybody(plant: Plant, *, ranked: bool) -> None:
    """Have some pages be built as for nobody in particular."""
    real = Builder.page

    async def page(
        self: Builder, kind: PageKind, listing: Any, viewer: Viewer, after: bytes | None, limit: int
    ) -> PackedPage:
        concerned = isinstance(listing, RankedListing) if ranked else kind is PageKind.TAG
        return await real(self, kind, listing, PUBLIC if concerned else viewer, after, limit)

    plant.setattr(Builder, "page", page)


@mutant("ranked-for-everybody", "ranked feeds show what their reader blocks and mutes", "pages")
def ranked_for_everybody(plant: Plant) -> None:
    _for_everybody(plant, ranked=True)


@mutant("searched-for-everybody", "searches find what who searches blocks and mutes", "pages")
def searched_for_everybody(plant: Plant) -> None:
    _for_everybody(plant, ranked=False)


@mutant("blocks-work-one-way", "who is blocked still sees who blocks them", "pages")
def blocks_work_one_way(plant: Plant) -> None:
    def blocked(self: Audience, other: bytes, edges: Set[Edge]) -> bool:
        return other in self._viewer.blocks

    plant.setattr(Audience, "_blocked", blocked)


@mutant("a-term-is-not-told", "one term of a score is not among the reasons", "pages")
def a_term_is_not_told(plant: Plant) -> None:
    real = RankedListing._why

    def why(self: RankedListing, number: int) -> dict[str, Any]:
        told = real(self, number)
        return {**told, "terms": told["terms"][1:]}

    plant.setattr(RankedListing, "_why", why)


@mutant("likes-are-not-heeded", "likes do not come into a score", "pages")
def likes_are_not_heeded(plant: Plant) -> None:
    plant.setitem(signals._READ, "likes", lambda seen: 0.0)


@mutant("posts-never-age", "the age of a post does not come into its score", "pages")
def posts_never_age(plant: Plant) -> None:
    plant.setitem(signals._READ, "age_s", lambda seen: 0.0)


@mutant("algorithms-are-never-read-again", "who changes an algorithm is ranked by the first one", "pages")
def algorithms_are_never_read_again(plant: Plant) -> None:
    real = RankedFeeds._chosen
    known: dict[tuple[bytes, str], Any] = {}

    async def chosen(self: RankedFeeds, asked: messages.FeedRanked, viewer: bytes | None) -> Any:
        named = asked.algorithm
        if isinstance(named, str):
            return await real(self, asked, viewer)
        if (named.account, named.name) not in known:
            known[named.account, named.name] = await real(self, asked, viewer)
        return known[named.account, named.name]

    plant.setattr(RankedFeeds, "_chosen", chosen)
