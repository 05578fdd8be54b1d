"""Merging: the newest of what many accounts posted, of which each is read only as far as it takes.

Of each account a few are read to begin with. Then those are read further, and only those, of whom what is
not known yet could be among the newest; twice as many each time.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Final, NamedTuple, Protocol

import trio
from cachetools import TLRUCache
from folkmoot.node.environment import Executor
from folkmoot.protocol import limits
from folkmoot.protocol.projections.entries import Projection
from folkmoot.storage import latest
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.inboxes import Shown
from folkmoot.storage.store import Store

_TOP: Final = b"\xff" * 48  # above every place
_FEW: Final = 2
_FEW_ELSEWHERE: Final = 8
_ANSWERS_S: Final = 5.0
_ANSWERS_ROWS: Final = 50_000


class Piece(NamedTuple):
    """Some of what an account posted and reposted.

    Args:
        shown: the newest first.
        through: nothing is missing down to this place in a feed; None when nothing is further down.
    """

    shown: list[Shown]
    through: bytes | None

    @classmethod
    def of(cls, shown: list[Shown], limit: int) -> Piece:
        """What was read where so many were asked for."""
        return cls(shown, shown[-1].at if len(shown) >= limit else None)

    def below(self, before: bytes | None) -> Piece | None:
        """What of it is below a place; None when it does not come down to there."""
        if before is None:
            return self
        if self.through is not None and self.through >= before:
            return None
        return Piece([each for each in self.shown if each.at < before], self.through)


class Source:
    """One of those that are merged.

    Attributes:
        shown: what is known of it after where the merge begins, the newest first.
        through: nothing of it is missing down to here; None when nothing is further down.

    Args:
        account: whose (34 bytes).
        after: the place after which the merge begins; None for the top.
    """

    __slots__ = ("account", "shown", "through")

    def __init__(self, account: bytes, after: bytes | None) -> None:
        self.account = account
        self.shown: list[Shown] = []
        self.through: bytes | None = _TOP if after is None else after

    @property
    def before(self) -> bytes | None:
        """Before which it is read further; None for the top."""
        return None if self.through == _TOP else self.through

    def add(self, piece: Piece) -> None:
        """It was read further."""
        self.shown += piece.shown
        self.through = piece.through


Reads = Callable[[Sequence[Source], int], Awaitable[None]]
"""Reads on in some sources, about so many rows of each."""


async def newest_of(sources: Sequence[Source], limit: int, read: Reads) -> list[Shown]:
    """The newest of all sources together, in order; fewer than `limit` only when there are no more."""
    some = min(limit, max(_FEW, 2 * limit // max(1, len(sources))))
    while True:
        known = chain.from_iterable(source.shown for source in sources)
        best = heapq.nlargest(limit, known, key=lambda each: each.at)
        least = best[-1].at if len(best) == limit else b""
        lacking = [each for each in sources if each.through is not None and each.through > least]
        if not lacking:
            return best
        await read(lacking, some)
        some = min(2 * some, limit)


class AsksLatest(Protocol):
    """Asks other nodes for the latest posts of an account; see `logs`."""

    async def places_elsewhere(self, account: bytes, limit: int, before: bytes | None) -> list[Shown] | None:
        """The next of its posts, also of those that were deleted, and reposts before a place; None when
        nobody can be asked."""
        ...

    def keeps(self, account: bytes) -> bool:
        """Whether this node keeps what an account writes."""
        ...


class _Told(NamedTuple):
    """What others told of the top of an account, or that nobody was there to ask.

    Args:
        until: for how long it is believed.
    """

    piece: Piece | None
    until: float

    @property
    def rows(self) -> int:
        """How much is remembered with it."""
        return 1 if self.piece is None else 1 + len(self.piece.shown)


class Accounts:
    """Reads what accounts posted, wherever that is kept.

    Args:
        store: this node's.
        latest: see `AsksLatest`.
        executor: where this node's store is read: with many accounts it takes long.
        now: the clock by which what others told is remembered for a few seconds.
    """

    def __init__(
        self, store: Store, latest: AsksLatest, executor: Executor, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._latest = latest
        self._executor = executor
        self._now = now
        self._told: TLRUCache[bytes, _Told] = TLRUCache(
            _ANSWERS_ROWS, lambda _, told, now: told.until, now, lambda told: told.rows
        )

    async def read(
        self, sources: Sequence[Source], some: int, *, reposts: bool, unreached: dict[bytes, None]
    ) -> None:
        """Read on in some accounts.

        Args:
            sources: they.
            some: about so many rows of each.
            reposts: whether they are looked for as well.
            unreached: gets those that nobody could be asked about; nothing is further down in them.
        """
        own = [source for source in sources if self._latest.keeps(source.account)]
        pieces = await self._executor.run(partial(self._own_pieces, own, some)) if own else []
        for source, piece in zip(own, pieces, strict=True):
            if piece is not None:
                source.add(_chosen(piece, reposts=reposts))
        read = {source.account for source, piece in zip(own, pieces, strict=True) if piece is not None}
        elsewhere = [source for source in sources if source.account not in read]
        most = max(some, _FEW_ELSEWHERE, limits.PAGE_ITEMS // max(1, len(elsewhere)))

        async def ask(source: Source) -> None:
            piece = await self._ask(source, min(most, limits.PROJECTED_LATEST))
            if piece is None:
                unreached[source.account] = None
            source.add(Piece([], None) if piece is None else _chosen(piece, reposts=reposts))

        async with trio.open_nursery() as nursery:
            for source in elsewhere:
                nursery.start_soon(ask, source)

    def _own_pieces(self, sources: Iterable[Source], some: int) -> list[Piece | None]:
        """Pieces of accounts that are kept here; None of those of which something is damaged."""
        reposted = self._store.live[Projection.REPOSTS]
        pieces: list[Piece | None] = []
        with self._store.engine.begin() as transaction:
            for source in sources:
                try:
                    found = latest.places_of(transaction, reposted, source.account, some, source.before)
                    pieces.append(Piece.of(found, some))
                except StoreCorrupt as error:
                    self._store.damage.note(error)
                    pieces.append(None)
        return pieces

    async def _ask(self, source: Source, some: int) -> Piece | None:
        """The next piece of an account that others keep; None when nobody can be asked.

        What is read from the top on is remembered.
        """
        account, before = source.account, source.before
        told = self._told.get(account) or _Told(Piece([], _TOP), self._now() + _ANSWERS_S)
        if told.piece is None:
            return None
        left = told.piece.below(before)
        if left is not None and (left.shown or left.through is None):
            return left
        start = before if left is None else left.through
        answer = await self._latest.places_elsewhere(account, some, None if start == _TOP else start)
        if answer is None:
            self._told[account] = _Told(None, self._now() + _ANSWERS_S)
            return None
        piece = Piece.of(answer, some)
        whole = Piece(told.piece.shown + piece.shown, piece.through)
        if start == told.piece.through and len(whole.shown) <= limits.PROJECTED_LATEST:
            self._told[account] = told._replace(piece=whole)
        return piece


def _chosen(piece: Piece, *, reposts: bool) -> Piece:
    if reposts:
        return piece
    return piece._replace(shown=[each for each in piece.shown if each.reposter is None])
