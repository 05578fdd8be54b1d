"""What this node does for other nodes: the methods of the peers' port.

Only nodes with a certificate of this cluster get here, so parameters are checked for shape and epochs, not
for good will; records are checked for form and signature all the same, because that is what a join promises.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Protocol

from folkmoot.node.contracts import CellBatch, LocalReplica, Put, Topology, pack_results
from folkmoot.node.environment import Executor
from folkmoot.node.fitting import fitting
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import digest_of
from folkmoot.protocol.errors import BAD_SIGNATURE, STALE_TOPOLOGY, UNKNOWN_METHOD, WireError
from folkmoot.protocol.key import kind_prefix
from folkmoot.protocol.record import Record, signature_holds
from folkmoot.protocol.ring.levels import parse_level
from msgspec import Meta, Struct

Claims = Annotated[list[tuple[int, int]], Meta(max_length=limits.MESSAGE_COLLECTION_ITEMS)]
Key = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)]
Keys = Annotated[list[Key], Meta(max_length=limits.MESSAGE_COLLECTION_ITEMS)]


class ReplicaPut(Struct):
    """`replica.put`: records for cells this node holds a slot of, judged by the sender's gate."""

    ranges: Claims
    puts: Annotated[list[tuple[bool, bytes, bytes]], Meta(max_length=limits.MESSAGE_COLLECTION_ITEMS)]
    level: str
    region: str


class ReplicaJoin(Struct):
    """`replica.join`: whole cells."""

    ranges: Claims
    cells: Annotated[list[tuple[Key, bytes]], Meta(max_length=limits.MESSAGE_COLLECTION_ITEMS)]


class ReplicaRead(Struct):
    """`replica.read`: cells, the first of them that fit a message; or digests, all of them."""

    ranges: Claims
    keys: Keys
    digests: bool = False


class ReplicaPage(Struct):
    """`replica.page`: a page of an author's posts."""

    ranges: Claims
    account: bytes
    limit: Annotated[int, Meta(ge=1, le=limits.PAGE_ITEMS)]
    before: bytes | None = None


class ReplicaProfile(Struct):
    """`replica.profile`: the cells of an account's profile."""

    ranges: Claims
    account: bytes


class EpochCheck(Protocol):
    """Refuses what was asked under other epochs than ours."""

    def check_epochs(self, ranges: Mapping[int, int], keys: list[bytes]) -> None: ...


class PeerService:
    """See the module.

    Args:
        replica: this node's own.
        epochs: checks claims.
        topology: caught up with when an asker turns out to know a newer epoch.
        executor: where signatures are verified.
        others: methods of other actors (gossip, topology, sync) by name, each taking the map.
    """

    def __init__(
        self,
        replica: LocalReplica,
        epochs: EpochCheck,
        topology: Topology,
        executor: Executor,
        others: Mapping[str, Callable[[bytes, Params], Awaitable[Any]]],
    ) -> None:
        self._replica = replica
        self._epochs = epochs
        self._topology = topology
        self._executor = executor
        self._methods: dict[str, Callable[[bytes, Params], Awaitable[Any]]] = {
            "replica.put": self._put,
            "replica.join": self._join,
            "replica.read": self._read,
            "replica.page": self._page,
            "replica.labels": self._labels,
            "replica.profile": self._profile,
            **others,
        }

    async def answer(self, node_id: bytes, method: str, params: Params) -> Any:
        """Answer one request of the peer `node_id`.

        Raises:
            WireError: to be sent back.
        """
        handler = self._methods.get(method)
        if handler is None:
            raise WireError(UNKNOWN_METHOD, f"nodes of this version have no method {method[:64]!r}")
        try:
            return await handler(node_id, params)
        except WireError as error:
            if not _asker_is_ahead(error, params):
                raise
        await self._topology.refresh(node_id)
        return await handler(node_id, params)

    async def _put(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, ReplicaPut, "replica.put")
        puts = [Put(Record(payload, signature), held) for held, payload, signature in asked.puts]
        self._epochs.check_epochs(dict(asked.ranges), [put.key for put in puts])
        records = [put.record for put in puts]
        if not await self._executor.run(
            lambda: all(signature_holds(r.device, r.signature, r.payload) for r in records)
        ):
            raise WireError(BAD_SIGNATURE, "a coordinator passed on a record whose signature does not hold")
        results = await self._replica.put(puts, parse_level(asked.level), asked.region)
        return pack_results(results)

    async def _join(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, ReplicaJoin, "replica.join")
        batch = CellBatch(
            dict(asked.ranges), [key for key, _ in asked.cells], [cell for _, cell in asked.cells]
        )
        self._epochs.check_epochs(batch.ranges, batch.keys)
        return {"changed": await self._replica.join(batch)}

    async def _read(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, ReplicaRead, "replica.read")
        self._epochs.check_epochs(dict(asked.ranges), asked.keys)
        cells = self._replica.read(asked.keys)
        if asked.digests:
            return {"cells": [digest_of(cell) for cell in cells]}
        return {"cells": cells[: fitting(len(cell or b"") for cell in cells)]}

    async def _page(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, ReplicaPage, "replica.page")
        self._epochs.check_epochs(dict(asked.ranges), [kind_prefix(asked.account, "post")])
        return self._replica.page(asked.account, asked.before, asked.limit).to_wire()

    async def _profile(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, ReplicaProfile, "replica.profile")
        self._epochs.check_epochs(dict(asked.ranges), [kind_prefix(asked.account, "profile")])
        return {"cells": self._replica.profile(asked.account)}

    async def _labels(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, ReplicaRead, "replica.labels")
        self._epochs.check_epochs(dict(asked.ranges), asked.keys)
        labels = [self._replica.labels(key) for key in asked.keys]
        return {"labels": labels[: fitting(sum(map(len, frames)) for frames in labels)]}


def _asker_is_ahead(error: WireError, params: Params) -> bool:
    """Whether a request was refused under an epoch that its sender knows and this node does not yet."""
    if error.kind is not STALE_TOPOLOGY or error.details is None or "ranges" not in params:
        return False
    claimed = dict(claim[:2] for claim in params["ranges"])
    return bool(claimed.get(error.details.get("range"), 0) > error.details.get("epoch", 0))
