"""What labels mean: the definitions of the labellers whose labels are on a page, and the community's.

Those of labellers that this node keeps are compared with their cells each time; what other nodes keep is
remembered for some seconds, and that it could not be asked for, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import Reading
from folkmoot.node.projections.posts import Posts
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.moderation.bounds import DEFINITIONS_BYTES, DEFINITIONS_REMEMBERED_S
from folkmoot.protocol.moderation.builtin_labels import BUILT_IN
from folkmoot.protocol.moderation.definitions import FIELD, Definitions, read_definitions
from folkmoot.protocol.token import Token
from folkmoot.storage.bounded import BoundedCache, CacheFigures

_READ_BYTES: Final = 500  # of what one labeller defines, besides its cell
_TIMES: Final = 4  # as long as its bytes, about, is what is read of a cell


class _Read(NamedTuple):
    """What a labeller defines, and the cell that it was read from; None where there is none."""

    cell: bytes | None
    definitions: Definitions

    def weight(self) -> int:
        return _READ_BYTES + _TIMES * len(self.cell or b"")


class Defining:
    """See the module.

    Args:
        posts: says what this node keeps, and reads it.
        reading: reads what others keep.
        said: what the policy in force says of labels.
        now: the clock by which what others told is remembered.
    """

    def __init__(
        self, posts: Posts, reading: Reading, said: Callable[[], Definitions], now: Callable[[], float]
    ) -> None:
        self._posts = posts
        self._reading = reading
        self._said = said
        self._community: tuple[Definitions, Definitions] = {}, BUILT_IN
        self._own: BoundedCache[bytes, _Read] = BoundedCache(DEFINITIONS_BYTES // 2, _Read.weight)
        self._told: BoundedCache[bytes, _Read] = BoundedCache(
            DEFINITIONS_BYTES // 2, _Read.weight, lasting_s=DEFINITIONS_REMEMBERED_S, now=now
        )

    @property
    def community(self) -> Definitions:
        """What the labels of the cluster and of authors mean."""
        said = self._said()
        if self._community[0] is not said:
            self._community = said, {**BUILT_IN, **said}
        return self._community[1]

    def caches(self) -> dict[str, CacheFigures]:
        """What is remembered of labellers that are kept here, and of others."""
        return {"definitions": self._own.figures(), "definitions_told": self._told.figures()}

    def client_methods(self) -> Mapping[str, Method]:
        """What clients may ask, by name."""
        return {"label.definitions": self._answer}

    async def of(self, labellers: Iterable[bytes]) -> dict[bytes, Definitions]:
        """What each of some labellers defines; nothing, where that cannot be found out."""
        keys = {cell_key(labeller, "profile", FIELD): labeller for labeller in labellers}
        own, elsewhere = self._posts.divided(list(keys))
        found: dict[bytes, Definitions] = {}
        for key, cell in zip(own, self._posts.own_cells(own), strict=True):
            found[keys[key]] = self._read(self._own, key, cell)
        unknown: list[bytes] = []
        for key in elsewhere:
            if (known := self._told.get(key)) is None:
                unknown.append(key)
            else:
                found[keys[key]] = known.definitions
        for key, cell in zip(unknown, await self._ask(unknown), strict=True):
            found[keys[key]] = self._read(self._told, key, cell)
        return found

    async def _ask(self, keys: list[bytes]) -> list[bytes | None]:
        if not keys:
            return []
        try:
            return list((await self._reading.get(keys, "one", Token())).cells)
        except WireError:
            return [None] * len(keys)

    def _read(self, cache: BoundedCache[bytes, _Read], key: bytes, cell: bytes | None) -> Definitions:
        known = cache.get(key, lambda read: read.cell == cell)
        if known is None:
            known = _Read(cell, _definitions_in(cell))
            cache.put(key, known)
        return known.definitions

    async def _answer(self, asker: Asker, params: Params) -> dict[str, Any]:
        """`label.definitions`: what the labels of the cluster and of authors mean."""
        labels = [
            {**each.to_wire(), **({"fixed": True} if each.fixed else {})} for each in self.community.values()
        ]
        return {"labels": labels}


def _definitions_in(cell: bytes | None) -> Definitions:
    """What a labeller's cell defines; nothing, if there is none or another node sent something else."""
    try:
        return {} if cell is None else read_definitions(Cell.decode(cell).winner.body["value"])
    except (KeyError, WireError):
        return {}
