"""What a replica says of cells that were put and joined, as it travels between nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from folkmoot.node.contracts import Coverage, Joined, PeerUnreachable, PutResult
from folkmoot.protocol import codec
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from msgspec import Struct


class _PackedResults(Struct):
    coverages: list[list[bytes]]
    results: list[tuple[str, int, dict[str, Any] | None, bool]]


def pack_results(results: Sequence[PutResult]) -> dict[str, Any]:
    """The result of `replica.put`: who holds what is said once for all records it is true of."""
    coverages: dict[int, int] = {}
    acks: list[list[bytes]] = []
    entries = []
    for result in results:
        at = -1
        if result.coverage is not None:
            at = coverages.setdefault(id(result.coverage), len(acks))
            if at == len(acks):
                acks.append(sorted(result.coverage.acks))
        entries.append([result.status, at, result.error, result.changed])
    return {"coverages": acks, "results": entries}


def unpack_results(answer: object, owners: Sequence[RangeDescriptor], region: str) -> list[PutResult]:
    """The inverse of `pack_results`.

    Args:
        answer: what the replica said.
        owners: of each record that was put.
        region: the coordinator's.

    Raises:
        PeerUnreachable: the answer is not one to this put, so nothing is known.
    """
    try:
        packed = codec.shaped(answer, _PackedResults, "the result of replica.put")
    except WireError as malformed:
        raise PeerUnreachable(malformed.message) from malformed
    if len(packed.results) != len(owners):
        raise PeerUnreachable(f"{len(packed.results)} results came back for {len(owners)} records")
    coverages: dict[tuple[int, tuple[Slot, ...]], Coverage] = {}
    results = []
    for (status, at, error, changed), owner in zip(packed.results, owners, strict=True):
        coverage = None
        if 0 <= at < len(packed.coverages):
            acks = frozenset(packed.coverages[at])
            coverage = coverages.setdefault((at, owner.slots), Coverage(owner.slots, acks, region))
        results.append(PutResult(status, coverage, error, changed))
    return results


class _WireJoined(Struct):
    changed: int
    damaged: list[bytes] = []
    mark: tuple[int, int] | None = None
    counted: bool = True


def read_joined(answer: object) -> Joined:
    """The inverse of `Joined.to_wire`.

    Raises:
        PeerUnreachable: the answer is not one to a join, so nothing is known.
    """
    try:
        wire = codec.shaped(answer, _WireJoined, "the result of replica.join")
    except WireError as error:
        raise PeerUnreachable(error.message) from error
    return Joined(wire.changed, wire.damaged, wire.mark, wire.counted)
