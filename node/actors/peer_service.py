"""What this node does for other nodes: the methods of the peers' port.

Only nodes with a certificate of this cluster get here, so parameters are checked for shape and epochs, not
for good will; records are checked for form and signature all the same, because that is what a join promises.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol

import trio
from folkmoot.node.contracts import CellBatch, EpochCheck, Joined, LocalReplica, Put, PutResult
from folkmoot.node.environment import Executor
from folkmoot.node.fitting import fitting
from folkmoot.node.passes import Passes
from folkmoot.node.replica_results import pack_results
from folkmoot.node.rpc import wire_error
from folkmoot.protocol import codec, limits
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.outbox import gathered
from folkmoot.protocol.connection import Params, Request
from folkmoot.protocol.crdt.cell import digest_of
from folkmoot.protocol.errors import BAD_SIGNATURE, BUSY, STALE_TOPOLOGY, UNKNOWN_METHOD, WireError
from folkmoot.protocol.key import kind_prefix
from folkmoot.protocol.record import Record, signature_holds
from folkmoot.protocol.ring.levels import parse_level
from msgspec import Meta, Struct

JOIN: Final = "replica.join"

# What a node that does not count answers to nobody: see `protocol.standing`.
_COUNTED: Final = frozenset(
    {"replica.put", "replica.read", "replica.page", "replica.labels", "replica.profile"}
)

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
    """`replica.profile`: the fields of an account's profile."""

    ranges: Claims
    account: bytes


@dataclass(slots=True, eq=False)
class _Join:
    """A `replica.join` that waits for its pass."""

    link: Link
    msgid: int
    batch: CellBatch


class Epochs(Protocol):
    """Which epochs of ranges are known here."""

    def is_news(self, range_id: int, epoch: int) -> bool:
        """Whether a range is known only at older epochs, or not at all."""
        ...

    async def refresh(self, node_id: bytes) -> None:
        """Fetch newer descriptors from a peer that knows of some."""
        ...


class Standing(Protocol):
    """Whether this node's answers count."""

    @property
    def counted(self) -> bool: ...

    def signed(self, result: dict[str, Any]) -> dict[str, Any]:
        """The answer to a join, with what is to be known of who gives it."""
        ...


class PeerService:
    """See the module. `run` must be running for cells to be joined.

    Args:
        replica: this node's own.
        epochs: checks claims.
        topology: caught up with when an asker turns out to know a newer epoch.
        executor: where signatures are verified.
        standing: see `Standing`.
        others: methods of other actors (gossip, topology, sync) by name, each taking the map.
    """

    def __init__(
        self,
        replica: LocalReplica,
        epochs: EpochCheck,
        topology: Epochs,
        executor: Executor,
        standing: Standing,
        others: Mapping[str, Callable[[bytes, Params], Awaitable[Any]]],
    ) -> None:
        self._replica = replica
        self._epochs = epochs
        self._topology = topology
        self._executor = executor
        self._standing = standing
        self._joins: Passes[_Join] = Passes(
            self._join_all,
            lambda join: len(join.batch.keys),
            lambda join: join.link,
            most=limits.REPLICATION_BATCH_CELLS,
            under_way_most=limits.JOIN_PASSES_UNDER_WAY,
            moment_s=0.0,
        )
        self._methods: dict[str, Callable[[bytes, Params], Awaitable[Any]]] = {
            "replica.put": self._put,
            JOIN: self._join,
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
        if method in _COUNTED and not self._standing.counted:
            raise WireError(
                BUSY, "this replica does not know that it has all it acknowledged", retry_after_ms=250
            )
        try:
            return await handler(node_id, params)
        except WireError as error:
            if not self._asker_is_ahead(error, params):
                raise
        await self._topology.refresh(node_id)
        return await handler(node_id, params)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Join what peers send until cancelled."""
        await self._joins.run(task_status)

    def take_joins(self, link: Link, requests: list[Request]) -> list[Request]:
        """Have the cells of all `replica.join` joined together with what other links bring; the rest.

        What was sent under an epoch that is news here is left over too: it wants a task that catches up.
        """
        rest: list[Request] = []
        for request in requests:
            if request.method != JOIN:
                rest.append(request)
                continue
            try:
                self._joins.submit(_Join(link, request.msgid, self._batch_of(request.params)))
            except WireError as error:
                if self._asker_is_ahead(error, request.params):
                    rest.append(request)
                else:
                    link.refuse(request.msgid, error)
        return rest

    async def _join_all(self, joins: list[_Join]) -> None:
        """One pass."""
        try:
            answers: Sequence[Joined | WireError] = await self._replica.join_all(
                [join.batch for join in joins]
            )
        except Exception as error:
            answers = [wire_error(error, JOIN)] * len(joins)
        with gathered(dict.fromkeys(join.link.outbox for join in joins)):
            for join, answer in zip(joins, answers, strict=True):
                if isinstance(answer, WireError):
                    join.link.refuse(join.msgid, answer)
                else:
                    join.link.respond(join.msgid, self._standing.signed(answer.to_wire()))

    def _asker_is_ahead(self, error: WireError, params: Params) -> bool:
        """Whether a request was refused under an epoch that its sender knows and this node does not yet.

        After a split that may be one of a range that is not known here at all.
        """
        if error.kind is not STALE_TOPOLOGY or "ranges" not in params:
            return False
        return any(self._topology.is_news(*claim[:2]) for claim in params["ranges"])

    async def _put(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, ReplicaPut, "replica.put")
        puts = [Put(Record(payload, signature), held) for held, payload, signature in asked.puts]
        self._epochs.check_epochs(dict(asked.ranges), [put.key for put in puts])
        records = [put.record for put in puts]
        if not await self._executor.run(
            lambda: all(signature_holds(r.device, r.signature, r.payload) for r in records)
        ):
            raise WireError(BAD_SIGNATURE, "a coordinator passed on a record whose signature does not hold")
        results: dict[int, PutResult] = {}
        await self._replica.put(puts, parse_level(asked.level), asked.region, results.update)
        return pack_results([results[number] for number in range(len(puts))])

    async def _join(self, node_id: bytes, params: Params) -> dict[str, Any]:
        return self._standing.signed((await self._replica.join(self._batch_of(params))).to_wire())

    def _batch_of(self, params: Params) -> CellBatch:
        """What a `replica.join` brings.

        Raises:
            WireError: `bad_request`, `stale_topology`.
        """
        asked = codec.shaped(params, ReplicaJoin, JOIN)
        batch = CellBatch(
            dict(asked.ranges), [key for key, _ in asked.cells], [cell for _, cell in asked.cells]
        )
        self._epochs.check_epochs(batch.ranges, batch.keys)
        return batch

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
        return self._replica.profile(asked.account).to_wire()

    async def _labels(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, ReplicaRead, "replica.labels")
        self._epochs.check_epochs(dict(asked.ranges), asked.keys)
        labels = [self._replica.labels(key) for key in asked.keys]
        return {"labels": labels[: fitting(sum(map(len, frames)) for frames in labels)]}
