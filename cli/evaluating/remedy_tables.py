"""What remedies do and what they cost, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from folkmoot.cli.evaluating.tabulated import Table, bracketed
from folkmoot.protocol.moderation.fairness.bias import RATIO_ALARM

_COLUMNS: Final = ("remedy", "false positives", "highest ratio of a name", "alarms", "AUC", "names swapped")
_NOTE: Final = (
    "The same texts, folds and seed each time. *Nothing*: the model sees every word. *Names swapped*: "
    "it learns each text that names a group again, with other groups' names. *Thresholds by group*: it "
    "sees every word, and texts with a name are bad from a higher score on, found in other folds. "
    "*Names unseen*: all names are one to it; that is what is shipped as *toxic*. *One threshold*: what "
    "names any group is bad from a higher score on, one for all names. At most {} is wanted of the "
    "highest ratio."
)


def remedy_tables(remedies: Sequence[Mapping[str, Any]]) -> Iterator[Table]:
    """A table for each set on which remedies were compared."""
    note = _NOTE.format(RATIO_ALARM)
    for name in dict.fromkeys(name for each in remedies for name in each["sets"]):
        rows = [_row(each["remedy"], each["sets"][name]) for each in remedies]
        columns = _COLUMNS if "names swapped" in rows[0] else _COLUMNS[:-1]
        yield Table(f"Remedies, {name}", note, columns, rows)
        note = ""
    rows = [
        {
            "remedy": each["remedy"],
            "African-American": each["dialects"]["flagged"]["aae"],
            "Standard American": each["dialects"]["flagged"]["sae"],
            "difference": bracketed(each["dialects"]["difference"], each["dialects"]["interval"]),
        }
        for each in remedies
        if "dialects" in each
    ]
    told = ("remedy", "African-American", "Standard American", "difference")
    yield Table("Remedies, dialect pairs", "None of them is about dialects.", told, rows)


def _row(remedy: str, of: Mapping[str, Any]) -> dict[str, Any]:
    highest = of["highest"]
    row = {
        "remedy": remedy,
        "false positives": of["false_positive_rate"],
        "highest ratio of a name": "-"
        if highest is None
        else f"{highest['name']} {bracketed(highest['ratio'], highest['interval'])}",
        "alarms": len(of["alarms"]),
        "AUC": bracketed(of["auc"], of["auc_interval"]),
    }
    if "swapped" in of:
        row["names swapped"] = bracketed(of["swapped"]["ratio"], of["swapped"]["interval"])
    return row
