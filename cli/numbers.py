"""Numbers on a command line."""

from __future__ import annotations

import math
from typing import Any

import click


def counted(count: int, one: str, many: str | None = None) -> str:
    """So many of something, in words.

    Args:
        count: how many.
        one: what one is called.
        many: what others are; with an s unless it is said.
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


class FiniteFloat(click.FloatRange):
    """A number in a range. To `click.FloatRange` alone `nan` is in every range, for nothing is beyond it.

    Args: as for `click.FloatRange`.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number.

        Raises:
            click.BadParameter: it is none, not finite, or out of range.
        """
        number: float = click.FLOAT.convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return float(super().convert(number, param, ctx))
