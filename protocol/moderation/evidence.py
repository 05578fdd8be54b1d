"""Reading the evidence about a model from its table in a policy.

    [models.evidence.toxic]
    en = [[-0.5, 12, 4000], [0.8, 90, 60], [1.6, 700, 9]]

Of each label and language, the steps: the least score, how many texts bear the label, how many do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from folkmoot.protocol.moderation.bounds import EVIDENCE_STEPS, EVIDENCE_TEXTS, POLICY_LANGUAGES
from folkmoot.protocol.moderation.signals import SCORES, signal_name
from folkmoot.protocol.moderation.table import LANGUAGE, Table
from folkmoot.protocol.moderation.thresholds import Evidence, Step


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
            read[(signal_name(SCORES, label) or "").partition(".")[2]] = evidence
    return read


def _step(row: Any) -> Step | None:
    if not isinstance(row, list) or len(row) != 3 or any(type(each) not in (int, float) for each in row):
        return None
    score, *counts = row
    if not isfinite(score) or any(
        type(count) is not int or not 0 <= count <= EVIDENCE_TEXTS for count in counts
    ):
        return None
    return Step(float(score), *counts)
