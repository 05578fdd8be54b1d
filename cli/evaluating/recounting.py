"""Counting the evidence of a policy again, from labelled texts, and comparing it with what the policy says.

Evidence is *proven* where the same was found, *refuted* where something else was, and *unproven* where it
cannot be counted again: from other texts than it was counted from, or without the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from folkmoot.cli.evaluating import origin as origins
from folkmoot.cli.evaluating.corpus import Corpus, prepare
from folkmoot.cli.evaluating.evaluation import Bar
from folkmoot.cli.evaluating.folders import Sets, read_folder
from folkmoot.cli.evaluating.forms import QUESTIONS
from folkmoot.cli.evaluating.origin import Origin, asked_of, marks_of, texts_hash
from folkmoot.cli.evaluating.teaching import Taught, steps_in_toml, steps_of, teach, untaught
from folkmoot.node.moderation.scorers import SUFFIX, checked
from folkmoot.protocol.moderation.bounds import POLICY_MODEL_BYTES
from folkmoot.protocol.moderation.evidence import FOLDS, SAMPLE, UNSEEN, Source, spelled
from folkmoot.protocol.moderation.policy import Model, PolicyDocument
from folkmoot.protocol.moderation.text.model import ModelError, TextModel
from folkmoot.protocol.moderation.thresholds import Step

_DIGITS = 12


class State(StrEnum):
    """What is known of evidence."""

    PROVEN = "proven"
    REFUTED = "refuted"
    UNPROVEN = "unproven"


class Claim(NamedTuple):
    """What a policy says of how right a model is.

    Args:
        label: as the policy spells it.
        language: of the texts.
        steps: how many bear the label and how many do not, by score.
        counted: what that was counted from; None where nothing says so.
    """

    model: Model
    label: str
    language: str
    steps: tuple[Step, ...]
    counted: Source | None

    def __str__(self) -> str:
        return f"the evidence about {self.label} in {self.language}"

    @property
    def path(self) -> tuple[str | int, ...]:
        """Where it stands in the table of its model."""
        return ("evidence", self.label, self.language)


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of counting again.

    Args:
        why: a clause for people; empty for what is proven.
        found: what was counted; None where nothing was.
        source: what that was counted from.
    """

    claim: Claim
    state: State
    why: str = ""
    found: tuple[Step, ...] | None = None
    source: Source | None = None

    @property
    def is_proven(self) -> bool:
        """Whether the same was found as is said."""
        return self.state is State.PROVEN

    def told(self) -> dict[str, Any]:
        """For programs."""
        claim = self.claim
        told: dict[str, Any] = {"model": claim.model.id, "label": claim.label, "language": claim.language}
        told |= {"state": self.state.value, "why": self.why or None}
        source = claim.counted
        told["counted"] = None if source is None else source._asdict()
        if self.found is not None and self.source is not None:
            told["found"] = {"evidence": steps_in_toml(self.found), "counted": self.source.as_toml()}
        return told

    def lines(self) -> list[str]:
        """For people."""
        told = [f"{self.claim} is {self.state.value}{': ' if self.why else ''}{self.why}"]
        if not self.is_proven and self.found is not None and self.source is not None:
            told += [f"  evidence: {steps_in_toml(self.found)}", f"  counted: {self.source.as_toml()}"]
        return told


def claims_of(document: PolicyDocument) -> list[Claim]:
    """All that a policy says of how right its models are, in its order."""
    return [
        Claim(model, label, language, steps, model.counted.get(spelled(label), {}).get(language))
        for model in document.models
        for label in model.labels
        for language, steps in model.evidence.get(spelled(label), {}).items()
    ]


def unchecked(claim: Claim) -> Finding:
    """What is known of evidence that nobody has counted again here."""
    source = claim.counted
    if source is None:
        return Finding(claim, State.UNPROVEN, "nothing says what it was counted from")
    how = {FOLDS: "in folds", UNSEEN: "unseen", SAMPLE: "as a sample"}[source.by]
    return Finding(claim, State.UNPROVEN, f"it says that texts {source.texts[:_DIGITS]} were counted {how}")


