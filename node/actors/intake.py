"""The intake takes a client's records through the gate and hands on what passes.

In order: form, time, key, signature, quota, policy. Each record has its own result; one bad record does not
spoil the others. What the policy holds goes to its `held` cell, what it labels is accompanied by label
records that this node's service account signs. The result of a put says what became of each record, why,
and which token lets the client read it back from any node.

Anyone may bring anyone's record, again and again. So an account pays for what changed something, which is
known when the record has been put, and bringing a record again makes the same label again, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from folkmoot.node.accounts import AccountKeys
from folkmoot.node.contracts import Origin, Put, PutResult
from folkmoot.node.environment import Environment
from folkmoot.node.signatures import check_signatures
from folkmoot.protocol import limits
from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.crdt.clock import Clock
from folkmoot.protocol.errors import BAD_REQUEST, BAD_SIGNATURE, BUSY, REVOKED_KEY, WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.label import KIND as LABEL
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.moderation.verdict import Action, Verdict
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.token import Token

BUSY_RETRY_MS = 100


class Gate(Protocol):
    """Quota and policy."""

    def judge_batch(
        self, records: Sequence[Record], account_exempt: bool, address: str, now: float
    ) -> list[Verdict | WireError]: ...

    def settle_batch(
        self,
        records: Sequence[Record],
        changed: Sequence[bool],
        account_exempt: bool,
        address: str,
        now: float,
    ) -> None: ...


class Coordination(Protocol):
    """Brings puts to their replicas."""

    async def put(self, puts: Sequence[Put], level: Level) -> list[PutResult]: ...


@dataclass(slots=True)
class _Entry:
    """One record on its way through."""

    id: bytes
    record: Record | None = None
    error: WireError | None = None
    verdict: Verdict | None = None
    puts: list[int] = field(default_factory=list)


class Intake:
    """See the module.

    Args:
        environment: time and threads.
        gate: quota and policy.
        coordination: where accepted records go.
        accounts: which keys may write.
        service: this node's key pair, which signs labels.
        now: monotonic seconds.
    """

    def __init__(
        self,
        environment: Environment,
        gate: Gate,
        coordination: Coordination,
        accounts: AccountKeys,
        service: KeyPair,
        now: Callable[[], float],
    ) -> None:
        self._environment = environment
        self._gate = gate
        self._coordination = coordination
        self._accounts = accounts
        self._service = service
        self._now = now
        self._in_work = 0

    async def put(self, raw: Sequence[Any], level: Level, token: Token, origin: Origin) -> dict[str, Any]:
        """Take in records; the result of `record.put`.

        Args:
            raw: at most 256 `[payload, signature]` as decoded.
            level: what to wait for.
            token: what the client had seen; returned grown.
            origin: who brings them.

        Raises:
            WireError: `busy`, when more than a bounded number of records are in work for all clients.
        """
        if self._in_work + len(raw) > limits.RECORDS_IN_INTAKE:
            raise WireError(BUSY, "this node has too many records in work", retry_after_ms=BUSY_RETRY_MS)
        self._in_work += len(raw)
        try:
            return await self._take_in(raw, level, token, origin)
        finally:
            self._in_work -= len(raw)

    async def _take_in(
        self, raw: Sequence[Any], level: Level, token: Token, origin: Origin
    ) -> dict[str, Any]:
        entries = self._read(raw)
        await self._verify(entries)
        self._judge(entries, origin)
        results: list[PutResult] = []
        try:
            puts = self._puts(entries)
            if puts:
                results = await self._coordination.put(puts, level)
        finally:
            self._settle(entries, results, origin)
        return {
            "results": [self._to_wire(entry, results) for entry in entries],
            "token": self._grow(token, puts, results).encode(),
        }

    def _read(self, raw: Sequence[Any]) -> list[_Entry]:
        latest_us = self._environment.wall.now_us() + limits.STAMP_AHEAD_US
        entries = []
        for value in raw:
            try:
                record = Record.from_wire(value)
            except WireError as error:
                entries.append(_Entry(_id_of(value), error=error))
                continue
            entry = _Entry(record.id, record)
            entry.error = _ahead(record, latest_us) or self._wrong_key(record)
            entries.append(entry)
        return entries

    def _wrong_key(self, record: Record) -> WireError | None:
        if self._accounts.may_write(record.author, record.device):
            return None
        return WireError(REVOKED_KEY, "signer is not a valid key of the author's account")

    async def _verify(self, entries: Sequence[_Entry]) -> None:
        records = [entry.record for entry in entries if entry.record is not None and entry.error is None]
        verdicts = iter(await check_signatures(records, self._environment.executor))
        for entry in entries:
            if entry.record is not None and entry.error is None and not next(verdicts):
                entry.error = WireError(BAD_SIGNATURE, "the signature does not fit payload and signer")

    def _judge(self, entries: Sequence[_Entry], origin: Origin) -> None:
        passing = [entry for entry in entries if entry.error is None]
        records = [entry.record for entry in passing if entry.record is not None]
        judged = self._gate.judge_batch(records, origin.exempt, origin.address, self._now())
        for entry, verdict in zip(passing, judged, strict=True):
            if isinstance(verdict, WireError):
                entry.error = verdict
            else:
                entry.verdict = verdict

    def _puts(self, entries: Sequence[_Entry]) -> list[Put]:
        """What is to be stored: the record, or its held form, and the labels that go with it."""
        puts: list[Put] = []
        for entry in entries:
            record, verdict = entry.record, entry.verdict
            if record is None or entry.error is not None or verdict is None:
                continue
            entry.puts.append(len(puts))
            puts.append(Put(record, held=verdict.action is Action.HOLD))
            if record.deleted:
                # A version that waits for review is erased as well, and none can come to wait later.
                puts.append(Put(record, held=True))
            if record.kind == "post" and verdict.action is not Action.HOLD:
                puts.extend(Put(label) for label in self._labels(record, verdict))
        return puts

    def _settle(self, entries: Sequence[_Entry], results: Sequence[PutResult], origin: Origin) -> None:
        """Have accounts pay for what changed something; of what was broken off, nobody knows that it did."""
        records: list[Record] = []
        changed: list[bool] = []
        for entry in entries:
            if entry.record is not None and entry.verdict is not None:
                records.append(entry.record)
                changed.append(bool(results) and results[entry.puts[0]].changed)
        self._gate.settle_batch(records, changed, origin.exempt, origin.address, self._now())

    def _labels(self, record: Record, verdict: Verdict) -> list[Record]:
        return [self._sign_label(record, label) for label in self._wanted(record, verdict)]

    def _wanted(self, record: Record, verdict: Verdict) -> list[Label]:
        return [
            Label.from_finding(
                finding,
                policy=verdict.policy,
                post_item=record.item,
                subject_id=record.id,
                labeller=self._service.account,
            )
            for finding in verdict.labels
        ]

    def _sign_label(self, record: Record, label: Label) -> Record:
        """Sign a label, under the stamp of what it is about: an edit's label supersedes that of the version
        before, and judging one version twice says the same twice."""
        return Record.sign(
            self._service,
            kind=LABEL,
            item=label.item,
            body=label.body(),
            stamp=record.stamp,
            place=record.author,
        )

    def _to_wire(self, entry: _Entry, results: Sequence[PutResult]) -> dict[str, Any]:
        wire: dict[str, Any] = {"id": entry.id}
        if entry.verdict is not None and entry.verdict.decisive is not None:
            wire["verdict"] = entry.verdict.to_wire()
        if entry.error is not None:
            wire |= {"status": "refused", "achieved": None, "error": entry.error.to_wire()}
            return wire
        result = results[entry.puts[0]]
        held = entry.verdict is not None and entry.verdict.action is Action.HOLD
        wire["status"] = "held" if held and result.status in ("stored", "duplicate") else result.status
        wire["achieved"] = None if result.coverage is None else result.coverage.achieved
        if result.error is not None:
            wire["error"] = dict(result.error)
        return wire

    def _grow(self, token: Token, puts: Sequence[Put], results: Sequence[PutResult]) -> Token:
        """Add what not every slot has confirmed, and forget what all have."""
        unconfirmed: list[tuple[bytes, Clock]] = []
        confirmed: list[tuple[bytes, Clock]] = []
        for put, result in zip(puts, results, strict=True):
            if result.status not in ("stored", "duplicate", "uncertain"):
                continue
            complete = result.coverage is not None and result.coverage.complete
            (confirmed if complete else unconfirmed).append((put.key, {put.record.device: put.record.stamp}))
        if confirmed and token.cells:
            token = token.without(confirmed)
        return token.join(Token.of(unconfirmed)) if unconfirmed else token


def _id_of(value: Any) -> bytes:
    """The id of what could not be read, so that a client can still tell which of its records is meant."""
    payload = value[0] if isinstance(value, list | tuple) and value else None
    return hashlib.sha256(payload).digest() if isinstance(payload, bytes) else b""


def _ahead(record: Record, latest_us: int) -> WireError | None:
    """A clock more than five minutes ahead of ours would win every later edit."""
    newest_us = max((record.stamp, *record.seen.values()))
    if newest_us > latest_us:
        seconds = (newest_us - latest_us + limits.STAMP_AHEAD_US) // 1_000_000
        return WireError(
            BAD_REQUEST,
            f"stamp or seen is {seconds} s ahead of this node's clock; at most 300 s are accepted",
            details={"node_time_us": latest_us - limits.STAMP_AHEAD_US},
        )
    if record.kind == "post" and post_time_ms(record.item) * 1000 > latest_us:
        return WireError(BAD_REQUEST, "the post's UUIDv7 is more than 5 minutes ahead of this node's clock")
    return None
