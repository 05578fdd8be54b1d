"""Two nodes that differ, for the repairer: each with a store of its own, and a wire that can be spoilt."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import trio
from folkmoot.node.actors.repairer import Repairer
from folkmoot.node.actors.replica import Replica
from folkmoot.node.contracts import CellBatch
from folkmoot.node.live.proofs import Proofs
from folkmoot.node.rpc import wire_error
from folkmoot.node.simulation.surroundings import InlineExecutor, SimulatedWallClock
from folkmoot.node.upkeep import Upkeep
from folkmoot.protocol import codec
from folkmoot.protocol.limits import MIB
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.storage.transaction import Admission

from tests.node.alone import Commits, Gossip, Ranges, disks_first
from tests.node.doubles import NoReplication
from tests.storage.making import cells_of, person, post
from tests.waiting import until

HERE, THERE, OTHER = b"h" * 16, b"t" * 16, b"o" * 16
BOUNDS = (b"\x40", b"\x80", b"\xc0")
INTERVAL_S = 10.0
ROUNDS_S = 10 * INTERVAL_S

Tamper = Callable[[Any], Any]


class Wire:
    """What is between the nodes; what is said on it is packed and unpacked, as on any other.

    Attributes:
        asked: (whom, what), in order.
        errors: method → what the next calls of it end with instead of an answer.
        tampers: method → what is done to the answers.
        before: called before each call, with whom and what.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, str]] = []
        self.errors: dict[str, deque[Exception]] = defaultdict(deque)
        self.tampers: dict[str, Tamper] = {}
        self.before: Callable[[bytes, str], Awaitable[None]] | None = None
        self.methods: dict[bytes, Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]] = {}

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        self.asked.append((node_id, method))
        await trio.lowlevel.checkpoint()
        if self.before is not None:
            await self.before(node_id, method)
        if self.errors[method]:
            raise self.errors[method].popleft()
        try:
            answer = await self.methods[node_id][method](HERE, codec.unpack(codec.pack(dict(params))))
        except Exception as error:
            raise wire_error(error, method) from error
        answer = codec.unpack(codec.pack(answer))
        return self.tampers[method](answer) if method in self.tampers else answer

    def count(self, method: str) -> int:
        return sum(asked == method for _, asked in self.asked)


class Side:
    """One node: its store, and the repairer over it."""

    def __init__(
        self, node_id: bytes, topology: Ranges, gossip: Gossip, wire: Wire, disks: trio.Nursery
    ) -> None:
        self.commits = Commits(node_id, disks)
        self.replica = Replica(
            node_id,
            self.commits,
            topology,
            gossip,
            NoReplication(),
            InlineExecutor(),
            SimulatedWallClock(0),
            frozenset,
        )
        self.upkeep = Upkeep(self.commits, InlineExecutor())
        wall = SimulatedWallClock(0)
        self.proofs = Proofs(lambda: self.commits.store.sequence, wall)
        self.repairer = Repairer(
            node_id,
            lambda: topology.map,
            self.commits.store.view,
            self.replica,
            self.upkeep,
            topology,
            gossip,
            wire,
            InlineExecutor(),
            Random(1),
            INTERVAL_S,
            self.proofs,
        )

    async def keep(self, *records: Record) -> None:
        await self.commits.run(
            lambda transaction: [transaction.put_record(record) for record in records], Admission.CLIENT_PUT
        )

    def cells(self) -> dict[bytes, bytes]:
        return cells_of(self.commits.store)

    def cells_of(self, owner: RangeDescriptor) -> dict[bytes, bytes]:
        return dict(self.commits.store.cells_between(owner.start, owner.end, limit=100, bytes_max=MIB))

    async def answer_join(self, node_id: bytes, params: Any) -> dict[str, Any]:
        pairs = params["cells"]
        batch = CellBatch(dict(params["ranges"]), [key for key, _ in pairs], [cell for _, cell in pairs])
        return (await self.replica.join(batch)).to_wire()


class Pair:
    """A node, and the other whose store it is to be made equal to. A third has nothing to say."""

    def __init__(self, disks: trio.Nursery) -> None:
        self.topology = Ranges((HERE, THERE, OTHER), BOUNDS)
        self.gossip = Gossip()
        self.gossip.gone.add(OTHER)
        self.wire = Wire()
        self.here = Side(HERE, self.topology, self.gossip, self.wire, disks)
        self.there = Side(THERE, self.topology, self.gossip, self.wire, disks)
        self.wire.methods[THERE] = {
            "replica.join": self.there.answer_join,
            **self.there.repairer.methods(),
        }
        self.wire.methods[OTHER] = {"sync.compare": self._nothing_differs}

    async def part(self) -> None:
        """In every range each has something the other has not, and of one cell they have different states."""
        for number, accounts in ACCOUNTS.items():
            one, other, both = (person(account) for account in accounts)
            await self.here.keep(post(one, 1), post(one, 2), post(both, 1))
            await self.there.keep(post(other, 1), post(other, 2), post(both, 1, "edited", stamp=2))
            assert {self.topology.where(post(each, 1).key).id for each in (one, other, both)} == {number}

    def equal(self, *but: int) -> bool:
        """Whether both hold the same, and all of it, but for some ranges, which are not looked at."""
        owners = [owner for owner in self.topology.map.ranges if owner.id not in but]
        return all(
            len(ours) == 5 and ours == self.there.cells_of(owner)
            for owner in owners
            for ours in [self.here.cells_of(owner)]
        )

    async def until_equal(self, *but: int) -> None:
        await until(lambda: self.equal(*but), what="both to be equal", within_s=ROUNDS_S)

    async def until_compared(self, times: int) -> None:
        """Wait until so many comparisons have come to their end, whatever that was."""
        await until(lambda: self.wire.count("sync.compare") > times, what="the rounds", within_s=ROUNDS_S)

    async def _nothing_differs(self, node_id: bytes, params: Any) -> Any:
        return {"different": []}


def accounts_by_range() -> dict[int, list[int]]:
    """Three accounts in each of the ranges."""
    found: dict[int, list[int]] = {number: [] for number in range(len(BOUNDS) + 1)}
    for number in range(1, 200):
        accounts = found[Ranges((HERE,), BOUNDS).where(post(person(number), 1).key).id]
        if len(accounts) < 3:
            accounts.append(number)
    return found


ACCOUNTS = accounts_by_range()


@asynccontextmanager
async def pair(*, running: bool = True) -> AsyncIterator[Pair]:
    """Two that differ in every range; unsupervised, so that whatever ends the repairer fails the test."""
    async with disks_first() as (disks, actors):
        made = Pair(disks)
        await made.part()
        if running:
            actors.start_soon(made.here.repairer.run)
        yield made
