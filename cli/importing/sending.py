"""Sending records: batches of 256, several on their way at once, and in the end every one settled.

Batches may be answered in any order; the frontier knows up to which line everything before has been
settled, and only that is resumed from.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import trio
from folkmoot.cli.errors import Unreachable
from folkmoot.cli.importing.tally import Report, Tally
from folkmoot.cli.journal import Acknowledged, Journal
from folkmoot.protocol import limits
from folkmoot.protocol.client import Client, LinkBroken, PutResult
from folkmoot.protocol.client import Unreachable as NoNodeAnswers
from folkmoot.protocol.errors import RATE_LIMITED, WireError
from folkmoot.protocol.record import Record

BATCHES_AT_ONCE: Final = 4
BATCH_BYTES: Final = limits.MESSAGE_BYTES // 2
PATIENCE_S: Final = 60.0
PAUSE_S: Final = 0.25
ACKNOWLEDGED: Final = ("stored", "duplicate", "held")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record on its way.

    Args:
        line: of the source.
        entry_id: of its entry.
        record: signed.
    """

    line: int
    entry_id: str
    record: Record


@dataclass(slots=True)
class Batch:
    """Records that are sent together.

    Args:
        number: consecutive, from 0.
        records: at most 256.
        lines: of the source that went into it, those without a record included.
        last_line: every line up to this one is in this batch or an earlier one.
        size_bytes: of the records.
        witness: one of its records that the cluster has stored.
    """

    number: int
    records: list[Outgoing] = field(default_factory=list)
    lines: int = 0
    last_line: int = 0
    size_bytes: int = 0
    witness: Record | None = None

    def add(self, line: int, outgoing: Outgoing | None) -> None:
        """Take in the next line, and its record if it has one."""
        self.lines += 1
        self.last_line = line
        if outgoing is not None:
            self.records.append(outgoing)
            self.size_bytes += len(outgoing.record.payload) + limits.SIGNATURE_BYTES

    @property
    def full(self) -> bool:
        return len(self.records) >= limits.RECORDS_PER_PUT or self.size_bytes >= BATCH_BYTES


class Frontier:
    """Up to which line everything is settled, when batches are settled in any order."""

    def __init__(self, line: int) -> None:
        self.line = line
        self._next = 0
        self._settled: dict[int, tuple[int, bool]] = {}

    def settle(self, batch: Batch, *, complete: bool) -> None:
        """A batch has its answers; an incomplete one (something stayed uncertain) is never passed."""
        self._settled[batch.number] = batch.last_line, complete
        while (found := self._settled.get(self._next)) is not None and found[1]:
            del self._settled[self._next]
            self.line = found[0]
            self._next += 1


class Sender:
    """Brings batches to the cluster and writes down what it promised.

    Args:
        client: connected.
        level: what a write waits for.
        journal: of acknowledgements.
        report: of everything else.
        tally: counts both.
        patience_s: how long a batch is sent again before what is left of it is given up as uncertain.
    """

    def __init__(
        self,
        client: Client,
        level: str,
        journal: Journal,
        report: Report,
        tally: Tally,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._client = client
        self._level = level
        self._journal = journal
        self._report = report
        self._tally = tally
        self._patience_s = patience_s

    async def send(self, batch: Batch) -> bool:
        """Send a batch until it is settled; whether nothing of it stayed uncertain.

        Raises:
            Unreachable: no node answered for all the patience there is.
            WireError: a whole request was refused, and sending it again cannot help.
        """
        left: Sequence[Outgoing] = batch.records
        deadline = trio.current_time() + self._patience_s
        complete = True
        while left:
            results = await self._put(left, deadline)
            patient = trio.current_time() < deadline
            again = [not result.done and (patient or _rate_limited(result)) for result in results]
            answered = [
                pair for pair, later in zip(zip(left, results, strict=True), again, strict=True) if not later
            ]
            self._settle(batch, answered)
            complete = complete and all(result.done for _, result in answered)
            left = [outgoing for outgoing, later in zip(left, again, strict=True) if later]
            if left:
                if answered or all(map(_rate_limited, results)):
                    deadline = trio.current_time() + self._patience_s  # it goes on, however slowly
                await trio.sleep(PAUSE_S)
        return complete

    async def _put(self, records: Sequence[Outgoing], deadline: float) -> list[PutResult]:
        """Ask once more as long as nobody answers and there is time."""
        frames = [(outgoing.record.payload, outgoing.record.signature) for outgoing in records]
        while True:
            try:
                return await self._client.put_records(frames, self._level)
            except WireError as error:
                if not error.kind.retryable or trio.current_time() >= deadline:
                    raise
            except (LinkBroken, NoNodeAnswers) as error:
                if trio.current_time() >= deadline:
                    raise Unreachable(
                        str(error), hint="run the same import again: it goes on here"
                    ) from error
            await trio.sleep(PAUSE_S)

    def _settle(self, batch: Batch, answered: Sequence[tuple[Outgoing, PutResult]]) -> None:
        """Count final answers, list what was not simply stored, and journal what was promised."""
        time_us = time.time_ns() // 1000
        promised: list[Acknowledged] = []
        for outgoing, result in answered:
            status = result.status if result.done else "uncertain"
            self._tally.count(status)
            if status in ACKNOWLEDGED:
                level = (result.achieved or {}).get("level", self._level)
                promised.append(
                    Acknowledged.of(outgoing.record, held=status == "held", level=level, time_us=time_us)
                )
            if status in ("stored", "duplicate"):
                batch.witness = outgoing.record
            else:
                self._report.add(outgoing.line, outgoing.entry_id, status, _reason(result))
        self._journal.append(promised)


def _rate_limited(result: PutResult) -> bool:
    return not result.done and result.error is not None and result.error.get("name") == RATE_LIMITED.name


def _reason(result: PutResult) -> str:
    """What the cluster said about a record that it did not simply store."""
    if result.error is not None:
        return str(result.error.get("message", result.error.get("name", "no reason given")))
    verdict = result.verdict or {}
    return str(verdict.get("reason") or verdict.get("rule") or "no reason given")
