"""The bounds of decisions, beside those in `protocol.limits`."""

from __future__ import annotations

from typing import Final

DECISION_REASON_CODE_POINTS: Final = 2_000  # as much as the European Union's database takes
DECISION_LABELS: Final = 8
DECISION_REVERSES: Final = 16
QUEUE_ITEMS: Final = 64  # that wait for review, on one page
QUEUE_LOOK_S: Final = 2.0  # for which the cluster is looked through for one page
QUEUE_STEP: Final = 16  # that wait for review and are told at once
DECISIONS_READ: Final = 64  # of those about one subject, the newest by their numbers
