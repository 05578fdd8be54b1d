"""Signals that have to be looked up before the gate judges, for judging itself waits for nothing.

Each family of such signals has a *lookup*. Those whose signals some policy in force asks for are asked once
for all records of a pass, away from the event loop where a disk is read, and what they answer is handed to
the gate with the records. What they do not answer for is unknown.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from folkmoot.protocol.expressions import Value
from folkmoot.protocol.record import Record

logger = logging.getLogger(__name__)

LookedUp = Mapping[bytes, Mapping[str, Value]]
"""By the ids of records, the signals that were looked up for them, as far as they are known."""

NOTHING: Final[LookedUp] = {}


class Lookup(Protocol):
    """Where the signals of one family come from.

    Attributes:
        unavailable: of its signals those that this node can never know as it is set up, and why.
    """

    @property
    def unavailable(self) -> Mapping[str, str]: ...

    async def of(self, records: Sequence[Record]) -> LookedUp:
        """What is known of records that were read and verified."""
        ...


async def look_up(
    lookups: Mapping[str, Lookup],
    families: Collection[str],
    records: Sequence[Record],
    failed: Counter[str],
) -> LookedUp:
    """What the lookups of some families say of records. One that fails knows nothing, and holds up nobody.

    Args:
        lookups: by the family of their signals.
        families: those that are asked for.
        records: of one pass.
        failed: how often each family could not be looked up, which is counted here, and logged as it doubles.
    """
    found: dict[bytes, Mapping[str, Value]] = {}
    for family, lookup in lookups.items():
        if family not in families:
            continue
        try:
            told = await lookup.of(records)
        except Exception:  # whatever it was: what is not known goes to review, and the others are judged
            failed[family] += 1
            if failed[family].bit_count() == 1:  # every pass may bring this about
                logger.exception(
                    "signals of the family %s could not be looked up: %d times so far", family, failed[family]
                )
            continue
        for id, signals in told.items():
            found[id] = {**found[id], **signals} if id in found else signals
    return found
