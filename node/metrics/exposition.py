"""Figures as OpenMetrics text, for Prometheus and whatever else reads it.

All that knows `prometheus-client`, but for the command that reads the text again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from folkmoot.node.metrics.registry import PREFIX, Buckets, Family
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class _Collected:
    """What the library takes for a registry."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return map(_metric, self._families)


def text_of(families: Iterable[Family]) -> str:
    """The figures as OpenMetrics text."""
    written: bytes = generate_latest(_Collected(list(families)))  # type: ignore[no-untyped-call]
    return written.decode()


def _metric(family: Family) -> Metric:
    kind, name, sentence, label, samples = family
    labels = [label] if label else []
    metric: CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
    if kind == "histogram":
        metric = HistogramMetricFamily(PREFIX + name, sentence, labels=labels)
        for value, told in samples.items():
            assert isinstance(told, Buckets), "a histogram has buckets"
            bounds = [*map(str, told.bounds), "+Inf"]
            metric.add_metric(
                [value] if label else [], list(zip(bounds, told.counts, strict=True)), told.total
            )
        return metric
    made = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
    metric = made(PREFIX + name, sentence, labels=labels)
    for value, number in samples.items():
        assert not isinstance(number, Buckets), "only a histogram has buckets"
        metric.add_metric([value] if label else [], number)
    return metric
