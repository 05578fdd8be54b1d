"""Tells what has changed in this node's copy of a range: to its own followers, and to other nodes'.

Who asks names how far it has come, in this log or in another replica's. In this one it goes on exactly
there. Of another one this node may have proven that by then it had all that was here at some change (see
`proofs`); then it goes on from that one, and some is told again. Otherwise something may be lost, and that
is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import trio
from folkmoot.node.commits import Commits
from folkmoot.node.environment import WallClock
from folkmoot.node.live.messages import CHANGES, ChangesAsked, ChangesTold
from folkmoot.node.live.moments import Moments
from folkmoot.node.live.proofs import Proofs
from folkmoot.node.movement.contracts import Holder
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, WireError
from folkmoot.protocol.feed.places import LogPlace
from folkmoot.protocol.key import KIND_BYTE, KINDS_PRIVATE
from folkmoot.protocol.ring import epochs
from folkmoot.protocol.ring.epochs import Claim
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.boots import Moment
from folkmoot.storage.errors import StorageError
from folkmoot.storage.labelled import TrustedLabellers
from folkmoot.storage.log_pages import LogAsked, LogPage

_PRIVATE: Final = frozenset(KIND_BYTE[kind] for kind in KINDS_PRIVATE)
_NOWHERE: Final = Moment(0, 0)


class LogService:
    """See the module.

    Args:
        node_id: this node's.
        commits: the store.
        holder: who owns what.
        moments: how far the log was when.
        proofs: what is known of other replicas.
        wall: this node's clock.
        trusted: whose labels come first.
        counts: whether this node's copy may be told.
    """

    def __init__(
        self,
        node_id: bytes,
        commits: Commits,
        holder: Holder,
        moments: Moments,
        proofs: Proofs,
        wall: WallClock,
        trusted: TrustedLabellers,
        counts: Callable[[], bool],
    ) -> None:
        self._node_id = node_id
        self._commits = commits
        self._holder = holder
        self._moments = moments
        self._proofs = proofs
        self._wall = wall
        self._trusted = trusted
        self._counts = counts
        self._waiting = 0

    async def answer_peer(self, node_id: bytes, params: Params) -> Any:
        """`replica.changes`."""
        told = await self.answer(codec.shaped(params, ChangesAsked, CHANGES))
        return msgspec.to_builtins(told, builtin_types=(bytes,))

    async def answer(self, asked: ChangesAsked) -> ChangesTold:
        """What has changed; waits as long as it may when nothing has.

        Raises:
            WireError: `stale_topology`, `bad_request`, `busy` while this copy does not count; what the store
                could not do.
        """
        owner = self._owner(asked)
        place = None if asked.place is None else LogPlace.decode(asked.place)
        page_of, other = self._begin(asked, owner, place)
        ends = trio.current_time() + asked.wait_ms / 1000
        while True:
            before_us = self._wall.now_us()
            page = self._page(page_of)
            how = "exact" if page.exact else other
            told = self._told(how, page, before_us)
            if page.rows or told.more or page.damaged or how != "exact":
                return told
            if not await self._changes_before(ends, asked, page):
                return told
            self._owner(asked)
            page_of = page_of._replace(after=Moment(page.boot, page.reached))

    def _owner(self, asked: ChangesAsked) -> RangeDescriptor:
        """The range that is asked about, checked: it may have moved on while the asker waited."""
        owner = epochs.check(self._holder.current().ranges, Claim(*asked.ranges[0]))
        if self._node_id not in owner.nodes():
            raise WireError(BAD_REQUEST, f"range {owner.id} is not kept here")
        if not self._counts():
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)
        if asked.start < owner.start or (owner.end and not asked.start < (asked.end or b"") <= owner.end):
            raise WireError(BAD_REQUEST, f"the slice is not one of range {owner.id}")
        return owner

    def _begin(
        self, asked: ChangesAsked, owner: RangeDescriptor, place: LogPlace | None
    ) -> tuple[LogAsked, str]:
        """What to read, and how the answer goes on if it does not go on exactly."""
        log, after, other = None, _NOWHERE, "begun"
        otherwise: int | None = None
        if place is not None:
            log, after = place.log, Moment(place.boot, place.sequence)
            otherwise = self._proofs.proven(place.node, owner.id, place.time_us)
            other = "proven"
            if otherwise is None:
                otherwise = self._moments.sequence_at(place.time_us)
                other = "lost" if otherwise else "proven"  # from the beginning nothing can be lost
        elif asked.since_us is not None:
            otherwise = self._moments.sequence_at(asked.since_us)
        without = _PRIVATE if asked.public else frozenset()
        page_of = LogAsked(
            asked.start, asked.end, log, after, otherwise, asked.most, without, items=asked.items
        )
        return page_of, other

    def _page(self, asked: LogAsked) -> LogPage:
        try:
            return self._commits.store.page_of_log(asked, self._trusted)
        except StorageError as error:
            raise error.to_wire_error() from error

    def _told(self, how: Any, page: LogPage, before_us: int) -> ChangesTold:
        more = page.reached < page.head
        place = LogPlace(
            self._node_id,
            self._commits.store.log_id,
            page.boot,
            page.reached,
            self._moments.time_of(page.reached) if more else before_us,
        )
        return ChangesTold(how, place.encode(), page.head, more, list(page.rows), page.items, page.damaged)

    async def _changes_before(self, ends: float, asked: ChangesAsked, page: LogPage) -> bool:
        """Wait until `ends` for a commit that may concern the slice, and a moment for what others bring.

        Returns:
            Whether there was one.
        """
        if self._waiting >= limits.FOLLOW_WAITS or trio.current_time() >= ends:
            return False
        store, seen = self._commits.store, page.head
        self._waiting += 1
        try:
            with trio.move_on_at(ends):
                while True:
                    await self._commits.wait_past(seen)
                    await trio.sleep(limits.FOLLOW_MOMENT_S)
                    seen = store.sequence
                    if store.may_have_changed(asked.start, asked.end, page.reached):
                        return True
        finally:
            self._waiting -= 1
        return False
