"""Ranking: scores that add up, in an order that nothing but the posts decides."""

from __future__ import annotations

import random
from typing import Any

import pytest
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.ranking.position import POSITION_BYTES, Position
from folkmoot.protocol.ranking.program import compiled
from folkmoot.protocol.ranking.scoring import VALUE_MAX, Candidate, Ranking, rank, terms_of
from hypothesis import given
from hypothesis import strategies as st

from tests.ranking.posts import candidate, document, program


def never() -> bool:
    return False


def order(ranking: Ranking) -> list[int]:
    return [int.from_bytes(each.entry, "big") for each in ranking.ranked]


@pytest.mark.parametrize(
    ("term", "said", "points"),
    [
        ({"value": "likes", "weight": 1_500}, {"likes": 3.0}, 4_500),
        ({"value": "true", "weight": -250}, {}, -250),
        ({"value": "false", "weight": 250}, {}, 0),
        ({"value": "likes", "weight": 1}, {"likes": 0.4}, 0),
        ({"value": "1.0", "weight": 1_000, "half_life_s": 60}, {"age_s": 60.0}, 500),
        ({"value": "1.0", "weight": 1_000, "half_life_s": 60}, {"age_s": 0.0}, 1_000),
        ({"value": "1.0", "weight": 1_000_000, "half_life_s": 1}, {"age_s": 1e12}, 0),
        ({"value": "1.0 / likes", "weight": 1_000}, {}, 1_000 * int(VALUE_MAX)),
        ({"value": "-1.0 / likes", "weight": 1_000}, {}, -1_000 * int(VALUE_MAX)),
        ({"value": "likes / likes", "weight": 1_000}, {}, 0),
        ({"value": "{'a': likes}.b", "weight": 1_000}, {"likes": 1.0}, 0),
    ],
)
def test_points_of_a_term(term: dict[str, Any], said: dict[str, Any], points: int) -> None:
    made = program(terms=[{"name": "x", **term}])
    [ranked] = rank(made, [candidate(1, **said)], never).ranked
    [told] = terms_of(made.document, ranked)
    assert ranked.score == told["points"] == points
    assert ("failed" in told) == (("/ likes" in term["value"] and points == 0) or ".b" in term["value"])


def test_filters_leave_out_and_say_how_many() -> None:
    made = program("likes", filters=["!is_reply"])
    posts = [candidate(1), candidate(2, is_reply=True), candidate(3)]
    ranking = rank(made, posts, never)
    assert order(ranking) == [3, 1]
    assert (ranking.filtered, ranking.failed, ranking.crowded) == (1, 0, 0)
    ranking = rank(program("likes", filters=["{'a': true}.b"]), posts, never)
    assert (order(ranking), ranking.filtered, ranking.failed) == ([], 0, 3)


def test_of_one_author_the_best_are_shown() -> None:
    posts = [candidate(number, author=number % 2, likes=float(number)) for number in range(6)]
    ranking = rank(program("likes", per_author=1), posts, never)
    assert order(ranking) == [5, 4] and ranking.crowded == 4


def test_ties_are_broken_by_the_newer() -> None:
    assert order(rank(program("1.0"), [candidate(number) for number in (2, 1, 3)], never)) == [3, 2, 1]


def test_who_takes_too_long_is_told_at_what() -> None:
    made = program("likes", "reposts", filters=["!own"])
    for asked, part in ((0, "filters[0]"), (1, "terms[0] (0)"), (2, "terms[1] (1)"), (3, "filters[0]")):
        left = [asked]

        def is_over(left: list[int] = left) -> bool:
            left[0] -= 1
            return left[0] < 0

        with pytest.raises(WireError, match="ranking took more than 250 ms") as error:
            rank(made, [candidate(1), candidate(2)], is_over)
        assert error.value.kind.name == "too_large" and error.value.details == {"expression": part}


_numbers = st.floats(allow_nan=False, min_value=-1e12, max_value=1e12)
_posts: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(
        dict,
        number=st.integers(0, 50),
        author=st.integers(0, 3),
        likes=st.sampled_from([0.0, 1.0, 2.0, 1e300]),
        age_s=st.floats(0, 1e9),
        is_reply=st.booleans(),
        friends=_numbers,
    ),
    unique_by=lambda said: said["number"],
    max_size=30,
)


@given(_posts, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_changes_nothing(
    said: list[dict[str, Any]], shuffling: random.Random
) -> None:
    made = program(
        filters=["friends > -1000.0"],
        per_author=2,
        terms=[
            {"name": "likes", "value": "likes * 1.25", "weight": 333, "half_life_s": 3_600},
            {"name": "friends", "value": "friends / (friends + 1.0)", "weight": 777},
            {"name": "first", "value": "!is_reply", "weight": -5},
        ],
    )
    posts: list[Candidate] = [candidate(**each) for each in said]
    once = rank(made, posts, never)
    shuffled = list(posts)
    shuffling.shuffle(shuffled)
    again = rank(made, shuffled, never)
    assert [(each.entry, each.score, each.parts) for each in once.ranked] == [
        (each.entry, each.score, each.parts) for each in again.ranked
    ]
    assert (once.filtered, once.failed, once.crowded) == (again.filtered, again.failed, again.crowded)
    assert once.filtered + once.failed + once.crowded + len(once.ranked) == len(posts)
    for each in once.ranked:
        assert each.score == sum(term["points"] for term in terms_of(made.document, each))
    positions = [Position(bytes(16), 1, each.score, each.entry).encode() for each in once.ranked]
    assert positions == sorted(positions, reverse=True), "places stand in the order of the feed"


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**64 - 1),
    st.integers(-(2**62), 2**62),
    st.binary(min_size=48, max_size=48),
)
def test_positions_come_back_as_they_went(version: bytes, as_of_ms: int, score: int, entry: bytes) -> None:
    data = Position(version, as_of_ms, score, entry).encode()
    assert len(data) == POSITION_BYTES
    back = Position.decode(data)
    assert back == (version[:16], as_of_ms, score, entry) and back.is_of(version)
    assert not back.is_of(bytes([version[0] ^ 1]) + version[1:])
    with pytest.raises(WireError):
        Position.decode(data + b"\0")


def test_a_document_of_ten_thousand_parts_is_refused_before_it_is_read() -> None:
    for part in (
        {"sources": [{"from": "tags"}] * 10_000},
        {"filters": ["true"] * 10_000},
        {"terms": [{"name": str(number), "value": "1.0", "weight": 1} for number in range(10_000)]},
        {"sources": [{"from": "tags", "tags": ["x"] * 10_000}]},
    ):
        with pytest.raises(WireError, match="of length <="):
            compiled(document("1.0", **part))
