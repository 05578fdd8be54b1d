"""The report as a page of documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from folkmoot.cli.evaluating.report import as_markdown

_HEAD: Final = """# What the text models reach

<!-- Written by `folkmoot moderate evaluate --markdown`; run it again instead of changing this page. -->

What a node could know of a text from the text alone, measured on published sets that people labelled. The
model is one matrix of weights over hashed words and pieces of words; why is in
[decision 46](decisions/0046-text-models-are-linear-and-hashed.md). No model decides about posts unless a
policy names it.

```
folkmoot moderate evaluate --train DIR --test DIR --remedies
```

How it is measured:

- A set with labels of its own has a **model of its own** that learns from nothing else. The other sets
  are judged by two **models of all sets**: *toxic*, which reads all groups of people as one, and *hate*,
  which does not.
- A text that is measured on is never learnt from: not in its own set, not in another, not written with
  other signs, capitals, accents or spaces, and not as another version of the same text or in another
  sentence of the same post. With one folder given for both this is done in five folds, and figures are of
  all folds together.
- Offsets between the classes are chosen inside the texts that are learnt from, in folds of their own.
- No `hatecheck_*` file is ever learnt from. Of the identity templates three are learnt from and the other
  three are measured on. Which sets teach hate, and that groups are read as one, was chosen with HateCheck
  in view; its figure is to that extent a hopeful one.
- Intervals are of 95 %: Wilson's for shares, DeLong's for areas under the curve, the delta method's for
  macro-F1, ratios of shares by MOVER-R; alarms by Benjamini and Hochberg at 5 %.
- The ratio of a name tells of all that is said around it, too. What the name alone does is told by the same
  texts with other names in them.

What was tried for what is missed, and is not in the models
([decision 66](decisions/0066-text-models-do-without-embeddings.md)): vectors of whole texts, from the extra
`[embed]`, beside the words. HateCheck stays at .621 (without .620; .612 where they weigh more, .57 from
them alone), and the first fold of Davidson falls from .747 to .742. Pieces of words of 2 to 6 letters
instead of 2 to 5 reach .752 where those reach .751, in one measurement of five
folds, pieces of 3 to 5 make no difference, and an elastic net reaches .741 on the first fold. Weights for
rare classes, votes, costs and logistic regression are in
[decision 46](decisions/0046-text-models-are-linear-and-hashed.md).
"""


def page(report: Mapping[str, Any]) -> str:
    """The whole page."""
    return f"{_HEAD}\n{_misses(report)}\n{as_markdown(report)}".rstrip() + "\n"


def _misses(report: Mapping[str, Any]) -> str:
    """What is not as it should be, before anything else is told."""
    missed = [
        f"`{each['set']}`, {each['figure']}: {each['measured']} where {each['target']} was wanted."
        for each in report["targets"]
        if not each["reached"]
    ]
    missed += [each for name, of in report["sets"].items() for each in _weaknesses(name, of)]
    return "\n".join(["**Missed, or weak:**", "", *(f"- {each}" for each in missed or ["nothing."]), ""])


def _weaknesses(name: str, of: Mapping[str, Any]) -> Iterator[str]:
    """What no target asks for and readers should know all the same."""
    parts = of.get("functionalities", {})
    if low := [part for part, figures in parts.items() if figures["accuracy"] < 0.5]:
        yield f"`{name}`: more often wrong than right on {', '.join(low)}."
    if "always_hateful" in of and of["macro_f1"] < of["always_hateful"]["macro_f1"]:
        yield f"`{name}`: macro-F1 {of['macro_f1']}, worse than calling everything hateful."
    if alarms := of.get("identity", {}).get("alarms"):
        yield f"`{name}`: harmless texts with {', '.join(alarms)} in them are taken for bad too often."
    if "flagged" in of and of["interval"][0] > 0.0:
        flagged = of["flagged"]
        yield (
            f"`{name}`: {flagged['aae']:.1%} of the African-American sentences are taken for bad, and "
            f"{flagged['sae']:.1%} of the same in Standard American."
        )
