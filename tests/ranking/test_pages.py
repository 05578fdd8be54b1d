"""Pages of a ranking: together they are the ranking, however they are cut."""

from __future__ import annotations

from typing import Any

from folkmoot.node.projections.listings import Place
from folkmoot.node.projections.posts import Ref
from folkmoot.node.ranking.ranker import Kept
from folkmoot.protocol.ranking.position import Position
from folkmoot.protocol.ranking.scoring import Candidate, rank
from hypothesis import given
from hypothesis import strategies as st

from tests.ranking.posts import candidate, program

_scores = st.lists(st.sampled_from([0.0, 1.0, 2.5, 1e300]), max_size=40)


def kept_of(posts: list[Candidate]) -> Kept:
    made = program("likes", "-age_s")
    ranking = rank(made, posts, lambda: False)
    places = [
        Place(Position(bytes(32), 7, each.score, each.entry).encode(), Ref(bytes(34), each.entry[:16]))
        for each in ranking.ranked
    ]
    return Kept(7, places, ranking, [["following"]] * len(places), [], made.document)


@given(_scores, st.integers(1, 7))
async def test_no_post_comes_twice_and_none_is_lost(likes: list[float], limit: int) -> None:
    kept = kept_of([candidate(number, likes=each) for number, each in enumerate(likes)])
    listing = kept.listing(explain=False)
    seen: list[Place] = []
    after: bytes | None = None
    while some := await listing.places(after, limit):
        assert len(some) <= limit
        seen += some
        after = some[-1].at
    assert seen == kept.places and len({place.at for place in seen}) == len(likes)


@given(_scores.filter(bool), st.data())
async def test_a_page_may_begin_between_two_posts(likes: list[float], data: st.DataObject) -> None:
    """As after a ranking that was made anew: what stands after the place follows, and nothing else."""
    kept = kept_of([candidate(number, likes=each) for number, each in enumerate(likes)])
    scores = [each.score for each in kept.ranking.ranked]
    score = data.draw(st.integers(-(2**62), 2**62) | st.sampled_from(scores))
    after = Position(bytes(32), 7, score, data.draw(st.binary(min_size=48, max_size=48))).encode()
    following = await kept.listing(explain=False).places(after, len(likes))
    assert following == [place for place in kept.places if place.at < after]


async def test_why_belongs_to_its_post() -> None:
    kept = kept_of([candidate(number, likes=float(number)) for number in range(5)])
    listing = kept.listing(explain=True)
    first, second = await listing.places(None, 2), await listing.places(kept.places[1].at, 3)

    def points(place: Place) -> Any:
        assert place.why is not None
        return place.why["terms"][0]["points"]

    assert [points(place) for place in (*first, *second)] == [4_000, 3_000, 2_000, 1_000, 0]
