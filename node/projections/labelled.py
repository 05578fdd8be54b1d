"""The labels on posts that a viewer heeds, from wherever the posts are kept.

Most posts show all the labels they have, and then nothing is asked. Where a post has more than it shows, what
the viewer's labellers say about it is looked up, which is a few seeks for each such post.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, Final

import trio
from folkmoot.node.contracts import EpochCheck, Peers, PeerUnreachable
from folkmoot.node.projections.posts import Posts, Ref
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.moderation.bounds import LABELLED_STEP, LABELLER_LABELS, LABELLERS
from folkmoot.protocol.moderation.label import KIND, Label, parse_label
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.shown_post import Post
from folkmoot.storage.store import Store
from msgspec import Meta, Struct

LABELLED: Final = "replica.labelled"

_Key = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)]
_Frame = Annotated[bytes, Meta(max_length=limits.RECORD_BYTES + 256)]
_OnPost = Annotated[list[_Frame], Meta(max_length=LABELLERS * LABELLER_LABELS)]


class _Asked(Struct):
    """`replica.labelled`: what some labellers say about posts that this node holds a slot for."""

    range: int
    epoch: int
    keys: Annotated[list[_Key], Meta(max_length=limits.PAGE_ITEMS)]
    labellers: Annotated[list[messages.Account], Meta(max_length=LABELLERS)]


class _Told(Struct):
    """The answer: of the first of them, as many as fit, the labels' frames."""

    labels: Annotated[list[_OnPost], Meta(min_length=1, max_length=limits.PAGE_ITEMS)]


class Labelled:
    """See the module.

    Args:
        store: this node's.
        router: orders replicas by distance.
        ranges: the range map now.
        peers: how to reach the others.
        epochs: checks claims of other nodes.
        posts: says what this node keeps.
        trusted: whose labels everybody heeds.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        ranges: Callable[[], RangeMap],
        peers: Peers,
        epochs: EpochCheck,
        posts: Posts,
        trusted: Callable[[], Collection[bytes]],
    ) -> None:
        self._store = store
        self._router = router
        self._ranges = ranges
        self._peers = peers
        self._epochs = epochs
        self._posts = posts
        self._trusted = trusted

    async def heard(
        self, posts: Mapping[Ref, Post], labellers: Collection[bytes], now_us: int
    ) -> tuple[dict[Ref, list[Label]], set[bytes]]:
        """The labels on some posts that count for a viewer and hold, and which of the viewer's labellers gave
        any of them.

        Args:
            posts: with labels.
            labellers: those that the viewer subscribes to. The cluster's nodes are always heeded.
            now_us: microseconds since 1970.
        """
        trusted = frozenset(self._trusted())
        chosen = frozenset(labellers) - trusted
        heeded = chosen | trusted
        further = await self._further([ref for ref, post in posts.items() if post.labels_cut], chosen)
        found: dict[Ref, list[Label]] = {}
        gave: set[bytes] = set()
        for count, (ref, post) in enumerate(posts.items(), 1):
            said = [label for label in post.said if label.labeller in heeded]
            if ref in further:
                more = map(_label, further[ref])
                said = list({(label.labeller, label.value): label for label in (*said, *more)}.values())
            if holding := [label for label in said if label.holds(now_us)]:
                found[ref] = holding
                gave.update(label.labeller for label in holding)
            if further and not count % LABELLED_STEP:
                await trio.lowlevel.checkpoint()
        return found, gave & chosen

    async def _further(self, refs: Sequence[Ref], labellers: frozenset[bytes]) -> dict[Ref, list[bytes]]:
        """The frames of what some labellers say about some posts, as far as it can be read."""
        if not refs or not labellers:
            return {}
        of = {ref.key: ref for ref in refs}
        own, elsewhere = self._posts.divided(list(of))
        found: dict[bytes, list[bytes]] = {}
        for count, key in enumerate(own, 1):
            found[key] = self._own(key, labellers)
            if not count % LABELLED_STEP:
                await trio.lowlevel.checkpoint()
        ranges = self._ranges()
        groups: dict[int, tuple[RangeDescriptor, list[bytes]]] = {}
        for key in elsewhere:
            owner = ranges.lookup(key)
            groups.setdefault(owner.id, (owner, []))[1].append(key)
        async with trio.open_nursery() as nursery:
            for owner, some in groups.values():
                nursery.start_soon(self._fetch, owner, some, labellers, found)
        return {of[key]: frames for key, frames in found.items()}

    def _own(self, key: bytes, labellers: Collection[bytes]) -> list[bytes]:
        try:
            return self._store.labels_by(key, labellers)
        except StoreCorrupt as error:
            self._store.damage.note(error)
            return []

    async def _fetch(
        self,
        owner: RangeDescriptor,
        keys: Sequence[bytes],
        labellers: frozenset[bytes],
        found: dict[bytes, list[bytes]],
    ) -> None:
        """Ask the replicas of a range, the nearest first, until all are told."""
        failed = {self._router.node_id}
        left = list(keys)
        while left and (candidates := self._router.candidates(owner.slots, failed)):
            params = {
                "range": owner.id,
                "epoch": owner.epoch,
                "keys": left,
                "labellers": sorted(labellers),
            }
            try:
                answer = await self._peers.call(
                    candidates[0], LABELLED, params, limits.REPLICA_READ_TIMEOUT_S
                )
                told = codec.shaped(answer, _Told, "labels").labels[: len(left)]
                _check(left, told, labellers)
            except (WireError, PeerUnreachable):
                failed.add(candidates[0])
                continue
            found.update(zip(left, told, strict=False))
            left = left[len(told) :]

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {LABELLED: self._answer}

    async def _answer(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, _Asked, LABELLED)
        self._epochs.check_epochs({asked.range: asked.epoch}, asked.keys)
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)
        labellers = frozenset(asked.labellers)
        told: list[list[bytes]] = []
        size = 0
        for key in asked.keys:
            frames = self._own(key, labellers)
            size += sum(map(len, frames))
            if size > limits.PAGE_BYTES and told:
                break
            told.append(frames)
        return {"labels": told}


def _label(frame: bytes) -> Label:
    """The label in a record that was checked when it came in: there may be a thousand on a page."""
    payload, _signature = codec.unpack(frame)
    fields = codec.unpack(payload)
    return parse_label(fields["item"], fields["body"])


def _check(keys: Sequence[bytes], told: Sequence[list[bytes]], labellers: Collection[bytes]) -> None:
    """Refuse labels that were not asked for.

    Raises:
        PeerUnreachable: there are some.
        WireError: something is no record.
    """
    for key, frames in zip(keys, told, strict=False):
        for record in (Record.from_wire(codec.unpack(frame)) for frame in frames):
            ref = Ref(record.place, record.item[: limits.POST_ITEM_BYTES])
            if record.kind != KIND or ref.key != key or record.author not in labellers:
                raise PeerUnreachable("a node sent other labels than those asked for")
