"""Which thread a post belongs to, by what it and those above it name."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol.feed.threads import STEPS, Ref, above, first_of, heads, line, strays, unknown_above
from folkmoot.protocol.record import Record

from tests.feed.people import ANN, BOB, post, ref

FIRST = post(ANN, number=1)
OTHER = post(BOB, number=2)


def named(record: Record) -> Ref:
    return record.author, record.item


def known(*records: Record) -> Any:
    return {named(record): record for record in records}.get


def answer(to: Record, root: Record | None = None, number: int = 9) -> Record:
    body: dict[str, Any] = {"reply_to": ref(to)} if root is None else {"reply_to": ref(to), "root": ref(root)}
    return post(BOB, number=number, **body)


def chain(length: int) -> list[Record]:
    """Posts that each answer the one before and name nothing else."""
    posts = [FIRST]
    for number in range(length):
        posts.append(answer(posts[-1], number=100 + number))
    return posts


@pytest.mark.parametrize("rooted", [True, False])
def test_answers_lead_to_what_the_thread_begins_with(rooted: bool) -> None:
    between = answer(FIRST, FIRST if rooted else None, number=8)
    last = answer(between, FIRST if rooted else None)
    for each in (between, last):
        assert first_of(each, known(FIRST, between)) == named(FIRST)
        assert not strays(each, known(FIRST, between))
    assert first_of(FIRST, known()) == named(FIRST)
    assert above(FIRST) is None and above(post(ANN, root=ref(OTHER))) is None, (
        "what answers nothing begins one"
    )


def test_a_post_that_names_what_its_parent_does_not_lead_to_strays() -> None:
    stray = answer(OTHER, FIRST)
    assert strays(stray, known(FIRST, OTHER)) and first_of(stray, known(FIRST, OTHER)) == named(OTHER)
    assert heads(stray, known(FIRST, OTHER)) == [named(FIRST), named(OTHER)], "both say who may write it"
    assert not strays(stray, known(FIRST)), "of what is gone nothing can be said"
    assert first_of(stray, known(FIRST)) == named(FIRST)


def test_a_line_ends_after_some_steps() -> None:
    posts = chain(STEPS + 2)
    last, before = posts[-1], posts[-2]
    found = line(named(before), known(*posts))
    assert found == [named(each) for each in posts[-2 : -STEPS - 3 : -1]] and found[-1] == named(posts[1])
    assert first_of(last, known(*posts)) == named(posts[1])
    assert strays(answer(before, FIRST), known(*posts)), "it is not known to lead there"


def test_what_goes_in_circles_ends() -> None:
    itself = post(BOB, number=5)
    itself = post(BOB, number=5, reply_to=ref(itself), root=ref(itself))
    assert above(itself) is None and first_of(itself, known(itself)) == named(itself)
    one = post(ANN, number=6)
    two = answer(one, one, number=7)
    one = post(ANN, number=6, reply_to=ref(two), root=ref(two))
    assert line(named(one), known(one, two)) == [named(one), named(two)]


def test_only_what_is_missing_is_asked_for() -> None:
    posts = chain(3)
    seen: list[Record] = []
    for expected in (posts[2], posts[1], posts[0]):
        assert unknown_above([posts[3]], known(*seen)) == [named(expected)]
        seen.append(expected)
    assert unknown_above([posts[3], FIRST], known(*seen)) == []