class Recounting:
    """Labelled texts and models, and what comes of counting with them.

    Args:
        folders: of labelled sets, by the language of their texts.
        models: where the files of models are looked for, in this order.
        processes, skip_unknown, bar: see `evaluation.evaluate`.
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        models: Sequence[Path],
        *,
        processes: int,
        skip_unknown: bool,
        bar: Bar,
    ) -> None:
        self._folders = folders
        self._models = models
        self._processes = processes
        self._skip_unknown = skip_unknown
        self._bar = bar
        self._read: dict[Path, Sets] = {}
        self._prepared: dict[tuple[Path, str], Corpus] = {}
        self._taught: dict[tuple[Path, str, int], Taught] = {}

    def check(self, claims: Sequence[Claim]) -> Iterator[Finding]:
        """Count all that can be, one after another.

        Raises:
            FolderError, TableError, OperatorError: a folder or a file is not what it should be.
        """
        for claim in claims:
            yield self._checked(claim)

    def _checked(self, claim: Claim) -> Finding:
        folder, source = self._folders.get(claim.language), claim.counted
        if folder is None:
            return Finding(claim, State.UNPROVEN, f"no folder of texts in {claim.language} was given")
        if source is not None and source.by == SAMPLE:
            why = (
                "it was counted from a blind review, which no folder holds; folkmoot moderate learn counts it"
            )
            return Finding(claim, State.UNPROVEN, why)
        if claim.label not in QUESTIONS:
            return Finding(claim, State.UNPROVEN, f"labelled sets say nothing of {claim.label}")
        sets = self._sets(folder)
        if not asked_of(sets, claim.label):
            return Finding(claim, State.UNPROVEN, f"no set in {folder} says anything of {claim.label}")
        texts, origin = texts_hash(sets, claim.label), self._origin(claim.model)
        if origin is not None and not origin.is_read_alike:
            why = "the model was taught by another version of the program, or with other Unicode data"
            return Finding(claim, State.UNPROVEN, why)
        if source is not None and source.texts != texts:
            here = f"those in {folder} are {texts[:_DIGITS]}"
            why = f"it was counted from texts {source.texts[:_DIGITS]}, and {here}"
            return Finding(claim, State.UNPROVEN, why)
        by_folds = source.by == FOLDS if source is not None else origin is None or origin.texts == texts
        if by_folds:
            seed = source.seed if source is not None else 0 if origin is None else origin.seed
            return self._by_folds(claim, folder, texts, seed)
        return self._unseen(claim, folder, texts, origin)

    def _by_folds(self, claim: Claim, folder: Path, texts: str, seed: int) -> Finding:
        corpus = self._corpus(folder, claim.label)
        if why := untaught(corpus, claim.label):
            return Finding(claim, State.UNPROVEN, f"{folder} teaches nothing: {why}")
        key = folder, claim.label, seed
        if key not in self._taught:
            self._taught[key] = teach(
                corpus, claim.label, texts=texts, seed=seed, processes=self._processes, bar=self._bar
            )
        taught = self._taught[key]
        if taught.model.hash() != claim.model.hash:
            other, name = taught.model.hash()[:_DIGITS], claim.model.hash[:_DIGITS]
            why = (
                f"{folder} teaches another model with seed {seed}, {other}, so its texts are no evidence "
                f"about {name}; unless another version of the program taught that, or other Unicode data"
            )
            return Finding(claim, State.REFUTED, why)
        return _compared(claim, taught.steps, taught.counted, folder)

    def _unseen(self, claim: Claim, folder: Path, texts: str, origin: Origin | None) -> Finding:
        name = claim.model.hash[:_DIGITS]
        if origin is None:
            where = f"{claim.model.hash}{origins.SUFFIX}"
            why = f"nothing says what {name} learnt from, so perhaps these texts, too: no {where} was found"
            return Finding(claim, State.UNPROVEN, why)
        try:
            model = self._model(claim.model)
        except ModelError as error:
            return Finding(claim, State.UNPROVEN, f"the model cannot be asked: {error}")
        seen = origin.has_seen()
        column = model.classes.index(claim.label)
        judged = [
            (item.answers[claim.label], model.margins(item.buckets(blind=claim.model.blind))[column])
            for set, items in self._corpus(folder, claim.label).items()
            for item in items
            if item.tested and claim.label in item.answers and seen.isdisjoint(marks_of(set, item))
        ]
        if not judged:
            return Finding(claim, State.UNPROVEN, f"the model learnt from all texts in {folder}")
        return _compared(claim, steps_of(judged), Source(UNSEEN, claim.model.hash, texts), folder)

    def _sets(self, folder: Path) -> Sets:
        if folder not in self._read:
            self._read[folder] = read_folder(folder, skip_unknown=self._skip_unknown)
        return self._read[folder]

    def _corpus(self, folder: Path, question: str) -> Corpus:
        key = folder, question
        if key not in self._prepared:
            self._prepared[key] = prepare(asked_of(self._sets(folder), question))
        return self._prepared[key]

    def _origin(self, model: Model) -> Origin | None:
        found = (
            origins.read(folder / f"{model.hash}{origins.SUFFIX}", model.hash) for folder in self._models
        )
        return next((each for each in found if each is not None), None)

    def _model(self, model: Model) -> TextModel:
        for folder in self._models:
            file = folder / f"{model.hash}{SUFFIX}"
            try:
                with file.open("rb") as stream:
                    return checked(model, stream.read(POLICY_MODEL_BYTES + 1), file)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise ModelError(f"{file} cannot be read: {error.strerror}") from error
        raise ModelError(f"{model.hash}{SUFFIX} is not in {' or '.join(map(str, self._models))}")


def problems_of(findings: Iterable[tuple[str, Finding]]) -> list[str]:
    """A sentence for each that is refuted.

    Args:
        findings: each with the place of what it is about, `file:line:column`.
    """
    return [f"{at}: {each.claim}: {each.why}" for at, each in findings if each.state is State.REFUTED]


def _compared(claim: Claim, found: tuple[Step, ...], source: Source, folder: Path) -> Finding:
    said = {step.score: step for step in claim.steps}
    counted = {step.score: step for step in found}
    if said == counted:
        return Finding(claim, State.PROVEN, "", found, source)
    differing = sorted(
        score for score in said.keys() | counted.keys() if said.get(score) != counted.get(score)
    )
    at = differing[-1]
    why = (
        f"of the texts from {at} on it says that {_pair(claim.steps, at)} bear the label, and in {folder} "
        f"{_pair(found, at)} do; {len(differing)} of {len(said.keys() | counted.keys())} steps differ, and "
        f"what was found is {steps_in_toml(found)}"
    )
    return Finding(claim, State.REFUTED, why, found, source)


def _pair(steps: Sequence[Step], least: float) -> str:
    above = [step for step in steps if step.score >= least]
    so = sum(step.so for step in above)
    return f"{so} of {so + sum(step.others for step in above)}"
