"""What is kept of standings: a node's own, and the watermarks of the others, in the store's named values.

standing     [state, boot, [boot, change of the claim]]
watermarks   [[node id, boot, change, state], …], of each member of the roster at most one
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from folkmoot.node.commits import Commits
from folkmoot.protocol import codec
from folkmoot.protocol.standing import Mark, State, Watermark
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import Admission

_STANDING: Final = "standing"
_WATERMARKS: Final = "watermarks"


@dataclass(frozen=True, slots=True)
class Own:
    """A node's own standing, as it is kept.

    Args:
        state: see `protocol.standing`.
        boot: of this life.
        claim: what this life is judged by.
    """

    state: State
    boot: int
    claim: Mark


class StandingRecords:
    """See the module.

    Args:
        commits: the node's store.
    """

    def __init__(self, commits: Commits) -> None:
        self._commits = commits

    @property
    def commit(self) -> int:
        """The number of the latest durable change."""
        return self._commits.store.sequence

    def own(self) -> Own | None:
        return read_own(self._commits.store)

    def watermarks(self) -> dict[bytes, Watermark]:
        return read_watermarks(self._commits.store)

    async def keep_own(self, own: Own) -> None:
        await self._put(_STANDING, [own.state.value, own.boot, list(own.claim)])

    async def keep_watermarks(self, rows: Mapping[bytes, Watermark]) -> None:
        await self._put(_WATERMARKS, [[node, *row.mark, row.state.value] for node, row in rows.items()])

    async def _put(self, name: str, value: list[Any]) -> None:
        data = codec.pack(value)
        await self._commits.run(
            lambda transaction: transaction.meta_put(name, data), Admission.ESSENTIAL, urgent=True
        )


def read_own(store: Store) -> Own | None:
    """A node's own standing, as its store has it; None when it never had one."""
    data = store.meta_get(_STANDING)
    if data is None:
        return None
    state, boot, claim, *_ = codec.unpack(data)
    return Own(State(state), boot, Mark(*claim))


def read_watermarks(store: Store) -> dict[bytes, Watermark]:
    """What a store remembers of other nodes."""
    data = store.meta_get(_WATERMARKS)
    rows = [] if data is None else codec.unpack(data)
    return {node: Watermark(Mark(boot, commit), State(state)) for node, boot, commit, state in rows}


def opened(kept: Own | None, commit: int, boot: int) -> Own:
    """A node's standing at a start.

    A boot that was never proven leaves its claim as it was: what it wrote meanwhile proves nothing.

    Args:
        kept: of the boot before.
        commit: the number of the latest change the disk has.
        boot: of this boot.
    """
    if kept is None:
        return Own(State.UNPROVEN, boot, Mark(0, commit))
    boot = max(boot, kept.boot + 1)
    if kept.state is State.WHOLE:
        return Own(State.UNPROVEN, boot, Mark(kept.boot, commit))
    return Own(kept.state, boot, kept.claim)


def others_of(ranges: Iterable[Collection[bytes]], node_id: bytes) -> list[frozenset[bytes]]:
    """Of each range that `node_id` holds, given as its nodes, the others."""
    return [frozenset(nodes) - {node_id} for nodes in ranges if node_id in nodes]
