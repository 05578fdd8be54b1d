"""An audit as a picture: an SVG file, written by itself, in which each ratio is a point with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from folkmoot.cli.auditing.telling import HIGHEST, LOWEST, named, position
from folkmoot.protocol.moderation.fairness.bias import RATIO_ALARM, Compared

ROWS: Final = 200
"""As many are drawn, and no more."""

_TICKS: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_ROW: Final = 22
_TOP: Final = 64
_LEFT: Final = 330
_SPAN: Final = 420
_RIGHT: Final = 190
_CALM, _ALARM, _GRID = "#3b5b7a", "#b3261e", "#d5d9de"
_INK: Final = "#1f2328"
_STYLE: Final = "font-family='system-ui, sans-serif' font-size='12'"


def picture(title: str, sections: Mapping[str, Sequence[Compared]]) -> str:
    """The picture of what was compared.

    Args:
        title: over it.
        sections: what was compared, by what it is of, from top to bottom; beyond 200 rows they are left out.
    """
    drawn: list[str | Compared] = []
    for name, compared in sections.items():
        drawn += [name, *compared] if len(sections) > 1 else compared
    drawn = drawn[:ROWS]
    width, height = _LEFT + _SPAN + _RIGHT, _TOP + _ROW * len(drawn) + 34
    bottom = height - 30
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' "
        f"viewBox='0 0 {width} {height}' {_STYLE}>",
        f"<rect width='{width}' height='{height}' fill='#ffffff'/>",
        f"<text x='16' y='26' font-size='15' font-weight='600' fill='{_INK}'>{escape(title)}</text>",
        *(_line(tick, bottom, _GRID, f"{tick:g}") for tick in _TICKS),
        _line(1.0, bottom, _INK),
        _line(RATIO_ALARM, bottom, _ALARM, f"{RATIO_ALARM:g}", dashed=True),
        *(
            _heading(number, each) if isinstance(each, str) else _row(number, each)
            for number, each in enumerate(drawn)
        ),
        f"<text x='{_LEFT}' y='{height - 10}' fill='{_INK}'>times the rest, with 95 % intervals; red: the "
        "whole interval is beyond 1.25, and not by chance</text>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _line(ratio: float, bottom: int, colour: str, word: str = "", *, dashed: bool = False) -> str:
    x = _x(ratio)
    dashes = " stroke-dasharray='4 3'" if dashed else ""
    y = 40 if dashed else 54
    said = f"<text x='{x:.1f}' y='{y}' text-anchor='middle' fill='{colour if dashed else _INK}'>{word}</text>"
    line = f"<line x1='{x:.1f}' y1='{_TOP - 6}' x2='{x:.1f}' y2='{bottom}' stroke='{colour}'{dashes}/>"
    return line + (said if word else "")


def _heading(number: int, name: str) -> str:
    y = _TOP + _ROW * number + _ROW // 2 + 4
    return f"<text x='16' y='{y}' font-weight='600' fill='{_INK}'>{escape(name)}</text>"


def _row(number: int, compared: Compared) -> str:
    y = _TOP + _ROW * number + _ROW // 2
    colour = _ALARM if compared.alarm else _CALM
    low, high = compared.ratio_interval
    ratio = "∞" if compared.ratio == float("inf") else f"{compared.ratio:.2f}"
    top = "∞" if high == float("inf") else f"{high:.2f}"
    name = named(compared)
    name = name if len(name) <= 48 else f"{name[:47]}…"
    ends = [
        f"<path d='M{x:.1f} {y - 4} l{8 * way} 4 l{-8 * way} 4 z' fill='{colour}'/>"
        for x, way, beyond in ((_x(low), -1, low < LOWEST), (_x(high), 1, high > HIGHEST))
        if beyond
    ]
    return "".join(
        [
            f"<text x='{_LEFT - 14}' y='{y + 4}' text-anchor='end' fill='{_INK}'>{escape(name)}</text>",
            f"<line x1='{_x(low):.1f}' y1='{y}' x2='{_x(high):.1f}' y2='{y}' stroke='{colour}' "
            "stroke-width='2'/>",
            *ends,
            f"<circle cx='{_x(compared.ratio):.1f}' cy='{y}' r='4' fill='{colour}'/>",
            f"<text x='{_LEFT + _SPAN + 22}' y='{y + 4}' fill='{colour}'>{ratio} [{low:.2f}, {top}] "
            f"n={compared.of}</text>",
        ]
    )


def _x(ratio: float) -> float:
    return _LEFT + _SPAN * position(ratio)
