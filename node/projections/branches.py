"""A thread as a listing: the post it begins with, and all that answers it or an answer.

Answers that name the first post stand in one list, by the times in their items. An answer that names none
begins a list at the post that it answers, a *branch*, and a branch stands right after the post it hangs from.
So a page is a walk in depth, and a place is the way there: the members of all entries that lead to it. Where
a page ends the next begins, whatever was added or deleted meanwhile.

A page costs one round for each level of branches, in which no more entries are read than a page takes and
one look is had at each post that is on it. Branches go `DEPTH` levels deep; what hangs further down is not
shown but named, by the first of it, and has a page of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from folkmoot.node.projections.answers import MEMBER_BYTES, Answers, Asked
from folkmoot.node.projections.listings import Entries, Place, by_item
from folkmoot.node.projections.posts import Ref
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.feed.cursor import POSITION_BYTES
from folkmoot.protocol.feed.threads import STEPS
from folkmoot.protocol.projections.entries import PUBLIC_BYTES, Index, Projection, account_of, post_group
from folkmoot.storage.projections import Member
from folkmoot.storage.store import Store

DEPTH: Final = 2 * STEPS
"""How many levels of answers a page shows: more than what is looked at above a post, so that whoever goes on
with what hangs further down sees more of it."""

FIRST: Final = b"\0"  # the place of what a thread begins with, before all members


class _Open(NamedTuple):
    """A list that is to be read where it stands.

    Args:
        at: the way to the post that it hangs from; empty for the first.
        ref: that post.
        after: the member after which to begin.
    """

    at: bytes
    ref: Ref
    after: bytes | None = None


class Thread:
    """See the module.

    Args:
        store: this node's, which keeps the post it begins with.
        root: that post.
        answers: reads branches.
    """

    def __init__(self, store: Store, root: Ref, answers: Answers) -> None:
        self.root = root
        self._answers = answers
        self._replies = Entries(store, Index.THREAD, Projection.THREADS, post_group(*root), by_item)

    async def places(self, after: bytes | None, limit: int) -> list[Place]:
        """See `listings.Listing`."""
        nodes: list[Place | _Open] = []
        if after is None:
            nodes.append(Place(FIRST, self.root))
        nodes += self._opened(b"" if after in (None, FIRST) else after or b"")
        while opened := [node for node in nodes if isinstance(node, _Open)]:
            asked = [Asked(post_group(*node.ref), node.after) for node in opened]
            told = iter(await self._answers.read(asked, limit))
            walked: list[Place | _Open] = []
            for node in nodes:
                walked += [node] if isinstance(node, Place) else self._below(node, next(told))
            nodes = _cut(walked, limit)
        return [node for node in nodes if isinstance(node, Place)]

    def has(self, place: Place) -> bool:
        """Whether what a place answers is known to be in the thread."""
        return place.answers in self._way(place.at) or (
            place.answers is not None and self._replies.has(place.answers)
        )

    def _way(self, at: bytes) -> list[Ref]:
        """The posts on the way to a place, from the first on; its own is the last."""
        return [self.root, *(by_item(member, b"").ref for member in _members(at))]

    def _opened(self, at: bytes) -> list[_Open]:
        """The lists that go on after a place, in the order in which they do."""
        members, way = _members(at), self._way(at)
        deepest = min(len(members), DEPTH) if len(members) <= DEPTH else DEPTH - 1
        return [
            _Open(at[: depth * MEMBER_BYTES], way[depth], members[depth] if depth < len(members) else None)
            for depth in range(deepest, -1, -1)
        ]

    def _below(self, node: _Open, rows: Sequence[Member]) -> list[Place | _Open]:
        """The places of a list, each with the branch that hangs from it; of one too deep its first, named."""
        further = len(node.at) == DEPTH * MEMBER_BYTES
        way = self._way(node.at)
        found: list[Place | _Open] = []
        for member, value in rows[:1] if further else rows:
            place = by_item(member, value)
            answers = Ref(account_of(value[:PUBLIC_BYTES]), value[PUBLIC_BYTES:])
            again = place.ref in way
            found.append(place._replace(at=node.at + member, answers=answers, further=further, again=again))
            if not further and not again:
                found.append(_Open(node.at + member, place.ref))
        return found


def check_place(at: bytes) -> None:
    """Check a place that was brought along.

    Raises:
        WireError: `bad_request`, when it is none in any thread.
    """
    if at != FIRST and (not at or len(at) % MEMBER_BYTES or len(at) > (DEPTH + 1) * MEMBER_BYTES):
        raise WireError(BAD_REQUEST, "no place in a thread")


def _members(at: bytes) -> list[bytes]:
    return [] if at == FIRST else [at[n : n + MEMBER_BYTES] for n in range(0, len(at), MEMBER_BYTES)]


def _cut(nodes: Sequence[Place | _Open], limit: int) -> list[Place | _Open]:
    """What comes before there are enough places."""
    left, cut = limit, []
    for node in nodes:
        if not left:
            break
        left -= isinstance(node, Place)
        cut.append(node)
    return cut


assert (DEPTH + 1) * MEMBER_BYTES <= POSITION_BYTES and limits.PAGE_ITEMS >= DEPTH
