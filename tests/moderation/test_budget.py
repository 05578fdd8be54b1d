"""What a policy and a text can make judging cost: parts that are compiled in one go are small, matching stops
when its time is over, and what was not judged is held."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.moderation import matchers, pattern_sets
from folkmoot.node.moderation.budget import STEPS_A_LOOK, Budget, OverBudget
from folkmoot.node.moderation.engine import UNJUDGED
from folkmoot.node.moderation.matchers import Matchers
from folkmoot.node.moderation.quota import QuotaRates, Rate
from folkmoot.node.moderation.submissions import Submission
from folkmoot.node.system import SystemWallClock
from folkmoot.protocol.moderation.bounds import JUDGING_MOMENT_S, JUDGING_S, PATTERN_SET_INSTRUCTIONS
from folkmoot.protocol.moderation.verdict import Action, Verdict

from tests.moderation.documents import HEAD, document, engine, pattern, rule, word_list
from tests.node.doubles import TickingExecutor
from tests.node.people import Author

WORDS = [f"word{number}x" for number in range(60)]
PATTERNS = [f"pa{number}[a-z]{{2,4}}s?" for number in range(12)]
TEXT = "pa3tt  w0rd7x p a 5 a b and word59x, p\u0430bb word7x pa11zz"
NESTED = ["a" * length for length in range(1, 101)]


def test_a_policy_in_many_parts_finds_what_it_finds_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    many = document(
        word_list("some", WORDS[:30]),
        word_list("others", WORDS[20:]),
        *(pattern(f"p{number}", each) for number, each in enumerate(PATTERNS)),
    )
    whole = Matchers(many)
    monkeypatch.setattr(matchers, "AUTOMATON_CODE_POINTS", 70)
    monkeypatch.setattr(pattern_sets, "PATTERN_SET_INSTRUCTIONS", 50)
    parts = Matchers(many)
    assert (len(whole._words), len(whole._sets)) == (1, 1)
    assert len(parts._words) >= 60 * 6 // 70 and len(parts._sets) > 4
    found = whole.find(TEXT)
    assert found == parts.find(TEXT)
    assert {whole.finders[finder].id for finder in found} == {"some", "others", "p3", "p5", "p11"}


def test_no_part_is_larger_than_what_is_compiled_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def sized(expressions: list[str], _options: object) -> object:
        sizes.append(sum(matchers._compile(each).programsize for each in expressions if each.startswith("a")))
        return object()

    monkeypatch.setattr(pattern_sets, "_compiled", sized)
    Matchers(document(*(pattern(f"p{number}", f"a.{{0,{number + 5}}}b{number}") for number in range(90))))
    assert len(sizes) > 3 and max(sizes) <= PATTERN_SET_INSTRUCTIONS
    assert min(sizes[:-1]) > PATTERN_SET_INSTRUCTIONS // 2
    words = {f"{number:090}": [(number, 90, True)] for number in range(3_000)}
    assert [len(part) for part in matchers._in_parts(words)] == [1_111, 1_111, 778]


def test_the_clock_is_looked_at_as_steps_are_taken() -> None:
    clock = TickingExecutor(0.0)
    budget = Budget(clock.spent_s, 0.0)
    for _ in range(STEPS_A_LOOK):
        budget.take(3)
    assert 2 <= clock.looks <= 3


def test_matching_stops_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern_sets, "PATTERN_SET_INSTRUCTIONS", 1_000)
    nested = Matchers(document(*(word_list(f"l{number}", NESTED) for number in range(20))))
    clock = TickingExecutor(JUDGING_S / 10)
    with pytest.raises(OverBudget):
        nested.find("a" * 3_000, Budget(clock.spent_s, 0.0))
    assert clock.looks == 11  # of some six million words that stand in that text
    many = Matchers(document(*(pattern(f"p{number}", f"a.{{0,80}}b{number}") for number in range(40))))
    clock = TickingExecutor(JUDGING_S / 10)
    with pytest.raises(OverBudget):
        many.find("a" * 3_000, Budget(clock.spent_s, 0.0))
    assert clock.looks == 11 < len(many._sets)
    again = Matchers(document(pattern("p", "i.*y|i")))
    clock = TickingExecutor(JUDGING_S / 10)
    with pytest.raises(OverBudget):
        again.find("a1 " + "1" * 2_900, Budget(clock.spent_s, 0.0))
    assert again.find("a1 " + "1" * 200) == {}  # numbers are no words, however often they are found


def test_what_takes_too_long_to_judge_is_held(caplog: pytest.LogCaptureFixture) -> None:
    judge = engine(word_list("l", ["abc"]), rule("found", ["l"], "label", label="spam"))
    for _ in range(5):
        slow = Submission((("text", "x" * 3_000),), budget=Budget(TickingExecutor(1.0).spent_s, 0.0))
        verdict = judge.judge_record(slow)
        assert (verdict.action, verdict.rule) == (Action.HOLD, UNJUDGED)
    assert judge.unjudged_count == 5
    lines = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert [line.rpartition("held: ")[2] for line in lines] == ["1 so far", "2 so far", "4 so far"]


async def test_a_batch_goes_on_for_a_moment(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(HEAD + word_list("l", ["abc"]) + rule("found", ["l"], "hold"))
    plenty = QuotaRates(Rate(1e6, 1_000_000), Rate(1e6, 1_000_000))
    records = [Author(1).post() for _ in range(10)]
    for tick_s, most in ((0.0, 10), (JUDGING_MOMENT_S / 2, 3), (1.0, 1)):
        gate = Gatekeeper(
            file, plenty, wall=SystemWallClock(), executor=TickingExecutor(tick_s), secret=bytes(16)
        )
        await gate.open()
        judged = gate.judge_batch(records, True, "192.0.2.1", 0.0)
        assert [type(answer) for answer in judged] == [Verdict] * most
