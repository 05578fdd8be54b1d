"""Weights: nobody outweighs the others, and no order changes a bit."""

from __future__ import annotations

from math import fsum

import pytest
from folkmoot.protocol.moderation.text.lessons import Lesson
from folkmoot.protocol.moderation.text.weighing import Shares, alike_of, cut, largest, weights_of
from hypothesis import given
from hypothesis import strategies as st

NOW_US = 1_700_000_000_000_000


def lesson(number: int, *, by: int = 0, author: int | None = None, millionths: int = 0) -> Lesson:
    name = number.to_bytes(32, "big")
    whose = number if author is None else author
    return Lesson(NOW_US + number, name, number % 2 == 0, bytes([by]), b"%d" % whose, name, millionths)


@given(
    st.lists(st.tuples(st.floats(0.01, 100.0), st.integers(0, 9)), min_size=1, max_size=40),
    st.floats(0.02, 1.0),
)
def test_no_source_has_more_than_its_share(parts: list[tuple[float, int]], share: float) -> None:
    weights, sources = [weight for weight, _ in parts], [source for _, source in parts]
    kept = cut(weights, sources, share)
    allowed = max(share, min(1.0, 2.0 / (len(set(sources)) + 1)))
    assert largest(kept, sources) <= allowed * (1 + 1e-9)
    assert all(0.0 < after <= before for after, before in zip(kept, weights, strict=True))
    if largest(weights, sources) <= allowed:
        assert kept == weights, "what keeps the bound is left alone"


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 5), st.integers(0, 5)), min_size=1), st.data())
def test_weights_do_not_turn_on_the_order(parts: list[tuple[int, int, int]], data: st.DataObject) -> None:
    lessons = [
        lesson(number, by=by, author=author, millionths=1_000_000 // stands_for)
        for number, (stands_for, by, author) in enumerate(parts)
    ]
    alike = [number % 3 for number in range(len(lessons))]
    weights = dict(zip(lessons, weights_of(lessons, alike, Shares()), strict=True))
    order = data.draw(st.permutations(range(len(lessons))))
    shuffled = [lessons[at] for at in order]
    again = weights_of(shuffled, [alike[at] for at in order], Shares())
    assert [weights[each] for each in shuffled] == again


@pytest.mark.parametrize("flood", [200, 2_000])
def test_a_flood_of_one_reviewer_weighs_half_as_much_as_the_others_at_most(flood: int) -> None:
    honest = [lesson(number, by=number % 4) for number in range(40)]
    poison = [lesson(1_000 + number, by=9) for number in range(flood)]
    weights = weights_of([*honest, *poison], list(range(40 + flood)), Shares())
    assert fsum(weights[40:]) <= fsum(weights[:40]) / 2.0 * (1 + 1e-3)


def test_a_flood_of_one_author_and_of_one_text_is_bounded_as_well() -> None:
    honest = [lesson(number, by=number % 4) for number in range(100)]
    of_author = [lesson(1_000 + number, by=number % 4, author=7) for number in range(500)]
    weights = weights_of([*honest, *of_author], list(range(600)), Shares())
    assert fsum(weights[100:]) <= 0.1 * fsum(weights) * (1 + 1e-3)
    of_text = [lesson(2_000 + number, by=number % 4) for number in range(500)]
    weights = weights_of([*honest, *of_text], [*range(100), *[100] * 500], Shares())
    assert fsum(weights[100:]) <= 0.05 * fsum(weights) * (1 + 1e-3)


def test_what_was_drawn_stands_for_what_was_not_up_to_a_bound() -> None:
    decided, drawn, rare = lesson(1), lesson(2, millionths=20_000), lesson(3, millionths=1)
    assert (decided.stands_for, drawn.stands_for, rare.stands_for) == (1.0, 50.0, 50.0)
    assert weights_of([], [], Shares()) == []


def test_texts_that_are_much_the_same_are_found() -> None:
    long = "double your money in a week with this one trick that the banks do not want you to know"
    varied = long.replace("week", "month")
    other = "the bakery at the corner has fresh bread from six in the morning on and closes at noon"
    assert alike_of([other, long, varied, "hi", other, "hi", "", "…"]) == [0, 1, 1, 3, 0, 3, 6, 7]
