"""The accounts of a run of load: made from a seed, following each other, and writing.

Equal seeds make, for the same graph, the same accounts and the same follows to the byte. So a cluster that
has them already is left as it is: how many it has is kept with them, in a profile field of the first account.
For another graph they are others, since no device says two things under one stamp.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any, Final

import trio
from folkmoot.cli.bench.graph import FollowGraph
from folkmoot.cli.bench.mixes import Action, Deed
from folkmoot.cli.bench.posts import RANDOM_BITS, TEXT_BYTES
from folkmoot.cli.bench.tally import ACKNOWLEDGED
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.progress import OnProgress
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client, PutResult

FOLLOWS_A_STEP: Final = 8_192
FOLLOWED_US: Final = (
    1_700_000_000_000_000  # when all follows were said, so that saying them again is a repeat
)
KEYS_KEPT: Final = 100_000


class People:
    """Accounts by rank.

    Args:
        seed: makes them.
        graph: who follows whom.
    """

    def __init__(self, seed: int, graph: FollowGraph) -> None:
        self.graph = graph
        self._seed = seed
        self._digest = graph.digest
        self.key = lru_cache(KEYS_KEPT)(self._key)
        self._last_us = 0

    def _key(self, rank: int) -> KeyPair:
        named = f"folkmoot bench {self._seed} {self._digest} {rank}"
        return KeyPair(hashlib.sha256(named.encode()).digest())

    def follow(self, number: int, follower: int, followee: int) -> Record:
        """The record of one follow of the graph."""
        return Record.sign(
            self.key(follower),
            kind="follow",
            item=self.key(followee).account,
            body={"on": True},
            stamp=FOLLOWED_US + number,
        )

    def post(self, actor: int, at_us: int, random: Random, **body: Any) -> Record:
        """A post by somebody."""
        stamp = self._last_us = max(at_us, self._last_us + 1)  # strictly increasing, whoever writes
        item = make_uuid7(stamp // 1000, random.getrandbits(RANDOM_BITS))
        body = {"text": "x" * TEXT_BYTES, **body}
        return Record.sign(self.key(actor), kind="post", item=item, body=body, stamp=stamp)

    def written(self, deed: Deed, began_us: int, random: Random, about: Record | None) -> Record:
        """The record that a deed writes.

        Args:
            deed: one that writes.
            began_us: when the run is to begin, microseconds since 1970.
            random: draws items.
            about: the post that reactions are about.
        """
        at_us = began_us + round(deed.due_s * 1e6)
        if deed.action is Action.POST:
            return self.post(deed.actor, at_us, random)
        assert about is not None, "a reaction is to something"
        if deed.action is Action.REPLY:
            ref = {"author": about.author, "item": about.item}
            return self.post(deed.actor, at_us, random, reply_to=ref, root=ref)
        key = self.key(deed.actor)
        stamp = self._last_us = max(at_us, self._last_us + 1)
        item = about.item + key.account
        return Record.sign(
            key, kind=str(deed.action), item=item, body={"on": True}, stamp=stamp, place=about.author
        )

    async def meet(self, clients: Sequence[Client], level: str, progress: OnProgress) -> tuple[int, int]:
        """Write the follows that the cluster does not have yet; how many were written, and were there.

        Args:
            clients: connected; writes are dealt out to them.
            level: what each write waits for.
            progress: told how many there are, and of how many.

        Raises:
            OperatorError: a follow was refused, or not kept as widely as asked.
        """
        total = len(self.graph)
        there = await self._noted(clients[0])
        progress(there, total)
        for start in range(there, total, FOLLOWS_A_STEP):
            stop = min(start + FOLLOWS_A_STEP, total)
            edges = enumerate(self.graph.edges(start, stop), start)
            await put_all(clients, [self.follow(number, *edge) for number, edge in edges], level)
            await put_all(clients[:1], [self._note(stop)], level)
            progress(stop, total)
        return total - there, there

    @property
    def _field(self) -> bytes:
        return f"bench-follows-{self._digest}".encode()

    async def _noted(self, client: Client) -> int:
        (cell,) = await client.get([(self.key(0).account, "profile", self._field)], level="quorum")
        if cell is None:
            return 0
        value = Record.from_wire(cell["records"][0]).body["value"]
        return value if type(value) is int and 0 <= value <= len(self.graph) else 0

    def _note(self, count: int) -> Record:
        stamp = time.time_ns() // 1000
        return Record.sign(self.key(0), kind="profile", item=self._field, body={"value": count}, stamp=stamp)


async def put_all(clients: Sequence[Client], records: Sequence[Record], level: str) -> None:
    """Write records, through all clients at once; all are kept, or nothing goes on.

    Raises:
        OperatorError: one was refused, or not kept as widely as asked.
        WireError: a whole request was refused.
        Unreachable: no node answered in time.
    """
    failures: list[Exception] = []

    async def put(client: Client, part: Sequence[Record]) -> None:
        try:
            frames = [(record.payload, record.signature) for record in part]
            for record, result in zip(part, await client.put_records(frames, level), strict=True):
                _check_kept(record, result)
        except Exception as error:
            failures.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for index, client in enumerate(clients):
            nursery.start_soon(put, client, records[index :: len(clients)])
    if failures:
        raise failures[0]


def _check_kept(record: Record, result: PutResult) -> None:
    if result.status not in ACKNOWLEDGED:
        reason = (result.error or {}).get("message", "no reason given")
        raise OperatorError(
            f"a {record.kind} that the run needs was {result.status}: {reason}",
            hint="folkmoot status; with an operator's key (--operator) there are no quotas",
        )
