"""The posts that a page names, from wherever they are kept: this node's own at once, others' by asking."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

import trio
from folkmoot.node.contracts import EpochCheck, Peers, PeerUnreachable
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.key import kind_prefix
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.rows import Counts
from folkmoot.storage.shown_post import GONE, Post
from folkmoot.storage.store import Store
from msgspec import Meta, Struct

POSTS: Final = "replica.posts"

_Key = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)]
_Frame = Annotated[bytes, Meta(max_length=limits.RECORD_BYTES + 256)]
_Count = Annotated[int, Meta(ge=0, le=2**32 - 1)]


class _Told(Struct, array_like=True):
    """A post: its frame, nil when it is deleted; labels, likes, reposts and replies; and, when there are any,
    the decisions that apply to it, and whether there may be more labels."""

    frame: _Frame | None
    labels: Annotated[list[_Frame], Meta(max_length=limits.PAGE_LABELS_PER_POST)]
    likes: _Count
    reposts: _Count
    replies: _Count
    decisions: Annotated[list[_Frame], Meta(max_length=2)] = []
    labels_cut: bool = False

    @classmethod
    def of(cls, post: Post) -> list[Any]:
        """What is told of a post."""
        told = [post.frame, post.labels, *post.counts, post.replies]
        if post.labels_cut:
            return [*told, post.decisions, True]
        return [*told, post.decisions] if post.decisions else told


class _Posts(Struct):
    """`replica.posts`: posts this node holds a slot for."""

    range: int
    epoch: int
    keys: Annotated[list[_Key], Meta(max_length=limits.PAGE_ITEMS)]


class _Answer(Struct):
    """The first of them, as many as fit; nil where nothing is known."""

    posts: Annotated[list[_Told | None], Meta(max_length=limits.PAGE_ITEMS)]


class Ref(NamedTuple):
    """A post.

    Args:
        author, item: 34 and 16 bytes.
    """

    author: bytes
    item: bytes

    @property
    def key(self) -> bytes:
        """The key of its cell."""
        return kind_prefix(self.author, "post") + self.item


class Unreached(NamedTuple):
    """What stands for a post none of whose replicas could be asked."""


UNREACHED: Final = Unreached()


class Posts:
    """See the module.

    Args:
        store: this node's.
        router: orders replicas by distance.
        ranges: the range map now.
        peers: how to reach the others.
        epochs: checks claims of other nodes.
        trusted: whose labels come first.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        ranges: Callable[[], RangeMap],
        peers: Peers,
        epochs: EpochCheck,
        trusted: Callable[[], frozenset[bytes]],
    ) -> None:
        self._store = store
        self._router = router
        self._ranges = ranges
        self._judged: tuple[RangeMap, bool] | None = None
        self._peers = peers
        self._epochs = epochs
        self._trusted = trusted

    def _where(self, key: bytes) -> RangeDescriptor:
        return self._ranges().lookup(key)

    def is_own(self, owner: RangeDescriptor) -> bool:
        """Whether this node may answer for a range by itself."""
        readers = {slot.reader for slot in owner.slots}
        return self._router.node_id in readers and self._router.counts_itself

    def keeps_all(self) -> bool:
        """Whether this node may answer for every range by itself; worked out once for each range map."""
        ranges = self._ranges()
        if self._judged is None or self._judged[0] is not ranges:
            own = self._router.node_id
            keeps = all(own in {slot.reader for slot in owner.slots} for owner in ranges.ranges)
            self._judged = ranges, keeps
        return self._judged[1] and self._router.counts_itself

    def own(self, keys: Sequence[bytes]) -> list[Post | None]:
        """Posts that this node keeps, by their keys."""
        return self._store.posts(keys, self._trusted)

    def keeps(self, key: bytes) -> bool:
        """Whether this node may answer by itself for what is at a key."""
        return self.is_own(self._where(key))

    def divided(self, keys: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Those keys that this node may answer for by itself, and the others."""
        if self.keeps_all():
            return list(dict.fromkeys(keys)), []
        own = {key: self.is_own(self._where(key)) for key in keys}
        return [key for key in own if own[key]], [key for key in own if not own[key]]

    def own_cells(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """This node's cells at some keys; None also where one is damaged."""
        try:
            return self._store.get_cells(keys)
        except StoreCorrupt as error:
            self._store.damage.note(error)
            return [None] * len(keys)

    async def read(self, refs: Sequence[Ref]) -> list[Post | Unreached | None]:
        """Posts, in the order asked for; None where nothing is known."""
        keys = [ref.key for ref in refs]
        if self.keeps_all():
            return list(self.own(keys))
        owners = [self._where(key) for key in keys]
        found: dict[bytes, Post | Unreached | None] = {}
        groups: dict[int, tuple[RangeDescriptor, list[bytes]]] = {}
        for key, owner in zip(keys, owners, strict=True):
            groups.setdefault(owner.id, (owner, []))[1].append(key)
        async with trio.open_nursery() as nursery:
            for owner, some in groups.values():
                if self.is_own(owner):
                    found.update(zip(some, self._store.posts(some, self._trusted), strict=True))
                else:
                    nursery.start_soon(self._fetch, owner, some, found)
        return [found[key] for key in keys]

    async def _fetch(
        self, owner: RangeDescriptor, keys: Sequence[bytes], found: dict[bytes, Post | Unreached | None]
    ) -> None:
        """Ask the replicas of a range for posts, the nearest first, until all are told."""
        found.update(dict.fromkeys(keys, UNREACHED))
        failed = {self._router.node_id}
        left = list(keys)
        while left:
            candidates = self._router.candidates(owner.slots, failed)
            if not candidates:
                return
            params = {"range": owner.id, "epoch": owner.epoch, "keys": left}
            try:
                answer = await self._peers.call(candidates[0], POSTS, params, limits.REPLICA_READ_TIMEOUT_S)
                told = [_post(each) for each in codec.shaped(answer, _Answer, "posts").posts]
            except (WireError, PeerUnreachable):
                failed.add(candidates[0])
                continue
            if not told or len(told) > len(left):
                failed.add(candidates[0])
                continue
            found.update(zip(left, told, strict=False))
            left = left[len(told) :]

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {POSTS: self._answer}

    async def _answer(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, _Posts, POSTS)
        self._epochs.check_epochs({asked.range: asked.epoch}, asked.keys)
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)
        told: list[Any] = []
        size = 0
        for post in self._store.posts(asked.keys, self._trusted):
            beside = () if post is None else (post.frame or b"", *post.labels, *post.decisions)
            size += sum(map(len, beside))
            if size > limits.PAGE_BYTES and told:
                break
            told.append(None if post is None else _Told.of(post))
        return {"posts": told}


def _post(told: _Told | None) -> Post | None:
    """What a replica says of a post.

    Raises:
        WireError: `bad_request`, when it is no record.
    """
    if told is None:
        return None
    for each in (*([told.frame] if told.frame is not None else []), *told.labels, *told.decisions):
        Record.from_wire(codec.unpack(each))
    if told.frame is None:
        return GONE
    counts = Counts(told.likes, told.reposts)
    return Post(told.frame, told.labels, counts, told.replies, told.decisions, labels_cut=told.labels_cut)
