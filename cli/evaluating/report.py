"""The report as tables: one list of them, shown on a terminal or written as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from folkmoot.cli.evaluating.remedy_tables import remedy_tables
from folkmoot.cli.evaluating.tabulated import Table, bracketed
from folkmoot.cli.output import table


def tables(report: Mapping[str, Any]) -> Iterator[Table]:
    """The tables of a report, those that would be empty left out."""
    sets = report["sets"]
    yield Table("Targets", "", ("set", "figure", "target", "measured", "reached"), report["targets"])
    yield _sets_table(report)
    yield _found_table(report)
    yield _classes_table(sets)
    if "hatecheck_en" in sets:
        yield _parts_table("HateCheck, by functionality", sets["hatecheck_en"])
    if "hatecheck_multilingual" in sets:
        yield _languages_table(sets["hatecheck_multilingual"])
    for name in ("wikipedia_toxicity_identity", "identity_templates_77k"):
        if name in sets:
            yield _identity_table(name, sets[name])
    if "dialect_pairs_habitual_be" in sets:
        yield _dialect_table(sets["dialect_pairs_habitual_be"])
    if "remedies" in report:
        yield from remedy_tables(report["remedies"])
    missing = [{"set": name, "because": why} for name, why in report["not_evaluated"].items()]
    yield Table("Not evaluated", "", ("set", "because"), missing)


def as_lines(report: Mapping[str, Any]) -> list[str]:
    """The report for a terminal."""
    lines: list[str] = []
    for each in tables(report):
        if each.rows:
            lines += ["", each.title, *([each.note] if each.note else []), ""]
            lines += table(each.rows, each.columns)
    return lines[1:]


def as_markdown(report: Mapping[str, Any]) -> str:
    """The report as the middle of a page."""
    lines: list[str] = []
    for each in tables(report):
        if each.rows:
            lines += [f"## {each.title}", "", *([each.note, ""] if each.note else [])]
            lines.append(f"| {' | '.join(each.columns)} |")
            lines.append(f"|{'---|' * len(each.columns)}")
            lines += [
                f"| {' | '.join(_cell(row.get(column)) for column in each.columns)} |" for row in each.rows
            ]
            lines.append("")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return ("yes" if value else "**no**") if isinstance(value, bool) else str(value)


def _sets_table(report: Mapping[str, Any]) -> Table:
    rows = [
        {
            "set": name,
            "n": of["n"],
            "macro-F1": _with_interval(of, "macro_f1"),
            "AUC": _with_interval(of, "auc"),
            "accuracy": _with_interval(of, "accuracy"),
            "judged by": of["judged_by"],
            "learnt from": of["trained_on"],
        }
        for name, of in _labelled(report)
    ]
    way = f"in {report['folds']} folds of one folder" if report["folds"] else "on texts of another folder"
    columns = ("set", "n", "macro-F1", "AUC", "accuracy", "judged by", "learnt from")
    return Table("Sets", f"Measured {way}; in brackets intervals of 95 %.", columns, rows)


def _found_table(report: Mapping[str, Any]) -> Table:
    rows = [
        {
            "set": name,
            "wrong with it": " or ".join(list(of["classes"])[1:]),
            "precision": _with_interval(of, "precision"),
            "recall": _with_interval(of, "recall"),
        }
        for name, of in _labelled(report)
    ]
    columns = ("set", "wrong with it", "precision", "recall")
    return Table("What was found", "Of texts that something is wrong with, whatever it is.", columns, rows)


def _labelled(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, of) for name, of in report["sets"].items() if "macro_f1" in of]


def _classes_table(sets: Mapping[str, Any]) -> Table:
    rows = [
        {"set": name, "class": label, **figures}
        for name, of in sets.items()
        for label, figures in of.get("classes", {}).items()
    ]
    return Table("Classes", "", ("set", "class", "n", "precision", "recall", "f1"), rows)


def _parts_table(title: str, of: Mapping[str, Any]) -> Table:
    rows = [
        {"functionality": name, "n": part["n"], "right": bracketed(part["accuracy"], part["interval"])}
        for name, part in of["functionalities"].items()
    ]
    return Table(title, _baseline(of), ("functionality", "n", "right"), rows)


def _languages_table(of: Mapping[str, Any]) -> Table:
    rows = [{"language": name, **figures} for name, figures in of["languages"].items()]
    note = f"{_baseline(of)} The models have learnt English only."
    return Table("HateCheck, by language", note, ("language", "n", "macro_f1", "auc", "accuracy"), rows)


def _baseline(of: Mapping[str, Any]) -> str:
    always = of["always_hateful"]
    return (
        f"Macro-F1 {of['macro_f1']}; calling everything hateful has {always['macro_f1']} "
        f"(and is right {always['accuracy']} of the time)."
    )


def _identity_table(name: str, of: Mapping[str, Any]) -> Table:
    identity = of["identity"]
    rows = [
        {
            "name": each,
            "n": figures["n"],
            "false positives": figures["false_positive_rate"],
            "ratio": bracketed(figures["ratio"], figures["interval"]),
            "q": figures["q"],
            "alarm": "yes" if each in identity["alarms"] else "",
        }
        for each, figures in sorted(
            identity["names"].items(), key=lambda item: (-(item[1]["ratio"] or 0.0), item[0])
        )
    ]
    note = f"Of the harmless texts {identity['false_positive_rate']:.1%} are taken for bad."
    if swap := of.get("swapped"):
        note += (
            f" With the names of other groups in them it is {swap['identity_swapped']:.1%} instead of "
            f"{swap['original']:.1%}, a ratio of {bracketed(swap['ratio'], swap['interval'])}; "
            f"{swap['verdicts_changed']:.1%} of the verdicts change."
        )
    columns = ("name", "n", "false positives", "ratio", "q", "alarm")
    return Table(f"Names of groups, {name}", note, columns, rows)


def _dialect_table(of: Mapping[str, Any]) -> Table:
    rows = [
        {"English": "African-American", "flagged": of["flagged"]["aae"]},
        {"English": "Standard American", "flagged": of["flagged"]["sae"]},
    ]
    higher = bracketed(of["aae_scores_higher"], of["aae_scores_higher_interval"])
    note = (
        f"{of['n']} sentences in both; the difference is {bracketed(of['difference'], of['interval'])}, and "
        f"the African-American one scores higher in {higher} of them (0.5 is even)."
    )
    return Table("Dialect pairs", note, ("English", "flagged"), rows)


def _with_interval(of: Mapping[str, Any], share: str) -> str:
    return bracketed(of[share], of["intervals"][share])
