"""The copier fills a slot of this node with what another node holds of its range.

Whoever moves a slot asks the node that is to have it for a *pass*: a comparison of the whole range with a
donor, a few blocks at a time, in which everything that is lacking here is fetched and made durable. A pass is
named by its session and its donor. Asking again tells how far it is, so that asking is all there is to do, in
whatever order and however often; after a restart of this node the same request begins the pass anew. Another
session takes the place of the one before it, a newer epoch of all before it, and what is left of those has no
effect.

A pass is *complete* once every block was compared after it was asked for, all of it under one epoch on both
sides, and everything the donor had is committed here. What is written meanwhile is not its business: the
range's descriptor names this node already, so it acknowledges writes itself. What stands damaged on the donor
it once acknowledged and cannot give; then the pass fails, for a slot that lacks a cell in silence is worse
than one that refuses to answer for it.

Slices that are equal cost one comparison of sums, so a pass that follows upon another is cheap. The donor may
be any node that knows the epoch, whether or not it has a slot of the range.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Final, Literal, NamedTuple

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.exchange import Exchange
from folkmoot.node.movement.fences import Ranges
from folkmoot.node.pace import Pace, rest_s
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, STALE_TOPOLOGY, TIMEOUT, WireError
from folkmoot.protocol.key import block_slices
from folkmoot.protocol.ring import epochs
from folkmoot.protocol.ring.epochs import Claim
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeId
from folkmoot.protocol.ring.roster import Epoch, NodeIdBytes
from folkmoot.storage.damage import Damage
from folkmoot.storage.errors import StorageError
from msgspec import Meta, Struct

log = logging.getLogger(__name__)

METHOD: Final = "range.copy"
DAMAGE: Final = "range.damage"

ATTEMPTS: Final = 5
RETRY_S: Final = 1.0
BUSY_RETRY_MS: Final = 2_000

State = Literal["running", "complete", "failed"]


class _Copy(Struct):
    """`range.copy`: a pass over one range, to be begun or told of."""

    range: RangeId
    epoch: Epoch
    session: Annotated[
        bytes, Meta(min_length=limits.COPY_SESSION_BYTES, max_length=limits.COPY_SESSION_BYTES)
    ]
    donor: NodeIdBytes


class _Damage(Struct):
    """The answer to `range.damage`: how many cells of the range are known to be damaged, and whether there
    may be more of any range."""

    damaged: Annotated[int, Meta(ge=0)]
    more: bool


class Progress(Struct, frozen=True):
    """How far a pass is: the result of `range.copy`.

    Args:
        state: `failed` says why, and another session may be begun.
        cells, bytes: fetched and committed, as they travelled.
        blocks_done, blocks: compared, of so many.
        reason: a sentence.
    """

    state: State
    cells: int
    bytes: int
    blocks_done: int
    blocks: int
    reason: str | None = None

    def to_wire(self) -> dict[str, Any]:
        """The map of a result."""
        wire = {field: getattr(self, field) for field in self.__struct_fields__}
        return {name: value for name, value in wire.items() if value is not None}


class CopyStatistics(NamedTuple):
    """What has been copied since the start.

    Args:
        running: range id → its pass, of those under way.
        complete, failed: passes that ended so.
        cells, cell_bytes: fetched and committed.
    """

    running: dict[int, Progress]
    complete: int
    failed: int
    cells: int
    cell_bytes: int


class _Slice(NamedTuple):
    """What one comparison is about: so many whole blocks, but for those that the range's bounds cut."""

    start: bytes
    end: bytes
    blocks: int


class _Failed(Exception):
    """A pass cannot go on; the sentence says why."""


@dataclass(slots=True, eq=False)
class _Pass:
    """One pass, under way or ended."""

    owner: RangeDescriptor
    session: bytes
    donor: bytes
    blocks: int
    state: State = "running"
    reason: str | None = None
    cells: int = 0
    cell_bytes: int = 0
    blocks_done: int = 0
    pace: Pace = field(default_factory=Pace)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    def end(self, state: State, reason: str | None = None) -> None:
        """Let it have ended so, unless it has ended before."""
        if self.state == "running":
            self.state, self.reason = state, reason
            self.scope.cancel()

    def progress(self) -> Progress:
        return Progress(self.state, self.cells, self.cell_bytes, self.blocks_done, self.blocks, self.reason)


