"""The check: every replica read alone, compared byte by byte, and held against what was acknowledged.

First it waits until the cluster has come to rest: no hints wait for nodes that are there, nothing is queued,
no store changes. Ranges that still differ are compared again until the deadline, because repair may be on
its way; what differs then has diverged. A range with a replica that cannot be read is not compared, and that
counts as failure: a green check that checked nothing is worse than none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio
from folkmoot.cli.checking.judging import Finding, Judge, Judgement, Violation
from folkmoot.cli.checking.replicas import NotReadable, Replica, Replicas
from folkmoot.cli.errors import OperatorError, Unreachable
from folkmoot.cli.journal import Acknowledged, read_journal
from folkmoot.protocol.client import Client
from folkmoot.protocol.limits import PAGE_ITEMS
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.ranges import RangeDescriptor

REST_POLL_S: Final = 0.2
RETRY_S: Final = 0.5
FEEDS_AT_ONCE: Final = 16
FINDINGS_TOLD: Final = 50


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found.

    Args:
        acknowledged: different records in the journals.
        compared: of those, how many were judged on every replica.
        could_not_compare: acknowledged records, and ranges without any, that were not.
        findings: the broken promises.
        replicas, ranges: how many were read.
        silent: names of nodes that do not answer.
        at_rest: whether the cluster came to rest before the deadline.
        seconds: how long it took.
    """

    acknowledged: int
    compared: int
    could_not_compare: int
    findings: Sequence[Finding]
    replicas: int
    ranges: int
    silent: Sequence[str]
    at_rest: bool
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every promise was found kept."""
        return not self.findings and not self.could_not_compare and self.compared == self.acknowledged > 0

    def summary(self) -> dict[str, Any]:
        """For `--json`."""
        counted = Counter(finding.violation for finding in self.findings)
        return {
            **{violation.value: counted[violation] for violation in Violation},
            "compared": self.compared,
            "could_not_compare": self.could_not_compare,
            "acknowledged": self.acknowledged,
            "passed": self.passed,
            "replicas": self.replicas,
            "ranges": self.ranges,
            "silent": list(self.silent),
            "at_rest": self.at_rest,
            "seconds": round(self.seconds, 3),
            "findings": [
                {"violation": finding.violation.value, "key": finding.key, "sentence": finding.sentence}
                for finding in self.findings[:FINDINGS_TOLD]
            ],
        }


class Promises:
    """The acknowledged records of some journals, by the range and key where they should be."""

    def __init__(self, entries: Iterable[Acknowledged]) -> None:
        distinct = {(entry.key, entry.id): entry for entry in entries}
        self.count = len(distinct)
        self.devices = {entry.device for entry in distinct.values()}
        self.by_key: dict[bytes, list[Acknowledged]] = {}
        for entry in distinct.values():
            for key in entry.keys:
                self.by_key.setdefault(key, []).append(entry)

    def by_range(self, ranges: Sequence[RangeDescriptor]) -> list[list[bytes]]:
        """The keys in each range, in order."""
        starts = [owner.start for owner in ranges]
        keys: list[list[bytes]] = [[] for _ in ranges]
        for key in self.by_key:
            keys[bisect_right(starts, key) - 1].append(key)
        return [sorted(found) for found in keys]


def read_promises(journals: Sequence[Path], cluster: str) -> Promises:
    """The promises in journals.

    Raises:
        JournalError: one of them cannot be read, or is of another cluster.
        OperatorError: nothing was acknowledged in any of them.
    """
    promises = Promises(entry for file in journals for entry in read_journal(file, cluster))
    if not promises.count:
        raise OperatorError(
            f"no acknowledged record of cluster {cluster} in {len(journals)} journals: nothing to check",
            hint="folkmoot import FILE, or --journal FILE",
        )
    return promises


class Checker:
    """One check.

    Args:
        replicas: the nodes.
        promises: what to hold them against.
        deadline_s: how long to wait for rest, and for ranges that differ to become equal.
    """

    def __init__(self, replicas: Replicas, promises: Promises, deadline_s: float) -> None:
        self._reached = dict(replicas.reached)
        self._silent = dict(replicas.silent)
        self._promises = promises
        self._deadline_s = deadline_s
        self._judge = Judge(promises.by_key, promises.devices)

    async def run(self) -> CheckResult:
        """Check everything.

        Raises:
            WireError: a node does not take us for an operator.
            OperatorError: the ranges changed meanwhile.
            Unreachable: no node answers any more.
        """
        began = trio.current_time()
        deadline = began + self._deadline_s
        at_rest = await self._wait_for_rest(deadline)
        if not self._reached:
            raise Unreachable("no node answers any more", hint="folkmoot cluster ls")
        ranges = await next(iter(self._reached.values())).ranges()
        judgements = await self._judge_ranges(ranges, deadline)
        last = Judgement()
        self._judge.judge_held(last)
        await self._judge_feeds(last)
        judgements.append(last)
        return CheckResult(
            acknowledged=self._promises.count,
            compared=sum(judgement.compared for judgement in judgements),
            could_not_compare=sum(judgement.unreadable for judgement in judgements),
            findings=[finding for judgement in judgements for finding in judgement.findings],
            replicas=len(self._reached),
            ranges=len(ranges),
            silent=sorted(self._silent.values()),
            at_rest=at_rest,
            seconds=trio.current_time() - began,
        )

    async def _wait_for_rest(self, deadline: float) -> bool:
        """Wait until no node owes another, and no store changes from one look to the next."""
        before: list[int] | None = None
        while trio.current_time() < deadline:
            figures = await self._figures()
            owed = any(self._owes(figure) for figure in figures)
            now = [figure["store"]["sequence"] for figure in figures]
            if not owed and now == before:
                return True
            before = now
            await trio.sleep(REST_POLL_S)
        return False

    async def _figures(self) -> list[dict[str, Any]]:
        found = []
        for replica in list(self._reached.values()):
            try:
                found.append(await replica.figures())
            except NotReadable as failure:
                self._give_up(failure)
        return found

    def _give_up(self, failure: NotReadable) -> None:
        """Ask a node that has gone no more: each question would wait for its deadline."""
        if failure.gone and self._reached.pop(failure.replica.node_id, None) is not None:
            self._silent[failure.replica.node_id] = failure.replica.name

    def _owes(self, figures: Mapping[str, Any]) -> bool:
        hints = sum(count for node, count in figures["hints"].items() if bytes.fromhex(node) in self._reached)
        return bool(hints or figures["replication"]["queued"])

    async def _judge_ranges(self, ranges: Sequence[RangeDescriptor], deadline: float) -> list[Judgement]:
        """Judge every range; those that differ again until they are equal or time is up."""
        keys = self._promises.by_range(ranges)
        judgements: dict[int, Judgement] = {}
        waiting = list(range(len(ranges)))
        while waiting:
            for index in waiting:
                judgements[index] = await self._judge_range(ranges[index], keys[index])
            waiting = [index for index in waiting if judgements[index].diverged]
            if trio.current_time() >= deadline:
                break
            await trio.sleep(RETRY_S if waiting else 0)
        return list(judgements.values())

    async def _judge_range(self, owner: RangeDescriptor, keys: Sequence[bytes]) -> Judgement:
        """Judge one range; nothing of it is compared unless all of its replicas can be read."""
        if all(node in self._reached for node in owner.nodes()):
            try:
                return await self._walk(owner, keys)
            except NotReadable as failure:
                self._give_up(failure)
        return Judgement(unreadable=len(keys) or 1)

    async def _walk(self, owner: RangeDescriptor, keys: Sequence[bytes]) -> Judgement:
        """Walk one range on all its replicas side by side."""
        replicas = [self._reached[node] for node in owner.nodes()]
        judgement = Judgement()
        promised = deque(keys)
        async for end, cells in side_by_side(replicas, owner.start, owner.end):
            present = set().union(*cells.values())
            while promised and (end is None or promised[0] <= end):
                present.add(promised.popleft())
            for key in sorted(present):
                self._judge.judge(key, {name: found.get(key) for name, found in cells.items()}, judgement)
        return judgement

    async def _judge_feeds(self, into: Judgement) -> None:
        """Read the feeds of all authors whose posts were acknowledged, spread over the nodes."""
        accounts = iter(sorted(self._judge.shown))
        clients = [replica.client for replica in self._reached.values()]
        if not clients:
            return

        async def read(client: Client) -> None:
            for account in accounts:
                items = [
                    Record.from_wire(item["record"]).item
                    async for page in client.author_feed(account, limit=PAGE_ITEMS)
                    for item in page.items
                ]
                self._judge.judge_feed(account, items, into)

        async with trio.open_nursery() as nursery:
            for index in range(FEEDS_AT_ONCE):
                nursery.start_soon(read, clients[index % len(clients)])


async def side_by_side(
    replicas: Sequence[Replica], start: bytes, end: bytes
) -> AsyncIterator[tuple[bytes | None, dict[str, dict[bytes, bytes]]]]:
    """Stretches of a range with every replica's cells in them, by name and key.

    Each stretch ends where the shortest of the replicas' pages ends: with that key, or None at the end of
    the range.
    """
    while True:
        pages = {replica.name: await replica.cells(start, end) for replica in replicas}
        last = min((page[-1][0] for page in pages.values() if page), default=None)
        cells = {
            name: {key: data for key, data in page if last is None or key <= last}
            for name, page in pages.items()
        }
        yield last, cells
        if last is None:
            return
        start = last + b"\0"
