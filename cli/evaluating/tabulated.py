"""The form of a report's tables, and of the figures in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Table(NamedTuple):
    """One table.

    Args:
        title: over it.
        note: what it shows; may be empty.
        columns: of its rows, in order.
    """

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]


def bracketed(value: float | None, interval: Sequence[float | None] | None) -> str:
    """A figure with its interval in brackets; a dash where there is none."""
    if value is None or interval is None:
        return "-"
    low, high = (f"{end:.3f}" if end is not None else "∞" for end in interval)
    return f"{value:.3f} [{low}, {high}]"
