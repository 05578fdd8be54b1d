"""Load on a cluster over several connections, in one of two ways.

*Closed loop*: each connection keeps a fixed number of requests unanswered. That finds how much is taken, and
says little about delay: whoever waits for answers before asking again spares the other side whenever it is
slow.

*Open loop*: requests are due at exponentially distributed times, whether or not earlier ones have been
answered, and a latency counts from when its request was *due*. A stall then counts for everything it held up
(there is no coordinated omission), also for requests that could not even be sent in time.

Nothing here runs per post but the counting: requests go out on the clients' own links, and answers come back
as calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, NamedTuple

import trio
from folkmoot.cli.bench.links import PATIENCE_S, PAUSE_S, link_with_room, write_down
from folkmoot.cli.bench.tally import LoadTally
from folkmoot.cli.journal import Journal
from folkmoot.protocol.client import Client, LinkBroken
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import Reply, result_of
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.record import Record

PAGE_ITEMS: Final = 50
WARM_BATCH: Final = 256


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What to ask for.

    Args:
        level: what a write waits for.
        seconds: how long new requests are due.
        rate: posts and pages a second over all connections; None for a closed loop.
        batch: posts in one request, 1 to 256.
        window: requests that one connection keeps unanswered in a closed loop.
        read_share: the share of pages among posts and pages, from 0 to below 1.
    """

    level: str
    seconds: float
    rate: float | None
    batch: int
    window: int
    read_share: float

    @property
    def page_share(self) -> float:
        """The share of pages among requests: a page is one, and so is a whole batch of posts."""
        puts = (1 - self.read_share) / self.batch
        return self.read_share / (self.read_share + puts)

    @property
    def requests_per_s(self) -> float | None:
        """Requests a second over all connections; None for a closed loop."""
        if self.rate is None:
            return None
        return self.rate * (self.read_share + (1 - self.read_share) / self.batch)


class _Request(NamedTuple):
    method: str
    params: dict[str, Any]
    records: Sequence[Record]


class Load:
    """One run of load.

    Args:
        clients: one a connection, connected.
        plan: what to ask for.
        posts: signed; the run ends early when they are used up.
        random: draws arrivals and whom to read.
        journal: where acknowledgements are written down; None for nowhere.
    """

    def __init__(
        self,
        clients: Sequence[Client],
        plan: LoadPlan,
        posts: Sequence[Record],
        random: Random,
        journal: Journal | None,
    ) -> None:
        self.tally = LoadTally()
        self.plan = plan
        self._clients = clients
        self._posts = posts
        self._next_post = 0
        self._random = random
        self._journal = journal
        self._unanswered = 0
        self._answered = trio.Event()
        self._sending = trio.CancelScope()
        self._stopped = False

    @property
    def used_up(self) -> bool:
        """Whether the run ran out of signed posts."""
        return self._next_post >= len(self._posts)

    def stop(self) -> None:
        """Ask for nothing more; `run` returns once what is asked is answered."""
        self._stopped = True
        self._sending.cancel()

    async def warm(self, count: int) -> None:
        """Store the first `count` posts without measuring, so that there is something to read."""
        first, self._next_post = self._next_post, min(count, len(self._posts))
        records = self._posts[first : self._next_post]
        for start in range(0, len(records), WARM_BATCH):
            batch = records[start : start + WARM_BATCH]
            results = await self._clients[0].put_records(
                [(record.payload, record.signature) for record in batch], self.plan.level
            )
            self._write_down(
                [
                    (record, result.status, result.achieved)
                    for record, result in zip(batch, results, strict=True)
                ]
            )

    async def run(self) -> float:
        """Ask until the plan's time is over, and wait for the answers; the seconds that it all took."""
        began = trio.current_time()
        ends = began + self.plan.seconds
        with self._sending:
            async with trio.open_nursery() as nursery:
                for client in self._clients:
                    if self.plan.rate is None:
                        self._sending.deadline = ends
                        nursery.start_soon(self._closed, client)
                    else:
                        # What was due in time is sent, however late, or it would be missing from the figures.
                        self._sending.deadline = ends + PATIENCE_S
                        nursery.start_soon(self._open, client, self._arrivals(began, ends))
        with trio.move_on_after(PATIENCE_S):
            while self._unanswered:
                self._answered = trio.Event()
                await self._answered.wait()
        self.tally.unanswered += self._unanswered
        return max(self.tally.last_s - began, 0.0)

    async def _closed(self, client: Client) -> None:
        """Keep `window` requests unanswered on one connection until posts are used up."""
        free = trio.Semaphore(self.plan.window)
        requests = self._requests()
        failed = 0
        while True:
            await free.acquire()
            if self.tally.failed.total() > failed:
                failed = self.tally.failed.total()
                await trio.sleep(PAUSE_S)
            link = await link_with_room(client, self.tally.failed)
            request = next(requests, None)
            if link is None or request is None:
                return
            self._submit(link, request, trio.current_time(), free)

    async def _open(self, client: Client, arrivals: Iterator[float]) -> None:
        """Submit requests when they are due: this connection's part of all arrivals."""
        try:
            for due, request in zip(arrivals, self._requests(), strict=False):
                await trio.sleep_until(due)
                link = await link_with_room(client, self.tally.failed)
                if link is None:
                    return
                self._submit(link, request, due, None)
        finally:
            if not self._stopped:
                self.tally.unanswered += sum(1 for _ in arrivals)

    def _arrivals(self, began: float, ends: float) -> Iterator[float]:
        """When one connection's requests are due, on trio's clock."""
        assert self.plan.requests_per_s is not None
        rate = self.plan.requests_per_s / len(self._clients)
        due = began
        while (due := due + self._random.expovariate(rate)) < ends:
            yield due

    def _requests(self) -> Iterator[_Request]:
        """Batches of posts not sent yet, and pages of accounts that have some, in the plan's proportion."""
        while not self.used_up:
            if self._random.random() < self.plan.page_share:
                author = self._posts[self._random.randrange(max(1, self._next_post))].author
                yield _Request("feed.author", {"account": author, "limit": PAGE_ITEMS}, ())
                continue
            records = self._posts[self._next_post : self._next_post + self.plan.batch]
            self._next_post += len(records)
            frames = [record.to_wire() for record in records]
            yield _Request("record.put", {"records": frames, "level": self.plan.level}, records)

    def _submit(self, link: Link, request: _Request, due: float, free: trio.Semaphore | None) -> None:
        """Send one request; its answer is counted from `due`, and then frees a place in the window."""

        def on_reply(reply: Reply) -> None:
            self._unanswered -= 1
            self._count(request, reply, due)
            self._answered.set()
            if free is not None:
                free.release()

        self._unanswered += 1
        link.submit(request.method, request.params, on_reply)

    def _count(self, request: _Request, reply: Reply, due: float) -> None:
        now = self.tally.last_s = trio.current_time()
        try:
            result = result_of(reply)
        except WireError as error:
            self.tally.failed[error.kind.name] += 1
        except LinkBroken:
            self.tally.failed["link_broken"] += 1
        else:
            (self.tally.put_s if request.records else self.tally.page_s).append(now - due)
            answers = [(each["status"], each.get("achieved")) for each in result.get("results", ())]
            self.tally.statuses.update(status for status, _ in answers)
            self._write_down(
                [(record, *answer) for record, answer in zip(request.records, answers, strict=True)]
            )

    def _write_down(self, answers: Sequence[tuple[Record, str, Any]]) -> None:
        """Journal what was promised: (record, status, achieved) each."""
        if self._journal is not None:
            write_down(self._journal, answers, self.plan.level)
