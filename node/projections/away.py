"""Following a feed from whichever node keeps it: this one, or the nearest that does.

Clients follow home feeds, tags and notifications at any node. Where this node keeps the feed it reads its
own; otherwise it has a node that does hold the stream (see `hosting`), and passes on what it is told, as its
client gives credit. Which node that is is asked anew for each read, so a stream goes on when the node is
lost, or the range moves to this one or away from it.

Places are times, and another node goes on from one by looking for what is dated later than an hour before. So
what stood in the feed before the stream began might be told then; it is left out, as a client leaves it out
when it comes back (see `protocol.client.beginning`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import trio
from folkmoot.node.actors.session import Asker
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.live.contracts import Open, Subject
from folkmoot.node.projections.hosting import TELL, WAIT, Followed, Numbers, Sources, batch_of
from folkmoot.node.projections.live import FeedSource
from folkmoot.node.projections.serving import Lagging, lag_of
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits
from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, WireError
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.feed.following import Batch
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.projections.entries import tag_form
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeDescriptor
from msgspec import Struct

_PAUSE_S: Final = 1.0
_SLACK_US: Final = 5_000_000  # by which authors' clocks may be behind a node's


class _Changed(Struct):
    """The answer to `feed.wait`; `streams` is how many the other node holds for this one."""

    changed: Numbers
    streams: int


class Away:
    """See the module. `run` must be running.

    Args:
        router: orders replicas by distance.
        where: the range that holds a key.
        peers: how to reach the others.
        sources: makes sources of what this node keeps.
        keeps: whether this node may answer by itself for what is at a key.
        lagging: how far behind projections are.
        number: draws the number of a stream (16 bytes).
    """

    def __init__(
        self,
        router: Router,
        where: Callable[[bytes], RangeDescriptor],
        peers: Peers,
        sources: Sources,
        keeps: Callable[[bytes], bool],
        lagging: Lagging,
        number: Callable[[], bytes],
    ) -> None:
        self.router = router
        self.where = where
        self.peers = peers
        self.number = number
        self._sources = sources
        self._keeps = keeps
        self._lagging = lagging
        self._waiting: dict[bytes, _Waiting] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Wait at other nodes for those who follow something there."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for node_id in self._waiting:
                    nursery.start_soon(self._wait_at, node_id)
                await trio.sleep_forever()
        finally:
            self._nursery = None

    def opens(self) -> Mapping[str, Open]:
        """What clients can follow, by the key in `what`."""
        return {"home": self._home, "tag": self._tag}

    async def _home(self, asker: Asker, account: object) -> Subject:
        if not isinstance(account, bytes) or not is_account(account):
            raise WireError(BAD_REQUEST, "home is not an account id of 34 bytes")
        return self._subject(Followed(CursorKind.FOLLOW_HOME, account, asker.account))

    async def _tag(self, asker: Asker, tag: object) -> Subject:
        assert isinstance(tag, str), "its shape was checked"
        form = tag_form(tag)
        if not form:
            raise WireError(BAD_REQUEST, "the tag has no characters besides its sign")
        return self._subject(Followed(CursorKind.FOLLOW_TAG, form.encode(), asker.account))

    def _subject(self, followed: Followed) -> Subject:
        return Subject(followed.kind, followed.subject, self.source(followed))

    def source(self, followed: Followed, check: Callable[[], None] = lambda: None) -> AnySource:
        """A source of a feed, wherever it is kept.

        Args:
            followed: the feed.
            check: raises when it may not be followed any more.
        """
        return AnySource(self, followed, check)

    def own(self, followed: Followed) -> FeedSource[Any]:
        """A source of a feed that this node keeps.

        Raises:
            WireError: `busy`, when it does not keep it, or has not read all logs for it.
        """
        if not self._keeps(followed.group):
            raise WireError(BUSY, "this node does not keep that feed now", retry_after_ms=500)
        lag_of(self._lagging, followed.group)
        return self._sources(followed)

    def still_own(self, followed: Followed) -> bool:
        """Whether this node still keeps a feed."""
        return self._keeps(followed.group)

    def wait_at(self, node_id: bytes, number: bytes, wake: Callable[[], None]) -> None:
        """Have a stream be woken when another node says that it has something new."""
        waiting = self._waiting.get(node_id)
        if waiting is not None:
            waiting.wakes[number] = wake
            return
        self._waiting[node_id] = _Waiting(number, wake)
        if self._nursery is not None:
            self._nursery.start_soon(self._wait_at, node_id)

    def leave(self, node_id: bytes, number: bytes) -> None:
        """A stream is not followed at another node any more; that one is told with the next question."""
        if (waiting := self._waiting.get(node_id)) is not None:
            waiting.wakes.pop(number, None)
            waiting.closed.append(number)

    async def _wait_at(self, node_id: bytes) -> None:
        """Ask a node again and again which streams have something new, as long as there are some."""
        waiting = self._waiting[node_id]
        while True:
            closed, waiting.closed = waiting.closed, []
            is_last = not waiting.wakes
            wait_ms = 0 if is_last else int(limits.FOLLOW_WAIT_S * 1000)
            params = {"wait_ms": wait_ms, "closed": closed[-limits.FOLLOW_SUBSCRIPTIONS_OF_ALL :]}
            patience_s = limits.REPLICA_READ_TIMEOUT_S + wait_ms / 1000
            followed = list(waiting.wakes)
            try:
                answer = await self.peers.call(node_id, WAIT, params, patience_s)
                told = codec.shaped(answer, _Changed, "the answer to feed.wait")
                changed = told.changed if told.streams >= len(followed) else followed
            except (WireError, PeerUnreachable):
                changed = followed  # they find out who tells them more
                waiting.closed += [] if is_last else closed
                await trio.sleep(_PAUSE_S)
            if is_last and not waiting.wakes and not waiting.closed:
                del self._waiting[node_id]
                return
            for number in changed:
                if (wake := waiting.wakes.get(number)) is not None:
                    wake()


class _Waiting:
    """The streams that are followed at one other node."""

    def __init__(self, number: bytes, wake: Callable[[], None]) -> None:
        self.wakes = {number: wake}
        self.closed: list[bytes] = []


class AnySource:
    """See `live.contracts.Source`; made by `Away.source`."""

    def __init__(self, away: Away, followed: Followed, check: Callable[[], None]) -> None:
        self._away = away
        self._followed = followed
        self._check = check
        self._number = b""
        self._node: bytes | None = None  # where it is followed now
        self._own: FeedSource[Any] | None = None  # when that is here
        self._changed = trio.Event()
        self._begun_us: int | None = None
        self._goes_on = False  # at another node than before, and not done with what that one looks up

    async def begin(self, since_us: int | None) -> bytes:
        self._check()

        async def own(source: FeedSource[Any]) -> Batch:
            return Batch([], await source.begin(since_us), False)

        place = (await self._ask({"since_us": since_us}, own)).place
        self._begun_us = int.from_bytes(place, "big") - _SLACK_US if since_us is None else since_us
        return place

    def check(self, place: bytes) -> None:
        FeedSource.check_place(place)

    async def read(self, after: bytes, limit: int) -> Batch:
        self._check()
        self._changed = trio.Event()

        async def own(source: FeedSource[Any]) -> Batch:
            return await source.read(after, limit)

        batch = await self._ask({"after": after, "limit": limit}, own)
        if len(batch.items) > limit:
            raise WireError(BAD_REQUEST, "a replica told more than was asked for")
        return self._without_what_was_before(batch) if self._goes_on else batch

    async def wait_changed(self) -> None:
        if self._own is not None:
            await self._own.wait_changed()
        else:
            await self._changed.wait()

    def close(self) -> None:
        self._leave()

    async def _ask(self, params: dict[str, Any], own: Callable[[FeedSource[Any]], Awaitable[Batch]]) -> Batch:
        """Ask who was asked last, else the nearest who can answer.

        Raises:
            WireError: nobody can; `busy` when that will pass.
        """
        router, owner = self._away.router, self._away.where(self._followed.group)
        failed: set[bytes] = set()
        busy: WireError | None = None
        for node_id in sorted(router.candidates(owner.slots), key=lambda each: each != self._node):
            try:
                if node_id == router.node_id:
                    return await own(self._here())
                return await self._ask_at(node_id, owner, params)
            except (WireError, PeerUnreachable) as error:
                failed.add(node_id)
                if node_id == self._node:
                    self._leave()
                if isinstance(error, WireError):
                    if error.kind is BAD_REQUEST:
                        raise
                    busy = error if error.kind is BUSY else busy
        raise busy or router.unreachable(owner.slots, "one", failed)

    def _here(self) -> FeedSource[Any]:
        """This node's own source."""
        if self._own is not None and self._away.still_own(self._followed):
            return self._own
        source = self._away.own(self._followed)
        self._follow(self._away.router.node_id, b"")
        self._own = source
        self._goes_on |= self._looks_back
        return source

    async def _ask_at(self, node_id: bytes, owner: RangeDescriptor, params: dict[str, Any]) -> Batch:
        kind, subject, viewer = self._followed
        number = self._number if node_id == self._node else self._away.number()
        asked = {"range": owner.id, "epoch": owner.epoch, "feed": int(kind), "subject": subject}
        asked |= {"viewer": viewer, "stream": number, **params}
        try:
            answer = await self._away.peers.call(node_id, TELL, asked, limits.REPLICA_READ_TIMEOUT_S)
            batch, fresh = batch_of(answer)
        except BaseException:
            if node_id != self._node:  # it may hold the stream all the same
                self._away.leave(node_id, number)
            raise
        if node_id != self._node:
            self._follow(node_id, number)
            self._away.wait_at(node_id, number, self._wake)
        self._goes_on |= fresh and self._looks_back
        return batch

    def _follow(self, node_id: bytes, number: bytes) -> None:
        """It is followed at this node from now on."""
        self._leave()
        self._node, self._number = node_id, number

    @property
    def _looks_back(self) -> bool:
        """Whether a node that begins to hold the stream now may tell what stood there before it began."""
        return self._begun_us is not None and self._followed.kind in _BY_DATE

    def _leave(self) -> None:
        if self._own is not None:
            self._own.close()
        elif self._node is not None:
            self._away.leave(self._node, self._number)
        self._node = self._own = None

    def _wake(self) -> None:
        self._changed.set()

    def _without_what_was_before(self, batch: Batch) -> Batch:
        """What another node tells, without what stood in the feed before this stream began."""
        self._goes_on = batch.more
        return batch._replace(items=[item for item in batch.items if not self._was_before(item)])

    def _was_before(self, packed: bytes) -> bool:
        assert self._begun_us is not None, "only of a stream whose beginning is known"
        item = codec.unpack(packed)
        if not isinstance(item, dict) or "record" not in item:
            return False
        dated_ms = item.get("reposted_ms") or post_time_ms(Record.from_wire(item["record"]).item)
        return bool(1000 * dated_ms < self._begun_us)


_BY_DATE: Final = (CursorKind.FOLLOW_HOME, CursorKind.FOLLOW_TAG)
