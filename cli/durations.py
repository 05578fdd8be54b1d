"""Spans of time, as commands take and tell them."""

from __future__ import annotations

import re
from typing import Any, Final

import click

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class Duration(click.ParamType[float]):
    """`90s`, `5m`, `1h` or `2d`; a bare number is seconds.

    Args:
        least, most: seconds it may be.
    """

    name = "TIME"

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds.

        Raises:
            click.BadParameter: it is no span of time, or too short or long.
        """
        if isinstance(value, int | float):
            return float(value)
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd]?)", str(value), re.ASCII)
        if found is None:
            self.fail(f"{value!r} is not a time such as 90s, 5m or 1h", param, ctx)
        seconds = float(found[1]) * _UNITS[found[2]]
        if not self._least <= seconds <= self._most:
            self.fail(f"{value!r} is not between {self._least:g} s and {self._most / 3600:g} h", param, ctx)
        return seconds


def span(seconds: float) -> str:
    """A span of time for people, about as exact as an estimate is: `under 1 s`, `14 s`, `3 min`, `2.5 h`."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
