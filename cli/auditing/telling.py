"""An audit as a table, as a plot of characters, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log2
from typing import Any, Final

from folkmoot.cli.durations import span
from folkmoot.cli.output import table
from folkmoot.protocol.moderation.fairness.bias import RATIO_ALARM, Audit, Compared, Measure
from folkmoot.protocol.moderation.fairness.tally import ANY_RULE
from folkmoot.protocol.moderation.statistics.proportions import Interval

COLUMNS: Final = ("measure", "group", "rule", "n", "here", "elsewhere", "ratio", "q", "alarm")
NAMED: Final = 20
"""As many groups are named of which nothing is said; `--json` names all."""

LOWEST, HIGHEST = 0.25, 8.0
"""Between which ratios plots show where they are."""

_WIDTH: Final = 41
_NAME_WIDTH: Final = 42


def shown(audit: Audit, *, every_rule: bool) -> list[Compared]:
    """What a table and a plot show: all rules together, and by itself each rule whose alarm is up, the
    highest ratios of each measure first.

    Args:
        every_rule: whether all others are shown as well.
    """
    some = [each for each in audit.compared if every_rule or each.alarm or each.rule == ANY_RULE]
    order = list(Measure)
    return sorted(some, key=lambda each: (order.index(each.measure), -each.ratio, each.group, each.rule))


def rows_of(compared: Sequence[Compared]) -> list[str]:
    """A table of what was compared."""
    rows = [
        {
            "measure": each.measure.value,
            "group": each.group,
            "rule": each.rule or "any",
            "n": each.of,
            "here": _value(each, each.value),
            "elsewhere": _value(each, each.rest),
            "ratio": f"{_number(each.ratio)} {_bracketed(each.ratio_interval)}",
            "q": f"{each.q:.4f}",
            "alarm": "ALARM" if each.alarm else "",
        }
        for each in compared
    ]
    return table(rows, COLUMNS)


def plot_of(compared: Sequence[Compared]) -> list[str]:
    """Ratios with their intervals on a logarithmic scale, a line each; the bar is 1.25."""
    scale = [" "] * _WIDTH
    for tick in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0):
        at = min(_column(tick), _WIDTH - 1)
        word = f"{tick:g}"
        start = min(at, _WIDTH - len(word))
        scale[start : start + len(word)] = word
    lines = [f"{'':{_NAME_WIDTH}}  {''.join(scale)}"]
    for each in compared:
        name = named(each)
        name = name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}…"
        lines.append(f"{name:{_NAME_WIDTH}}  {_whisker(each)}{'  ALARM' if each.alarm else ''}".rstrip())
    return lines


def named(compared: Compared) -> str:
    """What was compared, in words."""
    under = f", {compared.rule}" if compared.rule else ""
    return f"{compared.measure.value}: {compared.group}{under}"


def as_json(audit: Audit) -> dict[str, Any]:
    """The whole audit; what is infinite is null."""
    return {
        "alarms": [_identity(each) for each in audit.alarms],
        "compared": [
            {
                **_identity(each),
                "n": each.of,
                "value": _finite(each.value),
                "interval": _pair(each.interval),
                "rest": _finite(each.rest),
                "ratio": _finite(each.ratio),
                "ratio_interval": _pair(each.ratio_interval),
                "difference_interval": None if each.difference is None else _pair(each.difference),
                "p": each.p,
                "q": each.q,
                "alarm": each.alarm,
            }
            for each in audit.compared
        ],
        "too_few": list(audit.too_few),
        "left_out": list(audit.left_out),
        "blurred": audit.blurred,
    }


def unsaid(audit: Audit) -> list[str]:
    """What the audit says nothing of, a line each."""
    lines = []
    if audit.too_few:
        lines.append(f"too few of {_listed(audit.too_few)}")
    if audit.left_out:
        lines.append(f"not compared, for there are too many larger groups: {_listed(audit.left_out)}")
    if audit.blurred:
        lines.append("some posts were not told apart: any group may be treated worse than is said here")
    return lines


def alarm_sentence(audit: Audit) -> str:
    """What is said when an alarm is up: how many, and the worst."""
    worst, *others = audit.alarms
    more = f" and {len(others)} more" if others else ""
    low = worst.ratio_interval.low
    return (
        f"alarm: {named(worst)}: {_number(worst.ratio)} times the others', at least {low:.2f} where at most "
        f"{RATIO_ALARM:g} may be{more}"
    )


def position(ratio: float) -> float:
    """Where a ratio stands on the scale, from 0 to 1; what is beyond it stands at its end."""
    within = min(max(ratio, LOWEST), HIGHEST)
    return log2(within / LOWEST) / log2(HIGHEST / LOWEST)


def _listed(groups: Sequence[str]) -> str:
    more = len(groups) - NAMED
    return ", ".join(groups[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _identity(compared: Compared) -> dict[str, Any]:
    return {"measure": compared.measure.value, "group": compared.group, "rule": compared.rule or None}


def _whisker(compared: Compared) -> str:
    low, high = compared.ratio_interval
    line = [" "] * _WIDTH
    line[_column(RATIO_ALARM)] = "|"
    start, end = _column(low), _column(high)
    for at in range(start, end + 1):
        line[at] = "─"
    line[start] = "<" if low < LOWEST else "├"
    line[end] = ">" if high > HIGHEST else "┤"
    line[_column(compared.ratio)] = "●"
    return "".join(line)


def _column(ratio: float) -> int:
    return round(position(ratio) * (_WIDTH - 1))


def _value(compared: Compared, value: float) -> str:
    if compared.measure is Measure.WAIT:
        return "never" if value == inf else span(value)
    return f"{value:.2%}"


def _number(value: float) -> str:
    return "∞" if value == inf else f"{value:.2f}"


def _bracketed(interval: Interval) -> str:
    return f"[{_number(interval.low)}, {_number(interval.high)}]"


def _pair(interval: Interval) -> list[float | None]:
    return [_finite(interval.low), _finite(interval.high)]


def _finite(value: float) -> float | None:
    return None if value == inf else value