class Copier:
    """See the module. `run` must be running for passes to be begun.

    Args:
        node_id: this node's.
        topology: whose epochs are in force here.
        exchange: fetches and joins.
        damage: the cells known to be damaged here.
        peers: see `contracts`.
    """

    def __init__(
        self, node_id: bytes, topology: Ranges, exchange: Exchange, damage: Damage, peers: Peers
    ) -> None:
        self._node_id = node_id
        self._topology = topology
        self._exchange = exchange
        self._damage = damage
        self._peers = peers
        self._nursery: trio.Nursery | None = None
        # Range id → its passes under one epoch, the one begun last last.
        self._passes: dict[int, list[_Pass]] = {}
        self._complete = self._failed = 0
        self._cells = self._cell_bytes = 0

    def methods(self) -> Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {METHOD: self.answer, DAMAGE: self.tell_damage}

    def statistics(self) -> CopyStatistics:
        running = {one.owner.id: one.progress() for one in self._running()}
        return CopyStatistics(running, self._complete, self._failed, self._cells, self._cell_bytes)

    async def run(self) -> None:
        """Carry passes until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await trio.sleep_forever()
        finally:
            self._nursery = None
            self._passes.clear()

    async def ask(self, node_id: bytes, range_id: int, epoch: int, session: bytes, donor: bytes) -> Progress:
        """Have `node_id`, which may be this node, copy a range from `donor`, or tell how far it is.

        Args:
            node_id, donor: 16 bytes each.
            range_id, epoch: the range, and the epoch of the descriptor that names `node_id`.
            session: 16 random bytes, the same for as long as the same pass is meant.

        Raises:
            WireError: it was refused: `busy`, `stale_topology`.
            PeerUnreachable: there is no answer; ask again.
        """
        params = {"range": range_id, "epoch": epoch, "session": session, "donor": donor}
        if node_id == self._node_id:
            answer: Any = await self.answer(node_id, params)
        else:
            answer = await self._peers.call(node_id, METHOD, params, limits.REQUEST_TIMEOUT_S)
        return codec.shaped(answer, Progress, f"the result of {METHOD}")

    async def answer(self, asker: bytes, params: Any) -> dict[str, Any]:
        """Begin a pass, or tell how far it is.

        Raises:
            WireError: `stale_topology` for an epoch that is not this node's; `bad_request` when it has no
                slot of the range, or is its own donor; `busy` while it copies as many ranges as it may.
        """
        asked = codec.shaped(params, _Copy, METHOD)
        owner = await self._owner(asker, Claim(asked.range, asked.epoch))
        if self._node_id not in owner.nodes():
            raise WireError(
                BAD_REQUEST, f"no slot of range {owner.id} names this node at epoch {owner.epoch}"
            )
        if asked.donor == self._node_id:
            raise WireError(BAD_REQUEST, "a node cannot copy from itself")
        passes = self._of(owner)
        for one in passes:
            if (one.session, one.donor) == (asked.session, asked.donor):
                break
        else:
            one = self._begin(passes, owner, asked.session, asked.donor)
        return one.progress().to_wire()

    async def tell_damage(self, asker: bytes, params: Any) -> dict[str, Any]:
        """How many cells of a range are known to be damaged here, and whether there may be more.

        Raises:
            WireError: `stale_topology`.
        """
        owner = await self._owner(asker, Claim.from_params(params))
        return {"damaged": sum(owner.covers(key) for key in self._damage.keys), "more": self._damage.more}

    async def _owner(self, asker: bytes, claim: Claim) -> RangeDescriptor:
        """The descriptor a peer means, learned from it if need be."""
        if self._epoch(claim.range) < claim.epoch and asker != self._node_id:
            await self._topology.refresh(asker)
        if (ranges := self._topology.ranges) is None:
            raise WireError(STALE_TOPOLOGY, "this node has not learned the topology yet", retry_after_ms=500)
        return epochs.check(ranges, claim)

    def _epoch(self, range_id: int) -> int:
        owner = self._topology.ranges and self._topology.ranges.get(range_id)
        return owner.epoch if owner else 0

    def _of(self, owner: RangeDescriptor) -> list[_Pass]:
        """The passes of a range under its epoch. Those under older ones are over, of whatever range."""
        for range_id, passes in list(self._passes.items()):
            epoch = self._epoch(range_id)
            if passes and passes[-1].owner.epoch != epoch:
                self._end(passes[-1], "failed", f"range {range_id} is at epoch {epoch} now")
                del self._passes[range_id]
        return self._passes.setdefault(owner.id, [])

    def _begin(self, passes: list[_Pass], owner: RangeDescriptor, session: bytes, donor: bytes) -> _Pass:
        others = [one for one in self._running() if one.owner.id != owner.id]
        if self._nursery is None or len(others) >= limits.COPIES_AT_ONCE:
            raise WireError(
                BUSY, f"this node copies {len(others)} ranges already", retry_after_ms=BUSY_RETRY_MS
            )
        for one in passes[-1:]:
            self._end(one, "failed", "another session has taken its place")
        del passes[: -limits.COPY_SESSIONS_KEPT]
        begun = _Pass(owner, session, donor, sum(part.blocks for part in _slices(owner)))
        passes.append(begun)
        self._nursery.start_soon(self._carry, begun)
        return begun

    def _running(self) -> list[_Pass]:
        return [one for passes in self._passes.values() for one in passes if one.state == "running"]

    def _end(self, one: _Pass, state: State, reason: str | None = None) -> None:
        if one.state != "running":
            return
        one.end(state, reason)
        if state == "complete":
            self._complete += 1
        else:
            self._failed += 1
            log.info("copying range %d from %s: %s", one.owner.id, one.donor.hex()[:8], reason)

    async def _carry(self, one: _Pass) -> None:
        """One pass, to its end."""
        try:
            with one.scope:
                await self._copy(one)
        finally:
            self._end(one, "failed", "it was interrupted")

    async def _copy(self, one: _Pass) -> None:
        slices = _slices(one.owner)
        async with trio.open_nursery() as nursery:
            for _ in range(limits.COPY_SLICES_AT_ONCE):
                nursery.start_soon(self._work, one, slices)
        try:
            await self._patiently(partial(self._check, one))
        except _Failed as error:
            self._end(one, "failed", str(error))
        else:
            self._end(one, "complete")

    async def _work(self, one: _Pass, slices: Iterator[_Slice]) -> None:
        """Compare the slices that nobody has taken yet, one by one."""
        needs = partial(self._fetch, one)
        for start, end, blocks in slices:
            compare = partial(self._exchange.compare, one.donor, one.owner, start, end, needs=needs)
            try:
                await self._patiently(compare)
            except _Failed as error:
                self._end(one, "failed", str(error))
                return
            one.blocks_done += blocks

    async def _patiently(self, step: Callable[[], Awaitable[Any]]) -> None:
        """Do what may be done again, a few times if need be.

        Raises:
            _Failed: it cannot be done now.
        """
        for attempt in range(ATTEMPTS):
            try:
                await step()
                return
            except (WireError, PeerUnreachable, StorageError) as error:
                if attempt + 1 == ATTEMPTS or not _is_passing(error):
                    raise _Failed(str(error)) from error
            await trio.sleep(RETRY_S)

    async def _fetch(self, one: _Pass, keys: Sequence[bytes]) -> None:
        """Fetch and commit cells, a message at a time; rest in between, so that others get at both disks."""
        while keys:
            began = trio.current_time()
            asked = keys[: one.pace.credit]
            try:
                brought = await self._exchange.fetch(one.donor, one.owner, asked)
            except (WireError, PeerUnreachable):
                one.pace.failed()
                raise
            if brought.joined.damaged:
                raise _Failed(f"{len(brought.joined.damaged)} cells are damaged on the node that copies")
            if brought.cells < brought.answered:
                raise _Failed("the donor no longer has what it said it had")
            one.cells += brought.cells
            one.cell_bytes += brought.cell_bytes
            self._cells += brought.cells
            self._cell_bytes += brought.cell_bytes
            keys = keys[brought.answered :]
            took_s = trio.current_time() - began
            one.pace.succeeded(took_s)
            await trio.sleep(rest_s(took_s))

    async def _check(self, one: _Pass) -> None:
        """See that the pass was under one epoch to its end, here and there, and lacks nothing damaged.

        Raises:
            _Failed: it was not, or does.
        """
        claim = Claim.of(one.owner).to_params()
        answer = await self._peers.call(one.donor, DAMAGE, claim, limits.REQUEST_TIMEOUT_S)
        told = codec.shaped(answer, _Damage, f"the result of {DAMAGE}")
        if told.damaged or told.more:
            raise _Failed(f"{told.damaged} cells or more are damaged on the donor, to be mended there first")
        if (epoch := self._epoch(one.owner.id)) != one.owner.epoch:
            raise _Failed(f"range {one.owner.id} is at epoch {epoch} now")


def _slices(owner: RangeDescriptor) -> Iterator[_Slice]:
    """A range, cut at bounds of blocks into the slices that are compared: few, because an equal one costs a
    round trip, and more than one, because progress is told by them."""
    blocks = list(block_slices(owner.start, owner.end))
    step = -(-len(blocks) // limits.COPY_SLICES)
    for some in (blocks[at : at + step] for at in range(0, len(blocks), step)):
        yield _Slice(some[0][0], some[-1][1], len(some))


def _is_passing(error: Exception) -> bool:
    """Whether what failed may do better in a moment: not under another epoch, and not on a full disk."""
    if isinstance(error, WireError):
        return error.kind in (BUSY, TIMEOUT)
    return isinstance(error, PeerUnreachable)
