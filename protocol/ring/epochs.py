"""What a request about a range carries, and what its receiver checks before acting on it.

Every request between nodes about a range names the range and the epoch of the descriptor its sender acted
on. Sender and receiver must act on the same one: with different slots in mind, two of them could count two
different quorums. The side that learns it is behind fetches the topology and tries again.
"""

from __future__ import annotations

from typing import Any

from folkmoot.protocol import codec
from folkmoot.protocol.errors import STALE_TOPOLOGY, WireError
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeId, RangeMap
from folkmoot.protocol.ring.roster import Epoch
from msgspec import Struct


class Claim(Struct, frozen=True):
    """The part of a request that says which descriptor its sender acted on.

    Args:
        range: the range's number.
        epoch: the epoch of the sender's descriptor.
    """

    range: RangeId
    epoch: Epoch

    @classmethod
    def of(cls, descriptor: RangeDescriptor) -> Claim:
        """The claim of a request made by `descriptor`."""
        return cls(descriptor.id, descriptor.epoch)

    @classmethod
    def from_params(cls, params: Any) -> Claim:
        """The claim among a request's params.

        Raises:
            WireError: `bad_request`, when they carry none.
        """
        return codec.shaped(params, Claim, "the range and epoch of a request")

    def to_params(self) -> dict[str, int]:
        """The keys to put among a request's params."""
        return {"range": self.range, "epoch": self.epoch}


def check(ranges: RangeMap, claim: Claim) -> RangeDescriptor:
    """The descriptor the request means.

    Raises:
        WireError: `stale_topology`, with `{range, epoch}` of the receiver (epoch 0 for a range it does not
            know); whoever has the lower epoch must fetch.
    """
    mine = ranges.get(claim.range)
    if mine is not None and mine.epoch == claim.epoch:
        return mine
    epoch = mine.epoch if mine is not None else 0
    behind = "the sender" if claim.epoch < epoch else "this node"
    raise WireError(
        STALE_TOPOLOGY,
        f"range {claim.range} is at epoch {epoch} here and {claim.epoch} in the request: {behind} is behind",
        details={"range": claim.range, "epoch": epoch},
    )
