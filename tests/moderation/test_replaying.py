"""Posts that were judged are judged again as they stood then, from what was kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from folkmoot.node.moderation import pattern_sets
from folkmoot.node.moderation.noting import Note
from folkmoot.node.moderation.replaying import Pair
from folkmoot.protocol.expressions import Value

from tests.moderation.documents import HEAD, condition, engine, pattern
from tests.moderation.test_engine import GivesUp
from tests.moderation.test_gatekeeper import gatekeeper, post

SECOND_US = 1_000_000
IN_FORCE = engine()


def pair(when: str) -> Pair:
    return Pair(IN_FORCE, engine(condition("tried", when)), lambda: 0.0)


def applies(pair: Pair, text: str, at: int, signals: Mapping[str, Value]) -> bool:
    """Whether the rule that is tried applies to a post that was judged after so many seconds."""
    [seen] = pair.judge([Note(post(text, at), at * SECOND_US, signals, {})], 0, [None])
    assert not seen.before
    return bool(seen.after)


@pytest.mark.parametrize("signal", ["flood.author_rate", "flood.address_rate", "flood.same_text"])
def test_what_was_counted_then_is_what_counts(signal: str) -> None:
    tried = pair(f"{signal} > 5.0")
    assert applies(tried, "one", 1, {signal: 9.0})
    assert not applies(tried, "two", 2, {signal: 1.0})
    assert not applies(tried, "three", 3, {})


def test_texts_that_nobody_compared_are_compared_in_the_order_in_which_they_came() -> None:
    tried = pair("flood.same_text >= 2.0")
    told = [applies(tried, "the same words again and again", at, {}) for at in range(1, 5)]
    assert told == [False, False, True, True]
    some = [Note(post("three of these at once, in one go", at), 5 * SECOND_US, {}, {}) for at in range(5, 8)]
    assert [bool(seen.after) for seen in tried.judge(some, 0, [None] * 3)] == [False, False, True]
    assert not applies(tried, "something else altogether, said once", 5, {})
    assert not applies(tried, "the same words again and again", 2_000, {}), (
        "half an hour later it is forgotten"
    )


def test_what_else_was_known_is_known_again() -> None:
    tried = pair("author.trust < 0.5")
    assert applies(tried, "one", 1, {"author.trust": 0.1})
    assert not applies(tried, "two", 2, {"author.trust": 0.9})
    assert applies(tried, "three", 3, {}), "what is unknown goes to review"


async def test_the_gate_counts_and_logs_nothing_of_what_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(HEAD + condition("new", "author.trust < 0.5"))
    gate = gatekeeper(file)
    await gate.open()
    monkeypatch.setattr(pattern_sets, "_compiled", lambda _expressions, _options: GivesUp())
    fails = engine(pattern("p", "x"), condition("found", "hits.p"))
    some = [Note(post(f"number {at}", at), SECOND_US, {}, {}) for at in range(3)]
    seen = Pair(gate.engine, fails, lambda: 0.0).judge(some, 0, [None] * 3)
    assert [(each.before[0].rule, each.after[0].rule) for each in seen] == [("new", "unjudged")] * 3
    assert (gate.status().unjudged, fails.unjudged_count) == (0, 0)
    assert not gate.figures.unknown.counts and not caplog.records
