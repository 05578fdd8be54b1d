"""What one actor may ask of another, as narrow as it gets.

Actors never import each other. Each is handed objects of these shapes by `daemon`, the one file in which
they meet, so that any of them can be read, tested and replaced alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from folkmoot.protocol.client.link import OnReply
from folkmoot.protocol.client.outbox import Outbox
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.clock import Clock
from folkmoot.protocol.errors import BAD_REQUEST, FolkmootError, WireError
from folkmoot.protocol.feed.pages import PackedPage
from folkmoot.protocol.key import held_key
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from folkmoot.protocol.token import Token
from folkmoot.storage.profiles import StoredProfile


class PeerUnreachable(FolkmootError):
    """A peer could not be reached, or broke off, before it answered: what it did is not known."""


class Peers(Protocol):
    """Calls to other nodes, over authenticated links that are dialled when needed."""

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        """Send one request and return its result.

        Args:
            node_id: 16 bytes.
            method: `replica.join` and the like.
            params: one map.
            timeout_s: seconds for the whole exchange.

        Raises:
            WireError: the peer answered with an error.
            PeerUnreachable: no link, a broken link, or no answer in time.
        """
        ...


class LinkedPeers(Peers, Protocol):
    """Peers to whom a message may leave without a task."""

    def submit(
        self, node_id: bytes, method: str, params: Mapping[str, Any], on_reply: OnReply
    ) -> Callable[[], None] | None:
        """Send one request at once, if there is a link with room for it; no task waits for the answer.

        Args:
            node_id, method, params: as for `call`.
            on_reply: called once, with the answer or with why none will come; must not wait.

        Returns:
            What drops interest in the answer; None when nothing was sent, and `call` may wait for a link.
        """
        ...


class Liveness(Protocol):
    """Who is reachable, by gossip. Never decides who owns what."""

    def reachable(self, node_id: bytes) -> bool:
        """Alive, or merely suspected."""
        ...

    def alive(self, node_id: bytes) -> bool:
        """Alive and not suspected: asked first."""
        ...


class EpochCheck(Protocol):
    """Refuses what was asked under other epochs than ours."""

    def check_epochs(self, ranges: Mapping[int, int], keys: Sequence[bytes]) -> None: ...


class Topology(Protocol):
    """Who owns what, by epoch. Never decides who is reachable."""

    def where(self, key: bytes) -> RangeDescriptor:
        """The descriptor of the range that holds `key`."""
        ...

    def region_of(self, node_id: bytes) -> str: ...

    async def refresh(self, node_id: bytes) -> None:
        """Fetch newer descriptors from a peer that knows of some."""
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """Who brings the records.

    Args:
        address: the client's address, or of IPv6 its network, for quotas.
        exempt: an operator's import, which quotas do not slow.
    """

    address: str
    exempt: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """One record on its way into a cell.

    Args:
        record: read and verified.
        held: whether it waits for review, in the `held` cell beside its own.
    """

    record: Record
    held: bool = False

    @property
    def key(self) -> bytes:
        """The key of the cell it goes to."""
        return held_key(self.record.key) if self.held else self.record.key


class Coverage:
    """Who holds the records of one batch that share their slots; one object for all of them.

    Args:
        slots: of their ranges.
        acks: nodes known to hold them durably.
        region: the coordinator's.
    """

    def __init__(self, slots: Sequence[Slot], acks: frozenset[bytes], region: str) -> None:
        self.slots = slots
        self.acks = acks
        self.region = region

    @cached_property
    def achieved(self) -> dict[str, Any]:
        """The wire's `achieved`."""
        return levels.achieved(self.slots, self.acks, self.region)

    @cached_property
    def complete(self) -> bool:
        """Whether every slot has them."""
        return levels.satisfied("all", self.slots, self.acks, self.region)


@dataclass(frozen=True, slots=True)
class PutResult:
    """What became of one record of a put.

    Args:
        status: `stored`, `duplicate`, `held`, `refused` or `uncertain`.
        coverage: who holds it; None when nobody was asked to.
        error: for `refused` and `uncertain`.
        changed: whether the replica that took it had not had it yet, as far as is known.
    """

    status: str
    coverage: Coverage | None = None
    error: Mapping[str, Any] | None = None
    changed: bool = False


Settle = Callable[[Mapping[int, PutResult]], None]
"""Told the results of some puts, by their numbers, as they become known; of each put once. Must not wait."""


@dataclass(slots=True, eq=False)
class PutRequest:
    """One `record.put` of a client.

    Args:
        raw: at most 256 `[payload, signature]` as decoded.
        level: what to wait for.
        token: what the client had seen; returned grown.
        origin: who brings them.
        answer: called once, with the result of `record.put` or with why there is none; must not wait.
        outbox: where answers gather; None when each goes by itself.
    """

    raw: Sequence[Any]
    level: Level
    token: Token
    origin: Origin
    answer: Callable[[dict[str, Any] | WireError], None]
    outbox: Outbox | None = None


