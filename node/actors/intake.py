"""The intake takes clients' records through the gate and hands on what passes.

What all clients bring travels together, in passes (see `passes`): one look at all signatures, one commit,
one message to each peer. Each request is answered by itself, as soon as its own records have their results.

In order: form, time, key, role, quota, signature, quota, policy. The first look at the quota has the address
pay for the checking of signatures, whatever comes of it; the second is for the account, which nothing but its
own signature can charge. Each record has its own result; one bad record does not spoil the others. What the
policy holds goes to its `held` cell, what it labels is accompanied by label records that this node's service
account signs, and what it holds by the reason (see `moderation.statements`). The result of a put says what
became of each record, why, and which token lets the client read it back from any node.

Anyone may bring anyone's record, again and again. So an account pays for what changed something, which is
known when the record has been put, and bringing a record again makes the same label again, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import trio
from folkmoot.node.ahead import ahead
from folkmoot.node.contracts import Put, PutRequest, PutResult
from folkmoot.node.environment import Executor, WallClock
from folkmoot.node.examining import examine
from folkmoot.node.intake_contracts import Coordination, Gate, Keys
from folkmoot.node.moderation.lookups import LookedUp
from folkmoot.node.moderation.statements import statements_of
from folkmoot.node.passes import Passes, PassStatistics
from folkmoot.node.rpc import wire_error
from folkmoot.node.spread import HELD
from folkmoot.protocol import limits
from folkmoot.protocol.client.outbox import gathered
from folkmoot.protocol.crdt.clock import Clock
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.bounds import JUDGING_MOMENT_S
from folkmoot.protocol.moderation.verdict import Action, Finding, Verdict
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.token import Token

PUT: Final = "record.put"
BUSY_RETRY_MS: Final = 100
_UNDER_REVIEW: Final = Finding(
    Action.HOLD,
    "under-review",
    "A decision holds back what this replaces, so a person looks at it first.",
)


@dataclass(slots=True)
class _Entry:
    """One record on its way through."""

    id: bytes
    record: Record | None = None
    error: WireError | None = None
    verdict: Verdict | None = None
    puts: list[int] = field(default_factory=list)

    def passing(self) -> list[Record]:
        """The record, as long as nothing is wrong with it."""
        return [] if self.record is None or self.error is not None else [self.record]


@dataclass(slots=True, eq=False)
class _InWork:
    """One request on its way through.

    Args:
        request: as it came.
        entries: its records, read.
        puts: what is stored of them, labels included.
        results: of the puts, as they become known.
        unsettled: how many results are to come.
    """

    request: PutRequest
    entries: list[_Entry]
    puts: list[Put] = field(default_factory=list)
    results: list[PutResult | None] = field(default_factory=list)
    unsettled: int = 0


Finish = Callable[[Sequence[_InWork]], None]
"""Answers requests whose puts all have their results."""


class Intake:
    """See the module. `run` must be running.

    Args:
        wall: judges stamps.
        executor: where signatures are verified.
        gate: quota and policy.
        coordination: where accepted records go.
        keys: which keys may sign.
        service: this node's key pair, which signs what the gate says.
        now: monotonic seconds.
        admit: see `pressure.Throttle.admit`.
        refusal: see `deciders.Deciders.refusal`.
        judged: told what the gate judged and what changed something; operators' imports are not told of.
    """

    def __init__(
        self,
        wall: WallClock,
        executor: Executor,
        gate: Gate,
        coordination: Coordination,
        keys: Keys,
        service: KeyPair,
        now: Callable[[], float],
        admit: Callable[[int], int],
        refusal: Callable[[Record], WireError | None],
        judged: Callable[[Sequence[tuple[Record, Verdict]]], None],
    ) -> None:
        self._wall = wall
        self._executor = executor
        self._gate = gate
        self._coordination = coordination
        self._keys = keys
        self._service = service
        self._now = now
        self._admit = admit
        self._refusal = refusal
        self._judged = judged
        self._in_work = 0
        self._in_work_for: Counter[str] = Counter()
        self._passes: Passes[_InWork] = Passes(
            self._carry,
            lambda work: len(work.entries),
            lambda work: work.request.origin.address,
            most=limits.PASS_RECORDS,
            under_way_most=limits.PASSES_UNDER_WAY,
            moment_s=limits.PASS_MOMENT_S,
        )

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry what is submitted until cancelled."""
        await self._passes.run(task_status)

    def statistics(self) -> PassStatistics:
        """How many passes have carried how many requests."""
        return self._passes.statistics()

    def submit(self, request: PutRequest) -> None:
        """Take in the records of one request; it is answered when each has its result.

        Raises:
            WireError: `busy`, when too many records are in work for all clients or for this one's address, or
                feeds are too far behind.
        """
        count, origin = len(request.raw), request.origin
        if self._in_work + count > limits.RECORDS_IN_INTAKE:
            raise WireError(BUSY, "this node has too many records in work", retry_after_ms=BUSY_RETRY_MS)
        theirs = self._in_work_for[origin.address] + count
        if theirs > limits.RECORDS_IN_INTAKE_PER_ADDRESS and not origin.exempt:
            raise WireError(
                BUSY, "too many records from your address are in work", retry_after_ms=BUSY_RETRY_MS
            )
        if wait_ms := self._admit(count):
            raise WireError(BUSY, "this node's feeds are too far behind", retry_after_ms=wait_ms)
        self._in_work += count
        self._in_work_for[origin.address] += count
        self._passes.submit(_InWork(request, self._read(request.raw)))

    async def _carry(self, works: list[_InWork]) -> None:
        """Take the requests of one pass through; however that ends, each is answered."""
        waiting = dict.fromkeys(works)

        def finish(finished: Sequence[_InWork]) -> None:
            answers = [self._result_of(work) for work in finished]
            outboxes = (work.request.outbox for work in finished if work.request.outbox is not None)
            with gathered(dict.fromkeys(outboxes)):
                for work, answer in zip(finished, answers, strict=True):
                    del waiting[work]
                    self._end(work, answer)

        try:
            for work in works:
                self._look_at(work)
            entries = [entry for work in works for entry in work.entries]
            await self._verify(entries)
            looked_up = await self._gate.look_up([each for entry in entries for each in entry.passing()])
            await self._judge(works, looked_up)
            for work in works:
                work.puts = self._puts(work.entries)
                work.results = [None] * len(work.puts)
                work.unsettled = len(work.puts)
            await self._keys.take([put.record for work in works for put in work.puts])
            finish([work for work in works if not work.puts])
            await self._put(list(waiting), finish)
        except Exception as error:
            for work in waiting:
                self._end(work, wire_error(error, PUT))

    async def _put(self, works: Sequence[_InWork], finish: Finish) -> None:
        """Bring the puts to their levels; those of one level do not wait for those of another."""
        by_level: dict[Level, list[_InWork]] = {}
        for work in works:
            by_level.setdefault(work.request.level, []).append(work)
        if len(by_level) == 1:
            await self._put_at(works[0].request.level, works, finish)
            return
        async with trio.open_nursery() as nursery:
            for level, group in by_level.items():
                nursery.start_soon(self._put_at, level, group, finish)

    async def _put_at(self, level: Level, works: Sequence[_InWork], finish: Finish) -> None:
        places = [(work, number) for work in works for number in range(len(work.puts))]

        def settle(results: Mapping[int, PutResult]) -> None:
            finished = []
            for number, result in results.items():
                work, place = places[number]
                work.results[place] = result
                work.unsettled -= 1
                if not work.unsettled:
                    finished.append(work)
            finish(finished)

        await self._coordination.put([work.puts[place] for work, place in places], level, settle)

    def _end(self, work: _InWork, answer: dict[str, Any] | WireError) -> None:
        """Have accounts pay, let the records go, and answer."""
        self._in_work -= len(work.entries)
        address = work.request.origin.address
        self._in_work_for[address] -= len(work.entries)
        if not self._in_work_for[address]:
            del self._in_work_for[address]
        self._settle(work)
        work.request.answer(answer)

    def _read(self, raw: Sequence[Any]) -> list[_Entry]:
        latest_us = self._wall.now_us() + limits.STAMP_AHEAD_US
        entries = []
        for value in raw:
            try:
                record = Record.from_wire(value)
            except WireError as error:
                entries.append(_Entry(_id_of(value), error=error))
                continue
            entry = _Entry(record.id, record)
            entry.error = (
                ahead(record, latest_us)
                or self._keys.refusal(record.author, record.device)
                or self._refusal(record)
            )
            entries.append(entry)
        return entries

    def _look_at(self, work: _InWork) -> None:
        """Turn away what is over the quota before it costs a signature."""
        origin = work.request.origin
        readable = [entry for entry in work.entries if entry.error is None]
        records = [entry.record for entry in readable if entry.record is not None]
        limited = self._gate.look_at_batch(records, origin.exempt, origin.address, self._now())
        for entry, error in zip(readable, limited, strict=True):
            entry.error = error

    async def _verify(self, entries: Sequence[_Entry]) -> None:
        records = [entry.record for entry in entries if entry.record is not None and entry.error is None]
        found = iter(await examine(records, self._executor))
        for entry in entries:
            if entry.record is not None and entry.error is None:
                entry.error = next(found)

    async def _judge(self, works: Sequence[_InWork], looked_up: LookedUp) -> None:
        """Have all records judged, and let others go first whenever that has taken a moment."""
        spent_s = self._executor.spent_s
        ends_s = spent_s() + JUDGING_MOMENT_S
        for work in works:
            while (more := self._judge_some(work, looked_up)) or spent_s() > ends_s:
                await trio.lowlevel.checkpoint()
                ends_s = spent_s() + JUDGING_MOMENT_S
                if not more:
                    break

    def _judge_some(self, work: _InWork, looked_up: LookedUp) -> bool:
        """Have some records judged that are not; returns whether there are more."""
        origin = work.request.origin
        passing = [entry for entry in work.entries if entry.error is None and entry.verdict is None]
        records = [record for entry in passing for record in entry.passing()]
        told = origin.exempt, origin.address, self._now()
        judged = self._gate.judge_batch(records, *told, looked_up)
        for entry, verdict in zip(passing, judged, strict=False):
            if isinstance(verdict, WireError):
                entry.error = verdict
            else:
                entry.verdict = verdict
        return len(judged) < len(records)

    def _puts(self, entries: Sequence[_Entry]) -> list[Put]:
        """What is to be stored: the record, or its held form, and what the gate says of it."""
        puts: list[Put] = []
        for entry in entries:
            record, verdict = entry.record, entry.verdict
            if record is None or entry.error is not None or verdict is None:
                continue
            entry.puts.append(len(puts))
            puts.append(Put(record, held=verdict.action is Action.HOLD))
            if record.takes_back:
                # A version that waits for review is erased as well, and none can come to wait later.
                puts.append(Put(record, held=True))
            puts += statements_of(record, verdict, self._service)
        return puts

    def _settle(self, work: _InWork) -> None:
        """Have accounts pay for what changed something; of what was broken off, nobody knows that it did."""
        records: list[Record] = []
        changed: list[bool] = []
        judged: list[tuple[Record, Verdict]] = []
        held: list[bool] = []
        for entry in work.entries:
            if entry.record is not None and entry.verdict is not None:
                result = work.results[entry.puts[0]] if entry.puts else None
                records.append(entry.record)
                changed.append(result is not None and result.changed)
                judged += [(entry.record, entry.verdict)] if changed[-1] else []
                held.append(entry.verdict.action is Action.HOLD)
        origin = work.request.origin
        if not origin.exempt:
            self._judged(judged)
        self._gate.settle_batch(records, changed, held, origin.exempt, origin.address, self._now())

    def _result_of(self, work: _InWork) -> dict[str, Any]:
        """The result of `record.put`."""
        results = [result for result in work.results if result is not None]
        assert len(results) == len(work.puts), "a request is answered when all its puts are settled"
        return {
            "results": [_to_wire(entry, results) for entry in work.entries],
            "token": _grown(work.request.token, work.puts, results).encode(),
        }


