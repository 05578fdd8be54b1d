"""A model for the gate: taught all that a folder says of one question, and evidence of how right it is.

The model learns from every text. The evidence is of five others, each of which learnt from four fifths, and
scores the fifth that it has not seen: so no text speaks for a model that knows it by heart, and the model of
all texts is, if anything, better than those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from folkmoot.cli.evaluating.corpus import Corpus
from folkmoot.cli.evaluating.evaluation import Bar, Counted
from folkmoot.cli.evaluating.jobs import BLIND, heads, run_all, teaching_jobs
from folkmoot.protocol.moderation.evidence import FOLDS, Source
from folkmoot.protocol.moderation.text.challenging import step_of
from folkmoot.protocol.moderation.text.learning import learn, trainings
from folkmoot.protocol.moderation.text.model import TextModel
from folkmoot.protocol.moderation.thresholds import Step


@dataclass(frozen=True, slots=True)
class Taught:
    """What came of teaching.

    Args:
        question: what the model judges.
        texts: how many it learnt from.
        model: what it learnt.
        steps: the evidence.
        counted: what it was counted from.
    """

    question: str
    texts: int
    model: TextModel
    steps: tuple[Step, ...]
    counted: Source

    def as_policy(self, language: str) -> str:
        """What a policy has to say to use it.

        Args:
            language: of the texts of the folder.
        """
        counted = {language: self.counted}
        return policy_lines(self.question, self.model.hash(), {language: self.steps}, counted)


def policy_lines(
    question: str, name: str, evidence: Mapping[str, Sequence[Step]], counted: Mapping[str, Source]
) -> str:
    """What a policy has to say to use a model.

    Args:
        question: what it judges.
        name: its hash.
        evidence: by language; none where there is none.
        counted: what it was counted from, by language.
    """
    lines = ["[[models]]", f'id = "{question}"', f'hash = "{name}"', f'labels = ["{question}"]']
    lines += ["blind = true"] if question in BLIND else []
    lines += ["", f"[models.evidence.{question}]"] if evidence else []
    lines += [f"{language} = {steps_in_toml(steps)}" for language, steps in evidence.items()]
    lines += ["", f"[models.counted.{question}]"] if counted else []
    lines += [f"{language} = {source.as_toml()}" for language, source in counted.items()]
    return "\n".join([*lines, ""])


def steps_in_toml(steps: Iterable[Step]) -> str:
    """Evidence, as it stands in a policy."""
    return f"[{', '.join(f'[{step.score}, {step.so}, {step.others}]' for step in steps)}]"


def teach(corpus: Corpus, question: str, *, texts: str, seed: int, processes: int, bar: Bar) -> Taught:
    """Teach a model, and find out how right it is.

    Args:
        corpus: what it learns from; some of it says what is so, and some what is not.
        question: of `forms.QUESTIONS`.
        texts: the hash of what it is made of, see `origin.texts_hash`.
        seed: decides folds and orders.
        processes: how many models are trained at once; it changes nothing but the time.
        bar: see `evaluation.evaluate`.
    """
    whole, folds = teaching_jobs(corpus, question, seed)
    with bar("heads trained") as told:
        counted = Counted(told, heads(folds) + trainings(whole.recipe))
        outcomes = run_all(folds, processes, counted.more)
        model = learn(whole.texts, whole.recipe, counted.one_more)
    judged = (
        (corpus[each.place.set][each.place.at].answers[question], each.score)
        for outcome in outcomes
        for each in outcome.judgements
    )
    source = Source(FOLDS, model.hash(), texts, seed)
    return Taught(question, len(whole.texts), model, steps_of(judged), source)


def steps_of(judged: Iterable[tuple[bool, float]]) -> tuple[Step, ...]:
    """Evidence, counted.

    Args:
        judged: of each text whether it bears the label, and its score.
    """
    counts: dict[float, list[int]] = {}
    for so, score in judged:
        counts.setdefault(step_of(score), [0, 0])[0 if so else 1] += 1
    return tuple(Step(score, *counts[score]) for score in sorted(counts))


def untaught(corpus: Corpus, question: str) -> str:
    """Why nothing can be taught; empty when something can."""
    answers = {item.answers.get(question) for items in corpus.values() for item in items}
    return "" if {True, False} <= answers else f"nothing in it says both what is {question} and what is not"
