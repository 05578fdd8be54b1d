"""Friends of friends: how many of those whom an account follows follow somebody.

It is asked of some of them only, the latest followed, and of each only about the latest whom they follow: who
follows thousands is told of no worse people by fifty of them. Of who follows more than two thousand, the
latest of so many count that stand first in the store. What was told is remembered for a minute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import islice
from typing import Annotated, Any, Final, NamedTuple

import trio
from cachetools import TTLCache
from folkmoot.node.contracts import EpochCheck, Peers, PeerUnreachable
from folkmoot.node.environment import Executor
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.flag import is_on
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.key import kind_prefix, place_prefix, prefix_end
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table
from folkmoot.storage.rows import row_cell
from folkmoot.storage.store import Store
from msgspec import Meta, Struct

FOLLOWS: Final = "ranking.follows"

_ROWS_SCANNED: Final = 2_000  # of those whom somebody follows
_REMEMBERED: Final = 256
_REMEMBERED_S: Final = 60.0
_PATIENCE_S: Final = limits.REPLICA_READ_TIMEOUT_S / 2  # so that who waits for a ranking is told of the rest


class _Asked(Struct):
    """`ranking.follows`: whom an account follows that the asked node keeps."""

    range: int
    epoch: int
    account: messages.Account


class _Told(Struct):
    """The answer: the latest followed, the latest first."""

    accounts: Annotated[list[messages.Account], Meta(max_length=limits.FRIENDS_FOLLOWS)]


class Followed(NamedTuple):
    """Whom friends follow.

    Args:
        by: by how many of them each account is followed.
        is_all: whether all who were to be asked could be.
    """

    by: Counter[bytes]
    is_all: bool


class Friends:
    """See the module.

    Args:
        store: this node's.
        router: orders replicas by distance.
        where: the range that holds a key.
        peers: how to reach the others.
        epochs: checks claims of other nodes.
        executor: where follows are read.
        now: the clock by which answers are remembered.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        where: Callable[[bytes], RangeDescriptor],
        peers: Peers,
        epochs: EpochCheck,
        executor: Executor,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._router = router
        self._where = where
        self._peers = peers
        self._epochs = epochs
        self._executor = executor
        self._told: TTLCache[bytes, list[bytes]] = TTLCache(_REMEMBERED, _REMEMBERED_S, now)

    async def of(self, account: bytes) -> Followed:
        """By how many of an account's friends others are followed.

        Args:
            account: that this node keeps (34 bytes).
        """
        friends = (await self._own(account))[: limits.FRIENDS_ASKED]
        told = {friend: self._told.get(friend) for friend in friends}

        async def ask(friend: bytes) -> None:
            told[friend] = await self._ask(friend)

        with trio.move_on_after(_PATIENCE_S):
            async with trio.open_nursery() as nursery:
                for friend in [friend for friend in friends if told[friend] is None]:
                    nursery.start_soon(ask, friend)
        found: Counter[bytes] = Counter()
        for accounts in told.values():
            found.update(accounts or ())
        del found[account]
        return Followed(found, None not in told.values())

    async def _ask(self, account: bytes) -> list[bytes] | None:
        """Whom an account follows, from wherever it is kept; None when nobody can be asked."""
        owner = self._where(place_prefix(account))
        for node_id in self._router.candidates(owner.slots):
            try:
                if node_id == self._router.node_id:
                    told = await self._own(account)
                else:
                    params = {"range": owner.id, "epoch": owner.epoch, "account": account}
                    answer = await self._peers.call(node_id, FOLLOWS, params, limits.REPLICA_READ_TIMEOUT_S)
                    told = codec.shaped(answer, _Told, "whom an account follows").accounts
            except (WireError, PeerUnreachable):
                continue
            self._told[account] = told
            return told
        return None

    async def _own(self, account: bytes) -> list[bytes]:
        return await self._executor.run(partial(self._read, account))

    def _read(self, account: bytes) -> list[bytes]:
        """The latest that an account follows whom this node keeps, the latest first."""
        prefix = kind_prefix(account, "follow")
        with self._store.engine.begin() as transaction:
            scanned = transaction.scan(Table.CELLS, prefix, prefix_end(prefix))
            rows = list(islice(scanned, _ROWS_SCANNED))
        found: list[tuple[int, bytes]] = []
        for key, row in rows:
            try:
                cell = Cell.decode(row_cell(key, row))
            except StoreCorrupt as error:
                self._store.damage.note(error)
                continue
            if is_on(cell):
                found.append((cell.winner.stamp, key[len(prefix) :]))
        return [followed for _, followed in sorted(found, reverse=True)[: limits.FRIENDS_FOLLOWS]]

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {FOLLOWS: self._answer}

    async def _answer(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, _Asked, FOLLOWS)
        self._epochs.check_epochs({asked.range: asked.epoch}, [place_prefix(asked.account)])
        if not self._router.counts_itself:
            raise WireError(BUSY, "this replica does not know all it acknowledged", retry_after_ms=250)
        return {"accounts": await self._own(asked.account)}
