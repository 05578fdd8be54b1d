"""Streams that other nodes follow here for their clients: `feed.tell` and `feed.wait`.

A feed can be followed where it is derived. A node whose client follows one that is kept elsewhere asks a node
that keeps it: that one holds the stream, told under a number that the asker drew, and the asker reads from it
as its client gives credit. What has changed is asked for once for all streams of an asker together, in a call
that waits; so however many there are, one request is under way between two nodes.

A stream is given up when its asker says so, or has asked for nothing for a while. Nothing is lost with it:
its places are times, and whoever goes on from one, here or at another node, is told what came since.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, NamedTuple

import trio
from folkmoot.node.contracts import EpochCheck
from folkmoot.node.projections.live import FeedSource
from folkmoot.node.projections.serving import Lagging, lag_of
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, WireError
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.feed.following import Batch, Gap
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.projections import bounds
from folkmoot.protocol.projections.entries import tag_group
from msgspec import Meta, Struct

TELL: Final = "feed.tell"
WAIT: Final = "feed.wait"
NUMBER_BYTES: Final = 16

_KINDS: Final = (CursorKind.FOLLOW_HOME, CursorKind.FOLLOW_TAG, CursorKind.FOLLOW_NOTIFICATIONS)

Number = Annotated[bytes, Meta(min_length=NUMBER_BYTES, max_length=NUMBER_BYTES)]
_Place = Annotated[bytes, Meta(max_length=limits.CURSOR_BYTES)]
_Subject = Annotated[bytes, Meta(max_length=limits.TAG_FORM_BYTES)]
_Item = Annotated[bytes, Meta(max_length=limits.MESSAGE_BYTES)]
Numbers = Annotated[list[Number], Meta(max_length=limits.FOLLOW_SUBSCRIPTIONS_OF_ALL)]


class Followed(NamedTuple):
    """Which feed is followed, and by whom.

    Args:
        kind, subject: as its cursors have them.
        viewer: who looks (34 bytes); None for nobody in particular.
    """

    kind: CursorKind
    subject: bytes
    viewer: bytes | None

    @property
    def group(self) -> bytes:
        """Where it is kept.

        Raises:
            WireError: `bad_request`, when it is no such feed.
        """
        if self.kind is CursorKind.FOLLOW_TAG:
            try:
                return tag_group(self.subject.decode())
            except UnicodeDecodeError:
                raise WireError(BAD_REQUEST, "a tag that is not UTF-8") from None
        if self.kind not in _KINDS or not is_account(self.subject):
            raise WireError(BAD_REQUEST, "what is followed is no home feed, tag or account")
        if self.kind is CursorKind.FOLLOW_NOTIFICATIONS and self.viewer != self.subject:
            raise WireError(BAD_REQUEST, "notifications are their account's alone")
        return place_prefix(self.subject)


Sources = Callable[[Followed], FeedSource[Any]]
"""Makes a source of a feed that this node keeps."""


class Tell(Struct):
    """`feed.tell`: what comes after a place in a feed that the asked node keeps; without one, where it
    begins."""

    range: int
    epoch: int
    feed: CursorKind
    subject: _Subject
    stream: Number
    limit: Annotated[int, Meta(ge=1, le=limits.FOLLOW_EVENT_ITEMS)] = 1
    viewer: messages.Account | None = None
    after: _Place | None = None
    since_us: Annotated[int, Meta(ge=0)] | None = None


class Told(Struct):
    """The answer; see `following.Batch`. `gap` is its beginning, end and reason; `fresh` says that nobody
    here knew of the stream, so that what came before the place was looked for."""

    place: _Place
    items: Annotated[list[_Item], Meta(max_length=limits.FOLLOW_EVENT_ITEMS)] = []
    more: bool = False
    fresh: bool = False
    gap: tuple[int, int, Annotated[str, Meta(max_length=32)]] | None = None


class Wait(Struct):
    """`feed.wait`: which of the asker's streams have something new, as soon as one has. `closed` are those
    that it follows no more."""

    wait_ms: Annotated[int, Meta(ge=0, le=int(limits.FOLLOW_WAIT_S * 1000))]
    closed: Numbers = []


class _Stream:
    """One stream of another node."""

    def __init__(self, followed: Followed, source: FeedSource[Any]) -> None:
        self.followed = followed
        self.source = source
        self.reading = trio.Lock()


class _Asker:
    """A node that follows something here."""

    def __init__(self) -> None:
        self.streams: dict[bytes, _Stream] = {}
        self.changed: dict[bytes, None] = {}
        self.woken = trio.Event()
        self.waits = 0
        self.asked_at = trio.current_time()

    def wake(self, number: bytes) -> None:
        self.changed[number] = None
        self.woken.set()

    def close(self, number: bytes) -> None:
        stream = self.streams.pop(number, None)
        self.changed.pop(number, None)
        if stream is not None:
            stream.source.close()


class Hosting:
    """See the module.

    Args:
        sources: what is told.
        epochs: checks claims of other nodes.
        counts: whether this node's copy may be told.
        lagging: how far behind projections are.
    """

    def __init__(
        self, sources: Sources, epochs: EpochCheck, counts: Callable[[], bool], lagging: Lagging
    ) -> None:
        self._sources = sources
        self._epochs = epochs
        self._counts = counts
        self._lagging = lagging
        self._askers: dict[bytes, _Asker] = {}

    @property
    def streams(self) -> int:
        """How many are followed here by other nodes."""
        return sum(len(asker.streams) for asker in self._askers.values())

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {TELL: self._tell, WAIT: self._wait}

    async def _tell(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, Tell, TELL)
        followed = Followed(asked.feed, asked.subject, asked.viewer)
        self._epochs.check_epochs({asked.range: asked.epoch}, [followed.group])
        if not self._counts():
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)
        lag_of(self._lagging, followed.group)
        if asked.after is not None:
            FeedSource.check_place(asked.after)
        stream, fresh = self._stream(node_id, asked.stream, followed)
        try:
            async with stream.reading:  # an asker that was cut off in the middle may ask again
                return {**await _next(stream.source, asked), "fresh": fresh}
        except BaseException:
            if fresh:  # the asker goes on elsewhere, or under another number
                self._askers[node_id].close(asked.stream)
            raise

    def _stream(self, node_id: bytes, number: bytes, followed: Followed) -> tuple[_Stream, bool]:
        """The stream of an asker under a number, begun if there is none, and whether it was."""
        self._give_up_who_is_gone()
        asker = self._askers.setdefault(node_id, _Asker())
        asker.asked_at = trio.current_time()
        stream = asker.streams.get(number)
        if stream is not None and stream.followed != followed:
            raise WireError(BAD_REQUEST, "another stream has this number")
        fresh = stream is None
        if stream is None:
            if self.streams >= limits.FOLLOW_SUBSCRIPTIONS_OF_ALL:
                raise WireError(BUSY, "this node has all the streams it can carry", retry_after_ms=5000)
            source = self._sources(followed)
            source.when_changed(lambda: asker.wake(number))
            stream = asker.streams[number] = _Stream(followed, source)
        asker.changed.pop(number, None)  # whatever it was, it is read now
        return stream, fresh

    async def _wait(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, Wait, WAIT)
        self._give_up_who_is_gone()
        asker = self._askers.setdefault(node_id, _Asker())
        for number in asked.closed:
            asker.close(number)
        asker.waits += 1
        waits = asker.waits
        asker.woken.set()  # whoever waits yet waits for an answer that nobody will read
        with trio.move_on_after(asked.wait_ms / 1000):
            while not asker.changed and waits == asker.waits:
                asker.woken = trio.Event()
                await asker.woken.wait()
        asker.asked_at = trio.current_time()
        changed: list[bytes] = []
        if waits == asker.waits:
            changed, asker.changed = list(asker.changed), {}
        return {"changed": changed, "streams": len(asker.streams)}

    def _give_up_who_is_gone(self) -> None:
        """Hold nothing for those who have asked for nothing for so long that they are gone, or restarted."""
        late = trio.current_time() - bounds.ASKER_SILENT_S
        for node_id in [each for each, asker in self._askers.items() if asker.asked_at < late]:
            asker = self._askers.pop(node_id)
            for number in list(asker.streams):
                asker.close(number)


async def _next(source: FeedSource[Any], asked: Tell) -> dict[str, Any]:
    if asked.after is None:
        return {"place": await source.begin(asked.since_us)}
    return _told(await source.read(asked.after, asked.limit))


def _told(batch: Batch) -> dict[str, Any]:
    told: dict[str, Any] = {"place": batch.place, "items": list(batch.items), "more": batch.more}
    if batch.gap is not None:
        told["gap"] = batch.gap[:3]
    return told


def batch_of(answer: Any) -> tuple[Batch, bool]:
    """What another node tells, and whether it has only begun to hold the stream.

    Raises:
        WireError: `bad_request`, when it is nothing of the kind.
    """
    told = codec.shaped(answer, Told, "the answer to feed.tell")
    for item in told.items:
        codec.unpack(item)
    gap = None if told.gap is None else Gap(*told.gap)
    return Batch(told.items, told.place, told.more, gap), told.fresh
