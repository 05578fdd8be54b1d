"""The report as a page of documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from folkmoot.cli.evaluating.report import as_markdown

_HEAD: Final = """# What the text models reach

<!-- Written by `folkmoot moderate evaluate --markdown`; run it again instead of changing this page. -->

What a node could know of a text from the text alone, measured on published sets that people labelled. The
model is one matrix of weights over hashed words and pieces of words; why is in [decision
46](decisions/0046-text-models-are-linear-and-hashed.md). Nothing here decides about posts yet.

```
folkmoot moderate evaluate --train DIR --test DIR
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
"""


def page(report: Mapping[str, Any]) -> str:
    """The whole page."""
    return f"{_HEAD}\n{_misses(report)}\n{as_markdown(report)}".rstrip() + "\n"


def _misses(report: Mapping[str, Any]) -> str:
    missed = [each for each in report["targets"] if not each["reached"]]
    if not missed:
        return "Every target that could be measured is reached.\n"
    lines = ["**Missed:**", ""]
    for each in missed:
        lines.append(
            f"- `{each['set']}`, {each['figure']}: {each['measured']} where {each['target']} was wanted."
        )
    return "\n".join([*lines, ""])
