"""What the models are to reach, and whether they do."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from folkmoot.protocol.moderation.fairness.bias import RATIO_ALARM


class Target(NamedTuple):
    """One figure of one set.

    Args:
        set: which.
        path: the keys that lead to the figure.
        bound: what it is to reach.
        most: whether it is to stay at or below that; at or above otherwise.
        called: in a table.
    """

    set: str
    path: tuple[str, ...]
    bound: float
    most: bool
    called: str


TARGETS: Final = (
    Target("davidson_tweets", ("macro_f1",), 0.75, False, "macro-F1"),
    Target("davidson_tweets", ("auc",), 0.98, False, "AUC of toxic"),
    Target("hatecheck_en", ("macro_f1",), 0.62, False, "macro-F1"),
    Target(
        "wikipedia_toxicity_identity",
        ("swapped", "ratio"),
        RATIO_ALARM,
        True,
        "false positives, names swapped / original",
    ),
    Target(
        "identity_templates_77k",
        ("identity", "highest_ratio"),
        RATIO_ALARM,
        True,
        "false positives, highest ratio of a name",
    ),
)


def reached(sets: dict[str, Any]) -> list[dict[str, Any]]:
    """Every target whose set was measured, with the figure and whether it is reached."""
    found = []
    for target in TARGETS:
        figure: Any = sets.get(target.set)
        for key in target.path:
            figure = None if figure is None else figure[key]
        if figure is not None:
            held = figure <= target.bound if target.most else figure >= target.bound
            found.append(
                {
                    "set": target.set,
                    "figure": target.called,
                    "target": f"{'≤' if target.most else '≥'} {target.bound}",
                    "measured": figure,
                    "reached": held,
                }
            )
    return found
