"""`ring.ranges`, `ring.weigh` and `ring.split`: what operators ask of single ranges.

A range is split by itself when it has grown too large; by hand it is split at any time and anywhere between
two accounts. Asked with `dry_run`, a split tells its bound and what is to be split, and does nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Protocol

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.movement.contracts import Holder
from folkmoot.node.operators import operators_only
from folkmoot.node.registers.topology import check_split
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import CONFLICT, NOT_FOUND, TIMEOUT, WireError
from folkmoot.protocol.ring.ranges import Bound, RangeDescriptor, RangeId
from folkmoot.storage.weighing import Weight
from msgspec import Meta, Struct


class _Ranges(Struct):
    """`ring.ranges`: where in the map to begin."""

    first: Annotated[int, Meta(ge=0, le=limits.RANGES)] = 0


class _Range(Struct):
    """`ring.weigh`: the range."""

    range: RangeId


class _Split(_Range):
    """`ring.split`: the first key of the right part; the middle when it is not named."""

    at: Bound | None = None
    dry_run: bool = False


class Splitting(Protocol):
    """See `node.registers.topology`."""

    async def split_range(
        self, before: RangeDescriptor, at: bytes
    ) -> tuple[RangeDescriptor, RangeDescriptor]: ...


class Weighs(Protocol):
    """See `actors.splitter`."""

    def known(self, owner: RangeDescriptor) -> Weight | None: ...

    async def count(self, owners: Sequence[RangeDescriptor]) -> list[int | None]: ...

    async def ask(self, owner: RangeDescriptor) -> Weight: ...


class RingMethods:
    """See the module.

    Args:
        topology: who owns what.
        registers: decides on splits.
        scales: weighs ranges.
    """

    def __init__(self, topology: Holder, registers: Splitting, scales: Weighs) -> None:
        self._topology = topology
        self._registers = registers
        self._scales = scales

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {
            "ring.ranges": _for_operators(self._ranges),
            "ring.weigh": _for_operators(self._weigh),
            "ring.split": _for_operators(self._split),
        }

    async def _ranges(self, params: Params) -> dict[str, Any]:
        """A page of the ranges in key order; the page is empty after the last."""
        first = codec.shaped(params, _Ranges, "ring.ranges").first
        page = self._topology.current().ranges.ranges[first : first + limits.TOPOLOGY_REPLY_RANGES]
        counts = await self._scales.count(page)
        told = [_told(owner, self._scales.known(owner)) for owner in page]
        return {"ranges": [{**one, "cells": cells} for one, cells in zip(told, counts, strict=True)]}

    async def _weigh(self, params: Params) -> dict[str, Any]:
        """One range, weighed now by a node that holds it."""
        owner = self._owner(codec.shaped(params, _Range, "ring.weigh").range)
        return _told(owner, await self._weight(owner))

    async def _split(self, params: Params) -> dict[str, Any]:
        """Split a range, or tell where it would be."""
        asked = codec.shaped(params, _Split, "ring.split")
        owner = self._owner(asked.range)
        weight = await self._weight(owner) if asked.at is None or asked.dry_run else None
        at = weight.middle if asked.at is None and weight is not None else asked.at
        if at is None:
            raise WireError(CONFLICT, f"range {owner.id} has fewer than two accounts, and a split cuts none")
        if asked.dry_run:
            check_split(owner, at)
            return {"split": False, "at": at, "ranges": [_told(owner, weight)]}
        parts = await self._registers.split_range(owner, at)
        if parts[1].start != at:
            raise WireError(
                CONFLICT,
                f"range {owner.id} was split elsewhere: at {parts[1].start.hex()}, as somebody else had "
                "begun to; split again, if there is still to be a bound where it was asked for",
                details={"at": parts[1].start},
            )
        return {"split": True, "at": parts[1].start, "ranges": [_told(part, None) for part in parts]}

    def _owner(self, range_id: int) -> RangeDescriptor:
        owner = self._topology.current().ranges.get(range_id)
        if owner is None:
            raise WireError(NOT_FOUND, f"there is no range {range_id} (folkmoot ring ls)")
        return owner

    async def _weight(self, owner: RangeDescriptor) -> Weight:
        try:
            return await self._scales.ask(owner)
        except PeerUnreachable as error:
            raise WireError(TIMEOUT, f"range {owner.id} cannot be weighed: {error}") from error


def _for_operators(answer: Callable[[Params], Awaitable[dict[str, Any]]]) -> Method:
    async def method(asker: Asker, params: Params) -> dict[str, Any]:
        operators_only(asker, "ranges")
        return await answer(params)

    return method


def _told(owner: RangeDescriptor, weight: Weight | None) -> dict[str, Any]:
    """A range as operators are told of it; its size as far as it was weighed."""
    return {
        "id": owner.id,
        "epoch": owner.epoch,
        "start": owner.start,
        "end": owner.end,
        "slots": [slot.to_wire() for slot in owner.slots],
        "cells": None if weight is None else weight.cells,
        "bytes": None if weight is None else weight.size,
        "middle": None if weight is None else weight.middle,
    }
