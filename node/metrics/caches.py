"""What caches have done: their part of the registry, and of `cluster.status`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from folkmoot.node.metrics.registry import Family, counters, gauges
from folkmoot.storage.bounded import CacheFigures

AllCaches = Callable[[], Mapping[str, CacheFigures]]
"""The figures of some caches, by name."""

_COUNTED = {
    "hits": "How often what was asked for was remembered.",
    "misses": "How often what was asked for was not remembered.",
    "evictions": "How much made room for others; what was forgotten because it changed is not among it.",
}
_HELD = {
    "entries": "How much is remembered.",
    "bytes": "About how many bytes that takes.",
    "bytes_max": "How many it may take.",
}


def of_caches(figures: Mapping[str, CacheFigures]) -> Iterator[Family]:
    """The figures of some caches, each with its name as a label."""
    told = {name: each._asdict() for name, each in figures.items()}
    for field, sentence in _COUNTED.items():
        values = {name: each[field] for name, each in told.items()}
        yield counters(f"cache_{field}", sentence, "cache", values)
    for field, sentence in _HELD.items():
        yield gauges(f"cache_{field}", sentence, "cache", {name: each[field] for name, each in told.items()})


def caches_told(figures: Mapping[str, CacheFigures]) -> dict[str, Any]:
    """The same for `cluster.status`."""
    return {name: each._asdict() for name, each in figures.items()}
