"""The spread: what one pass of puts changed here, on its way to the other slots.

Records whose ranges have the same slots share one batch and one tally, whatever brought them; the batches
know nothing of each other. So a slot that is slow to answer holds up those who need it, and nobody else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import trio
from folkmoot.node.contracts import CellBatch, Coverage, PutResult, Replication, Settle, nodes_of
from folkmoot.node.tally import AckTally
from folkmoot.protocol import limits
from folkmoot.protocol.errors import CONFLICT, LEVEL_UNREACHABLE, STALE_TOPOLOGY, WireError
from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from folkmoot.storage.outcomes import PutStatus


class _Member(NamedTuple):
    """A record of a share: its number among the puts, its cell's key, and what became of it on this node."""

    number: int
    key: bytes
    status: str
    changed: bool


class _Share:
    """What goes to the same slots."""

    __slots__ = ("batch", "tally", "untold")

    def __init__(self, tally: AckTally) -> None:
        self.tally = tally
        self.batch = CellBatch({})
        self.untold: list[_Member] = []

    def results(self, *, undecided: bool = False) -> dict[int, PutResult]:
        """The result of each record whose tally is decided, by who has acknowledged by now; each once.

        Args:
            undecided: of all the others too.
        """
        members, self.untold = self.untold, []
        together: dict[AckTally, list[_Member]] = {}
        for member in members:
            tally = self.tally.of(member.key)
            if tally.decided or undecided:
                together.setdefault(tally, []).append(member)
            else:
                self.untold.append(member)
        results: dict[int, PutResult] = {}
        for tally, those in together.items():
            results.update(_results(tally, those))
        return results


HELD: Final = PutStatus.HELD.value


def _results(tally: AckTally, members: Sequence[_Member]) -> dict[int, PutResult]:
    """What one tally comes to, for each of its records."""
    coverage = Coverage(tally.slots, frozenset(tally.acked), tally.region)
    missed = None if tally.reached else _missed(tally).to_wire()
    if missed is not None and tally.outdated:
        again = WireError(STALE_TOPOLOGY, "the range changed hands during the put", retry_after_ms=50)
        return {
            member.number: PutResult("refused", coverage, again.to_wire(), member.changed)
            for member in members
        }
    results: dict[int, PutResult] = {}
    for number, _, status, changed in members:
        if status == "absorbed":
            gone = WireError(CONFLICT, "this post was deleted by its author; a deletion is final")
            results[number] = PutResult("refused", coverage, gone.to_wire(), changed)
        elif missed is not None:
            aside = {"held": True} if status == HELD else {}
            error = {**missed, "details": {**missed["details"], **aside}}
            results[number] = PutResult("uncertain", coverage, error, changed)
        else:
            results[number] = PutResult(status, coverage, changed=changed)
    return results


class Spread:
    """See the module.

    Args:
        node_id: this node's, which has everything already.
        level: what the puts wait for.
        region: the coordinator's, for `local_quorum`.
        absent: the nodes that are not to be reached and have their hints.
        replication: carries batches.
        settle: told each record's result.
    """

    def __init__(
        self,
        node_id: bytes,
        level: Level,
        region: str,
        absent: Collection[bytes],
        replication: Replication,
        settle: Settle,
    ) -> None:
        self._node_id = node_id
        self._level = level
        self._region = region
        self._absent = absent
        self._replication = replication
        self._settle = settle
        self._shares: dict[tuple[Slot, ...], _Share] = {}
        self._failure: Exception | None = None
        self._all_decided = trio.Event()

    def add(
        self, number: int, key: bytes, cell: bytes, owner: RangeDescriptor, *, status: str, changed: bool
    ) -> None:
        """One record that this node has.

        Args:
            number: by which its result is settled.
            key, cell: where it is now, with everything beside it.
            owner: the range of `key`.
            status: what became of it: see `PutStatus`.
            changed: whether the cell is another than before.
        """
        share = self._shares.get(owner.slots)
        if share is None:
            tally = AckTally(owner.slots, self._region, self._level, self._on_decided)
            share = self._shares[owner.slots] = _Share(tally)
        share.untold.append(_Member(number, key, status, changed))
        share.batch.ranges[owner.id] = owner.epoch
        share.batch.keys.append(key)
        share.batch.cells.append(cell)

    async def carry(self) -> None:
        """Bring everything to the level, and settle each share as soon as it is decided.

        Its results are told by whoever brings the deciding acknowledgement, so that they wait for no turn of
        the loop. What is undecided after half of a request's time is settled as it stands then.
        """
        try:
            late = self._offer()
            with trio.move_on_after(limits.REQUEST_TIMEOUT_S / 2):
                async with trio.open_nursery() as nursery:
                    for node, part, tally in late:
                        nursery.start_soon(self._replication.offer_late, node, part, tally)
                    if self._shares:
                        await self._all_decided.wait()
            undecided = list(self._shares.values())
        finally:
            self._shares.clear()  # whatever is acknowledged from now on settles nothing
        for share in undecided:
            self._settle(share.results(undecided=True))
        if self._failure is not None:
            raise self._failure

    def _offer(self) -> list[tuple[bytes, CellBatch, AckTally]]:
        """Offer each batch to its other slots; the parts that a peer had no room for yet."""
        late: list[tuple[bytes, CellBatch, AckTally]] = []
        for slots, share in self._shares.items():
            tally = share.tally
            tally.acked.add(self._node_id)
            for node in nodes_of(slots):
                if node in self._absent:
                    tally.failed.add(node)
                elif node != self._node_id:
                    parts = self._replication.offer(node, share.batch, tally)
                    late.extend((node, part, tally) for part in parts)
        self._replication.send()
        for share in list(self._shares.values()):
            share.tally.decide()
        return late

    def _on_decided(self, tally: AckTally) -> None:
        """Settle what of a share is decided, as mostly all of it is at once; a failure to is the failure of
        `carry`, not of who brought the acknowledgement."""
        share = self._shares.get(tally.slots)
        if share is not None:
            try:
                self._settle(share.results())
            except Exception as error:
                self._failure = error
            if not share.untold:
                self._shares.pop(tally.slots, None)
        if not self._shares:
            self._all_decided.set()


def _missed(tally: AckTally) -> WireError:
    acks = len(tally.acked)
    return WireError(
        LEVEL_UNREACHABLE,
        f"kept on {acks} of {len(tally.slots)} slots, less than {tally.level}; send the same bytes again",
        retry_after_ms=1000,
        details={
            "achieved": levels.achieved(tally.slots, tally.acked, tally.region),
            "missing": levels.missing(tally.level, tally.slots, tally.acked, tally.region),
        },
    )
