"""`account.reactions`: what an account wrote under others' places, for itself to take back or along.

Likes, reposts, reports and other statements lie with what they are about, all over the key space, and nobody
lists them by who made them. So the account has the cluster looked through, page by page: each page is about a
slice of one range, in which as many replicas as the level needs look for keys that end with the account, off
the event loop and one search at a time; what any of them has is read at the level. A page may be empty and
not the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import Reading
from folkmoot.node.slice_search import Around, SliceAsked, SliceSearch
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level, parse_level
from folkmoot.protocol.token import Token
from folkmoot.storage.reactions import reactions_of
from folkmoot.storage.slices import Slice
from folkmoot.storage.store import Store

REACTIONS: Final = "replica.reactions"
_FRAME_BYTES: Final = 16  # around a payload and its signature


class _Asked(SliceAsked):
    """`replica.reactions`: whose."""

    account: messages.Account


class AccountReactions:
    """See the module.

    Args:
        around: see `slice_search`.
        store: this node's.
    """

    def __init__(self, around: Around, store: Store) -> None:
        def search(asked: _Asked) -> Slice:
            return reactions_of(store.engine, asked.account, asked.start, asked.stop)

        self._search = SliceSearch(
            around, REACTIONS, _Asked, search, lambda asked, key: key.endswith(asked.account)
        )
        self.peer_methods = self._search.peer_methods

    def client_methods(self, reading: Reading) -> Mapping[str, Method]:
        """What clients may ask, by name.

        Args:
            reading: reads cells at a level.
        """

        async def reactions(asker: Asker, params: Params) -> dict[str, Any]:
            asked = codec.shaped(params, messages.AccountReactions, "account.reactions")
            _own_only(asker, asked.account)
            return await self._page(asked, parse_level(asked.level), reading)

        return {"account.reactions": reactions}

    async def _page(self, asked: messages.AccountReactions, level: Level, reading: Reading) -> dict[str, Any]:
        found, owner = await self._search.find(level, asked.start, account=asked.account)
        following = found.resume if found.resume is not None else owner.end
        cells = (await reading.get(found.keys, level, Token())).cells if found.keys else []
        records: list[list[bytes]] = []
        size = 0
        for key, data in zip(found.keys, cells, strict=True):
            own = _records_of(data, asked.account)
            size += sum(len(each.payload) + limits.SIGNATURE_BYTES + _FRAME_BYTES for each in own)
            if size > limits.PAGE_BYTES and records:
                following = key
                break
            records += [each.to_wire() for each in own]
        told = {"account": asked.account, "records": records}
        return told if following == b"" else {**told, "next": following}


def _own_only(asker: Asker, account: bytes) -> None:
    if asker.account is None:
        raise WireError(UNAUTHENTICATED, "an account's reactions are listed for itself: send auth first")
    if asker.account != account:
        raise WireError(FORBIDDEN, "an account's reactions are listed for itself only")


def _records_of(data: bytes | None, author: bytes) -> list[Record]:
    """What an author wrote of a cell, the oldest first."""
    if data is None:
        return []
    cell = Cell.decode(data)
    return [each for each in (*cell.history[::-1], *cell.survivors[::-1]) if each.author == author]
