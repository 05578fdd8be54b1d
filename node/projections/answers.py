"""What names posts as the first of their thread: the entries of threads, read here or where they are kept.

Answers that name no `root` are kept with the post they answer, not with the first of the thread. So whoever
shows a thread asks for what hangs below the posts in it (see `branches`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

import trio
from folkmoot.node.contracts import EpochCheck, Peers, PeerUnreachable
from folkmoot.node.projections.posts import Posts
from folkmoot.node.projections.serving import Lagging, lag_of
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, WireError
from folkmoot.protocol.key import PLACE_PREFIX_BYTES
from folkmoot.protocol.projections.entries import Index, Projection
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage import projections
from folkmoot.storage.projections import Member
from folkmoot.storage.store import Store
from msgspec import Meta, Struct

ANSWERS: Final = "thread.answers"
MEMBER_BYTES: Final = limits.POST_ITEM_BYTES + 32

_MOST: Final = limits.PAGE_ITEMS + 1  # a page, and whether there is more
_GROUP_BYTES: Final = PLACE_PREFIX_BYTES + limits.POST_ITEM_BYTES
_Group = Annotated[bytes, Meta(min_length=_GROUP_BYTES, max_length=_GROUP_BYTES)]
_Member = Annotated[bytes, Meta(min_length=MEMBER_BYTES, max_length=MEMBER_BYTES)]
_Rows = Annotated[list[tuple[_Member, _Member]], Meta(max_length=_MOST)]


class Asked(NamedTuple):
    """What is asked for.

    Args:
        group: of a post; see `entries.post_group`.
        after: the member after which to begin; None for the first.
    """

    group: bytes
    after: bytes | None = None


class _Asked(Struct):
    """`thread.answers`: of threads in groups that the asked node keeps the entries after a member each, until
    there are `most`."""

    range: int
    epoch: int
    asked: Annotated[list[tuple[_Group, _Member | None]], Meta(max_length=_MOST)]
    most: Annotated[int, Meta(ge=1, le=_MOST)]


class _Told(Struct):
    """The answer: entries of the first groups, and none of those that there was no room for."""

    told: Annotated[list[_Rows], Meta(max_length=_MOST)]


class Answers:
    """See the module.

    Args:
        store: this node's.
        router: orders replicas by distance.
        where: the range that holds a key.
        peers: how to reach the others.
        epochs: checks claims of other nodes.
        posts: says which ranges this node may answer for.
        lagging: how far behind projections are.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        where: Callable[[bytes], RangeDescriptor],
        peers: Peers,
        epochs: EpochCheck,
        posts: Posts,
        lagging: Lagging,
    ) -> None:
        self._store = store
        self._router = router
        self._where = where
        self._peers = peers
        self._epochs = epochs
        self._posts = posts
        self._lagging = lagging

    async def read(self, asked: Sequence[Asked], most: int) -> list[Sequence[Member]]:
        """The entries of some groups, in the order asked for. Of later groups there may be fewer than there
        are, once there are `most` of the earlier ones; and of whom nobody can be asked there are none."""
        told: list[Sequence[Member]] = [()] * len(asked)
        groups: dict[int, tuple[RangeDescriptor, list[int]]] = {}
        for number, each in enumerate(asked):
            owner = self._where(each.group)
            groups.setdefault(owner.id, (owner, []))[1].append(number)
        own: list[int] = []
        async with trio.open_nursery() as nursery:
            for owner, numbers in groups.values():
                if self._posts.is_own(owner) and self._lagging.covers(asked[numbers[0]].group):
                    own += numbers
                else:
                    nursery.start_soon(self._fetch, owner, asked, numbers, most, told)
            own.sort()
            for number, rows in zip(own, self._own([asked[number] for number in own], most), strict=False):
                told[number] = rows
        return told

    def _own(self, asked: Sequence[Asked], most: int) -> list[Sequence[Member]]:
        generation, left = self._store.live[Projection.THREADS], most
        told: list[Sequence[Member]] = []
        with self._store.engine.begin() as transaction:
            for group, after in asked:
                rows = projections.members(
                    transaction, Index.THREAD, generation, group, after=after or b"", limit=left
                )
                told.append(rows)
                left -= len(rows)
                if not left:
                    break
        return told

    async def _fetch(
        self,
        owner: RangeDescriptor,
        asked: Sequence[Asked],
        numbers: Sequence[int],
        most: int,
        told: list[Sequence[Member]],
    ) -> None:
        """Ask the replicas of a range, the nearest first, until one answers."""
        params = {
            "range": owner.id,
            "epoch": owner.epoch,
            "asked": [list(asked[number]) for number in numbers],
            "most": most,
        }
        for node_id in self._router.candidates(owner.slots, {self._router.node_id}):
            try:
                answer = await self._peers.call(node_id, ANSWERS, params, limits.REPLICA_READ_TIMEOUT_S)
                found = codec.shaped(answer, _Told, "answers").told
            except (WireError, PeerUnreachable):
                continue
            for number, rows in zip(numbers, found, strict=False):
                told[number] = [Member(*row) for row in rows]
            return

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {ANSWERS: self._answer}

    async def _answer(self, node_id: bytes, params: Params) -> dict[str, Any]:
        shaped = codec.shaped(params, _Asked, ANSWERS)
        asked = [Asked(*each) for each in shaped.asked]
        if not asked:
            raise WireError(BAD_REQUEST, "no post is asked about")
        self._epochs.check_epochs({shaped.range: shaped.epoch}, [each.group for each in asked])
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=500)
        lag_of(self._lagging, asked[0].group)
        return {"told": [[list(row) for row in rows] for rows in self._own(asked, shaped.most)]}
