"""Reading the evidence about a model from its table in a policy.

    [models.evidence.toxic]
    en = [[-0.5, 12, 4000], [0.8, 90, 60], [1.6, 700, 9]]

Of each label and language, the steps: the least score, how many texts bear the label, how many do not. Beside
it may stand what they were counted from, so that others can count again:

    [models.counted.toxic]
    en = {by = "folds", model = "3f1c…", texts = "9a20…", seed = 0}

Without that the counts are their author's word. With it they are no more than that, either, until somebody
has counted again; but they cannot stand under another model than the one that they are about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final, NamedTuple

from folkmoot.protocol.moderation.bounds import EVIDENCE_STEPS, EVIDENCE_TEXTS, POLICY_LANGUAGES
from folkmoot.protocol.moderation.signals import SCORES, signal_name
from folkmoot.protocol.moderation.table import HASH, HASH_DIGITS, LANGUAGE, Table
from folkmoot.protocol.moderation.thresholds import Evidence, Step

FOLDS: Final = "folds"
"""The model learnt from the texts, and each was scored by one of five others, which had not seen it."""
UNSEEN: Final = "unseen"
"""The model scored the texts, and had learnt from none of them."""
SAMPLE: Final = "sample"
"""The texts are those of a blind review, each scored by one of five models that had not seen it."""


class Source(NamedTuple):
    """What the evidence in one language was counted from.

    Args:
        by: how: `FOLDS`, `UNSEEN` or `SAMPLE`.
        model: the hash of the model that it is about, in hex.
        texts: the SHA-256 over the labelled texts, in hex.
        seed: of the folds; 0 where there are none.
    """

    by: str
    model: str
    texts: str
    seed: int = 0

    def as_toml(self) -> str:
        """As it stands in a policy."""
        seed = f", seed = {self.seed}" if self.by == FOLDS else ""
        return f'{{by = "{self.by}", model = "{self.model}", texts = "{self.texts}"{seed}}}'


def read_evidence(model: Table, labels: Sequence[str]) -> dict[str, Evidence]:
    """The evidence in a model's table, by label as signals spell it; problems are noted there.

    Args:
        labels: of the model.
    """
    table = model.table("evidence")
    read: dict[str, Evidence] = {}
    for label in table.names() if table is not None else ():
        assert table is not None
        if label not in labels:
            table.complain(label, f"{label[:80]!r} is no label of this model")
        languages = table.table(label)
        if languages is None:
            continue
        evidence = {}
        for number, language in enumerate(languages.names()):
            if not LANGUAGE.fullmatch(language) or number == POLICY_LANGUAGES:
                at_most = f"evidence is by at most {POLICY_LANGUAGES} languages, such as pt-br"
                languages.complain(language, at_most)
            steps = [_step(row) for row in languages.rows(language, EVIDENCE_STEPS)]
            usable = tuple(step for step in steps if step is not None)
            scores = [step.score for step in usable]
            if len(usable) < len(steps) or sorted(set(scores)) != scores:
                languages.complain(language, "a step is [score, how many bear the label, how many do not]")
            elif usable:
                evidence[language] = usable
        if evidence:
            read[spelled(label)] = evidence
    return read


def read_counted(
    model: Table, hash: str, evidence: Mapping[str, Evidence]
) -> dict[str, Mapping[str, Source]]:
    """What a model's table says that the evidence was counted from, by label; problems are noted there.

    Args:
        hash: of the model.
        evidence: about it.
    """
    table = model.table("counted")
    read: dict[str, Mapping[str, Source]] = {}
    for label in table.names() if table is not None else ():
        assert table is not None
        languages = table.table(label)
        if languages is None:
            continue
        read[spelled(label)] = counted = {}
        for language in languages.names():
            if language not in evidence.get(spelled(label), ()):
                languages.complain(language, f"there is no evidence about {label[:80]} in {language[:80]!r}")
            elif (source := languages.table(language)) is not None:
                counted[language] = _counted(source, hash)
    return read


def spelled(label: str) -> str:
    """A label as signals spell it; empty for what is none."""
    return (signal_name(SCORES, label) or "").partition(".")[2]


def _counted(source: Table, hash: str) -> Source:
    by = source.choice("by", (FOLDS, UNSEEN, SAMPLE), default=None)
    model, texts = (source.text(key, HASH_DIGITS) for key in ("model", "texts"))
    for key, value in (("model", model), ("texts", texts)):
        if value and not HASH.fullmatch(value):
            source.complain(key, f"{key} is a SHA-256, {HASH_DIGITS} hexadecimal digits in lower case")
        elif key == "model" and value and hash and value != hash:
            other = f"the evidence was counted for another model, {value[:12]}…"
            source.complain(key, f"{other}, and this one is {hash[:12]}…: count it anew, for this one")
    seed = source.integer("seed") if by == FOLDS else 0
    if seed is not None and seed < 0:
        source.complain("seed", "seed is a whole number from 0 on")
    source.refuse_others()
    return Source(by, model, texts, seed or 0)


def _step(row: Any) -> Step | None:
    if not isinstance(row, list) or len(row) != 3 or any(type(each) not in (int, float) for each in row):
        return None
    score, *counts = row
    if not isfinite(score) or any(
        type(count) is not int or not 0 <= count <= EVIDENCE_TEXTS for count in counts
    ):
        return None
    return Step(float(score), *counts)