@dataclass(slots=True)
class CellBatch:
    """Whole cells on their way to a replica, with the epochs under which they are sent.

    Args:
        ranges: range id → epoch, for every range the cells belong to.
        keys: cell keys.
        cells: encoded cells, one a key.
    """

    ranges: dict[int, int]
    keys: list[bytes] = field(default_factory=list)
    cells: list[bytes] = field(default_factory=list)

    @property
    def cell_bytes(self) -> int:
        return sum(map(len, self.cells))

    def decoded(self) -> list[Cell]:
        """The cells, read.

        Raises:
            WireError: `bad_request`, when one is malformed or stands under another's key.
        """
        cells = [Cell.decode(data) for data in self.cells]
        for key, cell in zip(self.keys, cells, strict=True):
            if key not in (cell.key, held_key(cell.key)):
                raise WireError(BAD_REQUEST, "a cell was sent under another cell's key")
        return cells

    def to_wire(self) -> dict[str, Any]:
        return {
            "ranges": sorted(self.ranges.items()),
            "cells": list(zip(self.keys, self.cells, strict=True)),
        }


class Joined(NamedTuple):
    """What became of cells that were joined.

    Args:
        changed: how many cells are others than before.
        damaged: the keys at which what stands is damaged; of those nothing was kept.
        mark: the boot and change of who joined them; None here.
        counted: whether that one may fill its slots (see `protocol.standing`).
    """

    changed: int
    damaged: Sequence[bytes] = ()
    mark: tuple[int, int] | None = None
    counted: bool = True

    def to_wire(self) -> dict[str, Any]:
        """The result of `replica.join`."""
        return {"changed": self.changed, "damaged": list(self.damaged)}


@dataclass(frozen=True, slots=True)
class Read:
    """The answer to one read.

    Args:
        cells: encoded cells, one a key; None where nothing is known.
        achieved: the weakest `achieved` over the ranges read.
    """

    cells: list[bytes | None]
    achieved: dict[str, Any]


class Reading(Protocol):
    """Answers reads from as many replicas as their level needs."""

    async def get(self, keys: Sequence[bytes], level: Level, token: Token) -> Read: ...

    async def covers(self, node_id: bytes, clocks: Mapping[bytes, Clock]) -> bool:
        """Whether the cells that one replica holds cover these clocks, by key; not when it does not say."""
        ...

    async def labels(self, keys: Sequence[bytes]) -> dict[bytes, list[list[bytes]]]:
        """The label records on the posts with these keys, as `[payload, signature]`."""
        ...


class ProfileRead(NamedTuple):
    """What is told of an account.

    Args:
        fields: the shown value of each profile field, by its name.
        complete: whether these are all there are.
        followers: how many follow it.
        decisions: of the fields that are hidden, the decisions (`[payload, signature]`) that hide them.
    """

    fields: Mapping[str, Any]
    complete: bool
    followers: int
    decisions: Mapping[str, Sequence[Sequence[bytes]]]

    def as_seen(self, *, whole: bool) -> Mapping[str, Any]:
        """The fields that somebody sees.

        Args:
            whole: whether it is one who sees what is hidden, too.
        """
        if whole or not self.decisions:
            return self.fields
        return {name: value for name, value in self.fields.items() if name not in self.decisions}


class FeedReading(Protocol):
    """Answers reads of feeds and profiles."""

    def local_page(
        self, account: bytes, before: bytes | None, limit: int, level: Level, token: Token
    ) -> PackedPage | None: ...

    async def author_page(
        self, account: bytes, before: bytes | None, limit: int, level: Level, token: Token
    ) -> PackedPage: ...

    async def profile(self, account: bytes) -> ProfileRead: ...


class LocalReplica(Protocol):
    """This node's own replica, asked without a message."""

    async def put(self, puts: Sequence[Put], level: Level, region: str, settle: Settle) -> None: ...

    async def join(self, batch: CellBatch) -> Joined: ...

    async def join_all(self, batches: Sequence[CellBatch]) -> list[Joined | WireError]: ...

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]: ...

    def labels(self, key: bytes) -> list[bytes]: ...

    def profile(self, account: bytes) -> StoredProfile: ...

    def page(self, place: bytes, before: bytes | None, limit: int) -> PackedPage: ...


class Recounting(Protocol):
    """Works out anew what is derived from this node's cells."""

    async def recount(self, start: bytes, end: bytes) -> int:
        """Work out anew the sums of the blocks from `start` to before `end`; how many were wrong."""
        ...


class Replication(Protocol):
    """The streams of cells to other replicas."""

    def offer(self, node_id: bytes, batch: CellBatch, tally: Tally) -> list[CellBatch]:
        """Queue `batch` for `node_id`, to leave with the next `send`.

        Returns:
            The parts for which there is no room; they are to be offered again, late.
        """
        ...

    def send(self) -> None:
        """Have what was offered leave now."""
        ...

    async def offer_late(self, node_id: bytes, part: CellBatch, tally: Tally) -> None:
        """Queue a part once there is room; after a bounded wait leave hints instead."""
        ...


class Tally(Protocol):
    """Who has acknowledged one batch."""

    @property
    def slots(self) -> tuple[Slot, ...]: ...

    def expect(self, node_id: bytes) -> None: ...

    def settle(self, node_id: bytes, *, acknowledged: bool, damaged: Collection[bytes] = ()) -> None:
        """One part has been acknowledged, but for the cells at the keys `damaged`; or will not be."""
        ...

    def outdate(self, node_id: bytes) -> None:
        """The slots are others by now: what this node acknowledges does not count for these."""
        ...


def nodes_of(slots: Sequence[Slot]) -> tuple[bytes, ...]:
    """Every node that fills one of the slots, each once, in slot order."""
    return tuple(dict.fromkeys(node for slot in slots for node in slot.nodes))
