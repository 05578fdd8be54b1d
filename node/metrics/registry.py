"""What a node measures of itself, in the terms of OpenMetrics: counters, gauges and histograms.

A registry belongs to one node, so that several can run in one process, and it holds nothing but questions: a
*source* is a function that reads what a part of the node counts anyway, and is called when somebody asks. So
measuring costs nothing while nobody does, nothing is counted twice, and nothing here has a clock. The one
thing that has to be fed as things happen is a `Histogram`.

Labels are few and fixed (the name of a cache, a state): never an account, a post, an address or a tag.

Terms: OpenMetrics 1.0, https://github.com/prometheus/OpenMetrics.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final, Literal, NamedTuple

PREFIX: Final = "folkmoot_"

DURATIONS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Buckets for what takes from half a millisecond to ten seconds."""

Kind = Literal["counter", "gauge", "histogram"]


class Buckets(NamedTuple):
    """A histogram, as it is told.

    Args:
        bounds: the upper bound of each bucket; the last one is infinite and not among them.
        counts: how many values came up to each bound, and in the end how many there were.
        total: of all values.
    """

    bounds: Sequence[float]
    counts: Sequence[int]
    total: float


class Family(NamedTuple):
    """One figure, with its samples.

    Args:
        kind: what sort of figure.
        name: without the prefix, and of counters without `_total`; the unit last, in base units.
        sentence: what it means.
        label: the one label of its samples; empty when it has one sample without.
        samples: value by the label's value.
    """

    kind: Kind
    name: str
    sentence: str
    label: str
    samples: Mapping[str, float | Buckets]


def counter(name: str, sentence: str, value: float) -> Family:
    """What only grows, until the node is started anew."""
    return Family("counter", name, sentence, "", {"": value})


def counters(name: str, sentence: str, label: str, values: Mapping[str, float]) -> Family:
    """Several of a sort."""
    return Family("counter", name, sentence, label, values)


def gauge(name: str, sentence: str, value: float | None) -> Family:
    """What is so now; without a sample when that is not known."""
    return Family("gauge", name, sentence, "", {} if value is None else {"": value})


def gauges(name: str, sentence: str, label: str, values: Mapping[str, float]) -> Family:
    """Several of a sort."""
    return Family("gauge", name, sentence, label, values)


class Histogram:
    """How values are spread over fixed buckets.

    Args:
        name, sentence: as in `Family`.
        bounds: the upper bounds of buckets, ascending.
    """

    __slots__ = ("_counts", "_total", "bounds", "name", "sentence")

    def __init__(self, name: str, sentence: str, bounds: Sequence[float] = DURATIONS_S) -> None:
        self.name = name
        self.sentence = sentence
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Something has come to this value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self._total += value

    def family(self) -> Family:
        """How they are spread now."""
        told = Buckets(self.bounds, list(accumulate(self._counts)), self._total)
        return Family("histogram", self.name, self.sentence, "", {"": told})


Source = Callable[[], Iterable[Family]]


class Registry:
    """All that one node measures; see the module."""

    def __init__(self) -> None:
        self._sources: list[Source] = []

    def add(self, source: Source) -> None:
        """Ask one more part, each time somebody asks."""
        self._sources.append(source)

    def collect(self) -> list[Family]:
        """Everything, as it is now, in the order in which it was added."""
        return [family for source in self._sources for family in source()]
