"""Candidates are tried on texts that are slow for them. No clock here runs by itself: one that goes on by a
tick for each look counts how often matching looks at it, and one that stands still refuses nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.community.documents import Documents
from folkmoot.node.moderation import pattern_sets
from folkmoot.node.moderation.trial import REPEATS, tried, worst_texts
from folkmoot.protocol.moderation.bounds import TRIAL_CODE_POINTS, TRIAL_WORST
from folkmoot.protocol.moderation.policy import PolicyError

from tests.moderation.documents import HEAD, document, pattern, rule, word_list
from tests.node.doubles import TickingExecutor

EXPLODES = pattern("explodes", "[kyz]*k[kyz]{50}x")
NESTED = word_list("nested", ["a" * length for length in range(1, 101)])


def test_texts_are_made_of_what_stands_in_the_policy() -> None:
    texts = worst_texts(document(EXPLODES, NESTED), 1)
    assert max(map(len, texts)) == TRIAL_CODE_POINTS
    assert {"ky", "kz", "yz"} <= {"".join(sorted(set(text))) for text in texts}
    assert "a" * TRIAL_CODE_POINTS in texts
    assert any(text.count("a" * 50) and " " in text for text in texts)
    again, others = worst_texts(document(EXPLODES, NESTED), 1), worst_texts(document(EXPLODES, NESTED), 2)
    assert texts == again and len(texts) == len(others)
    assert sum(one == other for one, other in zip(texts, others, strict=True)) == 1


def test_a_policy_of_few_parts_is_soon_matched() -> None:
    tried(
        document(EXPLODES, word_list("some", ["word"]), rule("found", ["some"], "hold")),
        TickingExecutor(1.0).spent_s,
    )


def test_a_policy_that_takes_too_many_looks_is_refused_with_what_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pattern_sets, "PATTERN_SET_INSTRUCTIONS", 1_000)
    many = [pattern(f"p{number}", f"a.{{0,80}}b.{{0,80}}c{number}") for number in range(TRIAL_WORST + 2)]
    clock = TickingExecutor(1.0)
    with pytest.raises(
        PolicyError, match=r"takes more than 20 times .* its patterns take too long, first of all p0, p1, p2"
    ):
        tried(document(*many), clock.spent_s)
    assert clock.looks < 8 * (TRIAL_WORST + 2) * REPEATS
    tried(document(*many), lambda: 0.0)


def test_words_that_end_in_one_another_take_too_many_looks() -> None:
    lists = [word_list(f"l{number}", ["a" * length for length in range(1, 101)]) for number in range(3)]
    with pytest.raises(PolicyError, match="words that end in one another take too long"):
        tried(document(*lists), TickingExecutor(1.0).spent_s)


def test_a_text_like_any_other_must_be_judged_sooner() -> None:
    ticks = iter([*range(2 * REPEATS), *(100.0 * number for number in range(1, 100))])
    with pytest.raises(PolicyError, match=r"a text of 200 characters takes 100 times .* the most is 3"):
        tried(document(word_list("l", ["abc"]), rule("found", ["l"], "hold")), lambda: next(ticks))


async def test_who_proposes_a_slow_policy_is_told_and_who_follows_one_judges_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pattern_sets, "PATTERN_SET_INSTRUCTIONS", 1_000)
    many = [pattern(f"p{number}", f"a.{{0,80}}b.{{0,80}}c{number}") for number in range(TRIAL_WORST + 2)]
    slow = (HEAD + "".join(many)).encode()
    store: Any = None  # nothing is kept
    documents = Documents(store, TickingExecutor(1.0), frozenset, tmp_path, "")
    assert len((await documents.compile(slow)).document.patterns) == len(many)
    with pytest.raises(PolicyError, match="takes more than 20 times"):
        await documents.propose(slow)
    assert (await documents.propose((HEAD + EXPLODES).encode())).everywhere.patterns[0].id == "explodes"
