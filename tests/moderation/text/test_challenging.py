"""Challengers: the same lessons teach the same bytes, poison is bounded, and chance is not called better."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from random import Random

import pytest
from folkmoot.protocol.moderation.statistics.comparing import Both, compare
from folkmoot.protocol.moderation.text.challenging import (
    LESSONS_LEAST,
    Plan,
    Text,
    TooLittle,
    challenge,
    evidence_of,
    replay,
    sample_hash,
)
from folkmoot.protocol.moderation.text.features import features
from folkmoot.protocol.moderation.text.learning import Judged, Recipe, learn
from folkmoot.protocol.moderation.text.lessons import Lesson
from folkmoot.protocol.moderation.text.model import TextModel
from folkmoot.protocol.moderation.text.weighing import alike_of

NOW_US = 1_700_000_000_000_000
RUDE = ("idiot", "moron", "clown", "fool")
KIND = ("thanks", "lovely", "please", "friend")
NEW = ("zorkel", "blapper", "quimbo", "snerk")  # rude words that the base has never heard
PLAIN = ("table", "garden", "window", "river")  # nor these
PLAN = Plan("rude")


def sentence(words: Sequence[str], random: Random) -> str:
    filler = [
        "so",
        "the",
        "today",
        "bread",
        "train",
        "house",
        "we",
        "you",
        "what",
        "again",
        "never",
        "street",
    ]
    return " ".join(random.choice([*words, *filler, *filler]) for _ in range(12)) + " " + random.choice(words)


def made(
    count: int, yes: Sequence[str], seed: int, *, by: Sequence[int] = range(4), first: int = 0
) -> tuple[list[Lesson], list[Text]]:
    """Lessons about sentences, half of them rude."""
    random = Random(seed)
    lessons, texts = [], []
    for number in range(first, first + count):
        so = number % 2 == 0
        name = number.to_bytes(32, "big")
        about = bytes([by[number // 2 % len(by)]]), b"author %d" % (number % 40), name[-16:]
        lessons.append(Lesson(NOW_US + number, name, so, *about))
        texts.append(sentence(yes if so else KIND if yes is RUDE else PLAIN, random))
    alike = alike_of(texts)
    return lessons, [Text(features([text]), group, "en") for text, group in zip(texts, alike, strict=True)]


def rude_base() -> TextModel:
    """A model that knows some rude words."""
    lessons, texts = made(80, RUDE, seed=1)
    judged = [
        Judged(text.buckets, int(each.so), at)
        for at, (each, text) in enumerate(zip(lessons, texts, strict=True))
    ]
    return learn(judged, Recipe(("fine", "rude"), 0.3, 0, tuned=False))


@pytest.fixture(scope="module")
def base() -> TextModel:
    return rude_base()


def test_lessons_teach_the_same_bytes_and_nothing_else_does(base: TextModel) -> None:
    lessons, texts = made(60, NEW, seed=2)
    model = replay(lessons, texts, Plan("rude", base))
    assert model.encode() == replay(lessons, texts, Plan("rude", base)).encode()
    assert model.hash() != base.hash() != replay(lessons, texts, PLAN).hash()
    other = [lessons[0]._replace(so=not lessons[0].so), *lessons[1:]]
    assert replay(other, texts, Plan("rude", base)).hash() != model.hash()
    known = features(["what an idiot"])
    assert model.score(known) > 0.0 < base.score(known), "what was known stays"
    assert model.score(features(["zorkel snerk"])) > base.score(features(["zorkel snerk"]))


def test_a_challenger_that_knows_more_is_better_and_one_that_does_not_is_not(base: TextModel) -> None:
    lessons, texts = made(120, NEW, seed=3)
    taught = 0

    def one_more() -> None:
        nonlocal taught
        taught += 1

    found = challenge(lessons, texts, Plan("rude", base), base, Random(0), one_more)
    assert taught == 6 and found.compared.is_better and found.compared.auc[1].low > 0.0
    assert found.compared.challenger.auc > found.compared.current.auc
    assert found.model.hash() == replay(lessons, texts, Plan("rude", base)).hash()
    again = challenge(lessons, texts, Plan("rude", base), found.model, Random(0))
    assert not again.compared.is_better, "the same again is no better"


def test_random_answers_are_not_called_better(base: TextModel) -> None:
    lessons, texts = made(120, RUDE, seed=4)
    random = Random(5)
    confused = [each._replace(so=random.random() < 0.5) for each in lessons]
    assert not challenge(confused, texts, Plan("rude", base), base, Random(0)).compared.is_better


@pytest.mark.parametrize("yes", [0, LESSONS_LEAST - 1])
def test_too_few_lessons_are_refused(yes: int) -> None:
    lessons, texts = made(120, RUDE, seed=6)
    kept = [at for at, each in enumerate(lessons) if not each.so or at < 2 * yes]
    with pytest.raises(TooLittle, match=f"{yes} settled decisions and answers say yes"):
        replay([lessons[at] for at in kept], [texts[at] for at in kept], PLAN)


def test_one_text_over_and_over_is_too_little() -> None:
    lessons, texts = made(120, RUDE, seed=7)
    same = [
        text._replace(buckets=array("I", [1, 2]), alike=0) if each.so else text
        for each, text in zip(lessons, texts, strict=True)
    ]
    with pytest.raises(TooLittle, match="one text over and over"):
        replay(lessons, same, PLAN)


def test_one_reviewers_flood_turns_nothing_round(base: TextModel) -> None:
    lessons, texts = made(120, NEW, seed=8)
    flood, flood_texts = made(600, NEW, seed=9, by=[99], first=1_000)
    lies = [each._replace(so=not each.so) for each in flood]
    plan = Plan("rude", base)
    model = replay([*lessons, *lies], [*texts, *flood_texts], plan)
    held_out, held_texts = made(100, NEW, seed=10)
    right = sum(
        (model.score(text.buckets) > 0.0) == each.so for each, text in zip(held_out, held_texts, strict=True)
    )
    unbounded = [
        Judged(text.buckets, int(each.so), 0)
        for each, text in zip([*lessons, *lies], [*texts, *flood_texts], strict=True)
    ]
    poisoned = learn(unbounded, plan.recipe, start=base)
    wrong = sum(
        (poisoned.score(text.buckets) > 0.0) != each.so
        for each, text in zip(held_out, held_texts, strict=True)
    )
    assert right >= 80 and wrong >= 90, (right, wrong)


def test_one_reviewers_flood_does_not_decide_which_is_better(base: TextModel) -> None:
    lessons, texts = made(120, RUDE, seed=13)
    flood, flood_texts = made(600, RUDE, seed=14, by=[99], first=1_000)
    lies = [each._replace(so=not each.so) for each in flood]
    found = challenge([*lessons, *lies], [*texts, *flood_texts], Plan("rude", base), base, Random(0))
    assert found.compared.current.auc > 0.5 and found.compared.current.macro_f1 > 0.5
    assert not found.compared.is_better


def test_evidence_is_of_what_was_drawn_all_as_likely() -> None:
    lessons, _ = made(400, RUDE, seed=11)
    decided = evidence_of(lessons, ["en"] * 400, [0.5] * 400)
    assert decided == {}
    drawn = [each._replace(millionths=20_000 if at < 200 else 100_000) for at, each in enumerate(lessons)]
    found = evidence_of(drawn, ["de"] * 200 + [""] * 200, [0.5] * 400)
    assert [(step.so, step.others) for step in found["de"]] == [(100, 100)], "the least likely all count"
    [step] = found["und"]
    assert 15 <= step.so + step.others <= 65, "a fifth of the others"


def test_what_was_drawn_is_evidence_decided_about_or_not() -> None:
    lessons, _ = made(200, RUDE, seed=12)
    drawn = [each._replace(millionths=20_000) for each in lessons]
    decided = [each._replace(millionths=0, also_drawn=20_000) if each.so else each for each in drawn]
    scores = [0.5] * 200
    assert evidence_of(decided, ["en"] * 200, scores) == evidence_of(drawn, ["en"] * 200, scores)
    assert {each.stands_for for each in decided if each.so} == {1.0}
    assert sample_hash(decided) == sample_hash(drawn[::-1]) != sample_hash(drawn[1:])
    assert sample_hash(drawn) != sample_hash([drawn[0]._replace(so=not drawn[0].so), *drawn[1:]])


def test_a_comparison_counts_texts_for_what_they_weigh() -> None:
    same = [
        Both(at % 2 == 0, 1.0, at, float(at % 2 == 0) - 0.5, float(at % 2 == 0) - 0.5) for at in range(40)
    ]
    compared = compare(same, Random(1))
    assert compared.current == compared.challenger == (1.0, 1.0) and not compared.is_better
    wrong = Both(True, 20.0, 99, -0.5, 0.5)
    compared = compare([*same, wrong], Random(1))
    assert compared.current.auc == pytest.approx(0.75) and compared.challenger.auc == 1.0
    ties = [Both(at % 2 == 0, 1.0, at, 0.0, 0.0) for at in range(10)]
    assert compare(ties, Random(1)).current.auc == 0.5
