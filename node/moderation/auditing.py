"""Auditing: each range's posts are counted by one of its replicas, and what they come to is added up.

Texts stay where they are; what travels are numbers by group and rule (see `protocol.moderation.fairness`).
Each page counts one slice of the key space after another for a bounded time; a slice is counted off the event
loop by the nearest replica that answers, so many rows and for so long at once as is bounded, one slice at a
time on each node. A range that no replica counts is left out and said to be missing. One replica may lack
what the others have just been given: an audit is about weeks, and no worse for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import trio
from cachetools import LRUCache
from folkmoot.node.actors.topology import TopologyHolder
from folkmoot.node.contracts import EpochCheck, PeerUnreachable
from folkmoot.node.environment import WallClock
from folkmoot.node.moderation.budget import Budget
from folkmoot.node.moderation.dialects import Dialects
from folkmoot.node.slice_search import Around, Key
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.moderation.bounds import (
    AUDIT_NUMBERS,
    AUDIT_STEP_S,
    DIALECTS_BYTES,
    DIALECTS_READ,
    QUEUE_LOOK_S,
)
from folkmoot.protocol.moderation.fairness.counting import By, Grouping, count_post
from folkmoot.protocol.moderation.fairness.tally import Tally
from folkmoot.protocol.moderation.policy import PolicyError
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.audited import posts_since
from folkmoot.storage.store import Store
from msgspec import Meta, Struct

AUDIT: Final = "replica.audit"

_Name = Annotated[str, Meta(max_length=256)]
_Count = Annotated[int, Meta(ge=0)]
_Weights = tuple[_Count, Annotated[float, Meta(ge=0)], Annotated[float, Meta(ge=0)]]
_Steps = Annotated[list[tuple[_Count, _Count]], Meta(max_length=512)]


class _Numbers(Struct, omit_defaults=True):
    posts: _Count = 0
    flagged: _Count = 0
    decided: _Count = 0
    overturned: _Count = 0
    ended: _Steps = []
    lasting: _Steps = []
    sampled: _Weights | None = None
    sampled_flagged: _Weights | None = None
    fine: _Weights | None = None
    fine_flagged: _Weights | None = None


class _Asked(Struct):
    ranges: Annotated[list[tuple[int, int]], Meta(max_length=1)]
    start: Key
    stop: Key
    since: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)]
    by: By
    dialects: Annotated[bytes, Meta(max_length=DIALECTS_BYTES)] = b""


class _Told(Struct):
    numbers: Annotated[list[tuple[_Name, _Name, _Numbers]], Meta(max_length=limits.MESSAGE_COLLECTION_ITEMS)]
    resume: Key | None = None


class Question(NamedTuple):
    """What is to be counted.

    Args:
        since_us: posts since when, in microseconds since 1970.
        by: into which groups they are put.
        dialects: the document that declares sets of words, where it is by these.
    """

    since_us: int
    by: By
    dialects: bytes


@dataclass(slots=True)
class Page:
    """Some of what was counted.

    Args:
        resume: where the next page begins; None on the last.
        tally: what the page comes to.
        missing: the numbers of ranges that were not counted.
    """

    resume: bytes | None
    tally: Tally = field(default_factory=Tally)
    missing: list[int] = field(default_factory=list)


class Auditor:
    """See the module.

    Args:
        around: see `slice_search`.
        roster: knows the nodes' accounts and regions.
        store: this node's.
        wall: for how long something has waited.
    """

    def __init__(self, around: Around, roster: TopologyHolder, store: Store, wall: WallClock) -> None:
        self._router, self._topology, self._peers, self._executor = around
        self._roster = roster
        self._store = store
        self._wall = wall
        self._one_at_a_time = trio.CapacityLimiter(1)
        self._dialects: LRUCache[bytes, Dialects] = LRUCache(DIALECTS_READ)

    def peer_methods(self, epochs: EpochCheck) -> Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]:
        """What other nodes may ask, by name.

        Args:
            epochs: checks claims of other nodes.
        """

        async def answer(node_id: bytes, params: Any) -> dict[str, Any]:
            asked = codec.shaped(params, _Asked, AUDIT)
            epochs.check_epochs(dict(asked.ranges), [asked.start])
            tally, resume = await self._own(asked)
            return {"numbers": tally.to_wire(), **({} if resume is None else {"resume": resume})}

        return {AUDIT: answer}

    async def check(self, dialects: bytes) -> None:
        """Whether sets of words are declared as they should be.

        Raises:
            WireError: `bad_request`, with every problem.
        """
        async with self._one_at_a_time:
            await self._executor.run(partial(self._sets, dialects))

    async def page(self, start: bytes, question: Question) -> Page:
        """Count from a key on, until the time is up."""
        page = Page(resume=start)
        ends = trio.current_time() + QUEUE_LOOK_S
        while page.resume is not None and len(page.tally) < AUDIT_NUMBERS and trio.current_time() < ends:
            try:
                tally, resume, owner = await self._counted(page.resume, question)
                page.tally.add(tally)
                following = resume or owner.end
            except WireError as error:
                if error.kind is not LEVEL_UNREACHABLE:
                    raise
                owner = self._topology.where(page.resume)
                page.missing.append(owner.id)
                following = owner.end
            page.resume = following or None
        page.tally = page.tally.fitted(limits.MESSAGE_COLLECTION_ITEMS)
        return page

    async def _counted(self, start: bytes, question: Question) -> tuple[Tally, bytes | None, RangeDescriptor]:
        """What the nearest replica that answers counts in a slice, which ends with its range.

        Raises:
            WireError: `level_unreachable`.
        """
        owner = self._topology.where(start)
        asked = _Asked([(owner.id, owner.epoch)], start, owner.end, *question)
        failed: set[bytes] = set()
        while (readers := self._router.readers(owner.slots, "one", failed)) is not None:
            try:
                tally, resume = await self._by(readers[0], asked)
                return tally, resume, owner
            except (WireError, PeerUnreachable):
                failed.add(readers[0])
        raise self._router.unreachable(owner.slots, "one", failed)

    async def _by(self, node_id: bytes, asked: _Asked) -> tuple[Tally, bytes | None]:
        if node_id == self._router.node_id:
            return await self._own(asked)
        params: dict[str, Any] = msgspec.to_builtins(asked, builtin_types=(bytes,))
        answer = await self._peers.call(node_id, AUDIT, params, limits.REPLICA_READ_TIMEOUT_S)
        told = codec.shaped(answer, _Told, AUDIT)
        if told.resume is not None and not (
            asked.start < told.resume and (not asked.stop or told.resume < asked.stop)
        ):
            raise WireError(BAD_REQUEST, "a replica does not get on with what it counts")
        rows = ((group, rule, msgspec.to_builtins(each)) for group, rule, each in told.numbers)
        return Tally.from_wire(rows), told.resume

    async def _own(self, asked: _Asked) -> tuple[Tally, bytes | None]:
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)
        regions = {node.service_account: node.region for node in self._roster.current().roster.nodes}
        async with self._one_at_a_time:
            return await self._executor.run(partial(self._count, asked, regions, self._wall.now_us()))

    def _count(self, asked: _Asked, regions: Mapping[bytes, str], now_us: int) -> tuple[Tally, bytes | None]:
        grouping = Grouping(asked.by, region_of=regions.get)
        spent_s = self._executor.spent_s
        ends_s = spent_s() + AUDIT_STEP_S
        if asked.by is By.DIALECT:
            sets = self._sets(asked.dialects)
            grouping = grouping._replace(sets_in=lambda post: sets.sets_of(post, Budget(spent_s, spent_s())))
        tally, resume = Tally(), None
        for step in posts_since(self._store.engine, asked.start, asked.stop, asked.since, regions):
            resume = step.next
            if step.found is not None:
                count_post(tally, step.found, grouping, asked.since, now_us)
            if len(tally) >= AUDIT_NUMBERS or spent_s() >= ends_s:
                break
        return tally.fitted(limits.MESSAGE_COLLECTION_ITEMS), resume

    def _sets(self, document: bytes) -> Dialects:
        name = hashlib.sha256(document).digest()
        found = self._dialects.get(name)
        if found is None:
            try:
                found = self._dialects[name] = Dialects(document, Path("dialects"))
            except PolicyError as error:
                raise WireError(BAD_REQUEST, str(error)) from error
        return found