def _to_wire(entry: _Entry, results: Sequence[PutResult]) -> dict[str, Any]:
    wire: dict[str, Any] = {"id": entry.id}
    if entry.verdict is not None and entry.verdict.decisive is not None:
        wire["verdict"] = entry.verdict.to_wire()
    if entry.error is not None:
        wire |= {"status": "refused", "achieved": None, "error": entry.error.to_wire()}
        return wire
    result = results[entry.puts[0]]
    if result.status == HELD and entry.verdict is not None:
        wire["verdict"] = Verdict(entry.verdict.policy, _UNDER_REVIEW).to_wire()
    held = entry.verdict is not None and entry.verdict.action is Action.HOLD
    wire["status"] = "held" if held and result.status in ("stored", "duplicate") else result.status
    wire["achieved"] = None if result.coverage is None else result.coverage.achieved
    if result.error is not None:
        wire["error"] = dict(result.error)
    return wire


def _grown(token: Token, puts: Sequence[Put], results: Sequence[PutResult]) -> Token:
    """The token with what not every slot has confirmed, and without what all have."""
    unconfirmed: list[tuple[bytes, Clock]] = []
    confirmed: list[tuple[bytes, Clock]] = []
    for put, result in zip(puts, results, strict=True):
        if result.status not in ("stored", "duplicate", "uncertain"):
            continue
        if result.error is not None and result.error.get("details", {}).get("held"):
            continue  # it is not where it was meant to be, and cannot be waited for there
        complete = result.coverage is not None and result.coverage.complete
        (confirmed if complete else unconfirmed).append((put.key, {put.record.device: put.record.stamp}))
    if confirmed and token.cells:
        token = token.without(confirmed)
    return token.join(Token.of(unconfirmed)) if unconfirmed else token


def _id_of(value: Any) -> bytes:
    """The id of what could not be read, so that a client can still tell which of its records is meant."""
    payload = value[0] if isinstance(value, list | tuple) and value else None
    return hashlib.sha256(payload).digest() if isinstance(payload, bytes) else b""
