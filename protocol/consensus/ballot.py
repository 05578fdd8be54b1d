"""Ballots: numbered attempts to change a register, never used twice."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from folkmoot.protocol import limits
from msgspec import Meta

Counter = Annotated[int, Meta(ge=0, le=limits.BALLOT_MAX)]
Proposer = Annotated[bytes, Meta(max_length=limits.NODE_ID_BYTES)]


class Ballot(NamedTuple):
    """Ordered by counter, then by proposer, so that no two proposers ever share one.

    Args:
        counter: from 1.
        proposer: the id of the node that proposes (16 bytes).
    """

    counter: Counter
    proposer: Proposer

    def next_of(self, proposer: bytes) -> Ballot:
        """The least ballot of `proposer` that is greater than this one and has a counter of its own."""
        return Ballot(self.counter + 1, proposer)

    def leaps_from(self, promised: Ballot) -> bool:
        """Whether it is further above a promise than one request may raise it, lest ballots be used up."""
        return self.counter > promised.counter + limits.BALLOT_STEP


ZERO: Final = Ballot(0, b"")
"""Less than every ballot: nothing was promised or accepted."""
