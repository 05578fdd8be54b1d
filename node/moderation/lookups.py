"""Signals that have to be looked up before the gate judges, for judging itself waits for nothing.

Each family of such signals has a *lookup*. Those whose signals some policy in force asks for are asked once
for all records of a pass, away from the event loop where a disk is read, and what they answer is handed to
the gate with the records. What they do not answer for is unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from folkmoot.protocol.expressions import Value
from folkmoot.protocol.record import Record

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
    lookups: Mapping[str, Lookup], families: Collection[str], records: Sequence[Record]
) -> LookedUp:
    """What the lookups of some families say of records.

    Args:
        lookups: by the family of their signals.
        families: those that are asked for.
        records: of one pass.
    """
    found: LookedUp = NOTHING
    for family, lookup in lookups.items():
        if family in families:
            more = await lookup.of(records)
            found = (
                more
                if not found
                else {id: {**found.get(id, {}), **more.get(id, {})} for id in {*found, *more}}
            )
    return found
