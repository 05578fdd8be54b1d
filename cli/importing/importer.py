"""An import from its first line to its last, or to where it was stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio
from folkmoot.cli.importing.authors import Authors
from folkmoot.cli.importing.checkpoint import (
    SAMPLE,
    Checkpoint,
    import_name,
    read_checkpoint,
    write_checkpoint,
)
from folkmoot.cli.importing.mapping import Mapper, Unusable, sign_planned
from folkmoot.cli.importing.sending import BATCHES_AT_ONCE, Batch, Frontier, Outgoing, Sender
from folkmoot.cli.importing.source import Line, Source, open_source
from folkmoot.cli.importing.tally import Report, Tally
from folkmoot.cli.journal import SUFFIX, Journal
from folkmoot.protocol.client import Client
from folkmoot.protocol.limits import RECORDS_PER_PUT

CHECKPOINT_S: Final = 1.0
STOP_S: Final = 10.0
LINES_PER_BATCH: Final = 1024  # passed over on resuming, or skipped, before others get a turn


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What to import, and how.

    Args:
        source: the file of posts.
        authors: whose keys sign.
        state: the directory of journal, checkpoint and report.
        cluster: the cluster's id.
        level: what a write waits for.
        limit: lines at most; None for all.
        batch_records: records sent together, at most 256.
        pause_s: between batches; more than 0 only where somebody watches.
        again: whether what an earlier run settled is sent again.
    """

    source: Path
    authors: Authors
    state: Path
    cluster: str
    level: str = "quorum"
    limit: int | None = None
    batch_records: int = RECORDS_PER_PUT
    pause_s: float = 0.0
    again: bool = False

    @property
    def name(self) -> str:
        return import_name(self.source, self.authors.fingerprint)


@dataclass(slots=True)
class ImportResult:
    """How an import ended.

    Args:
        tally: what was done.
        seconds: how long it took.
        stopped: whether it ended before its end: it was asked to, or a level was not reached for too long.
        journal: of the acknowledgements.
        report: of what was not simply stored; None when there is nothing to list.
    """

    tally: Tally
    seconds: float
    stopped: bool
    journal: Path
    report: Path | None


@dataclass(slots=True)
class Importer:
    """One run of an import.

    Args:
        client: connected; the operator's where there is one.
        plan: what to do.
        tally: may be watched while it runs.
    """

    client: Client
    plan: ImportPlan
    tally: Tally = field(default_factory=Tally)
    _stopping: bool = False
    _scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    def stop(self) -> None:
        """Send no more; `run` returns once what is on its way is settled, or after 10 s."""
        self._stopping = True
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + STOP_S)

    async def run(self) -> ImportResult:
        """Import until the end.

        Raises:
            SourceError: the file cannot be read.
            Unreachable, WireError: the cluster does not take it; run it again to go on.
            JournalError: what was acknowledged cannot be written down.
        """
        began = time.monotonic()
        plan, files = self.plan, _Files(self.plan.state, self.plan.name)
        plan.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        resume = await self._resume_after(files.checkpoint)
        with (
            open_source(plan.source) as source,
            Journal(files.journal, plan.cluster) as journal,
            Report(files.report, self.tally, fresh=resume.line == 0) as report,
        ):
            sender = Sender(self.client, plan.level, journal, report, self.tally)
            keeper = _Keeper(files.checkpoint, journal, resume, plan.level)
            complete = False
            try:
                complete = await self._run(source, sender, report, keeper)
            finally:
                keeper.end(forget=complete and self.tally.refused > 0)
            listed = report.file if report.exists else None
        return ImportResult(self.tally, time.monotonic() - began, self._stopping, journal.file, listed)

    async def _resume_after(self, file: Path) -> Checkpoint:
        """The checkpoint of an earlier run at this level, if the cluster has what it speaks of."""
        checkpoint = read_checkpoint(file)
        if checkpoint is None or checkpoint.level != self.plan.level or self.plan.again:
            return Checkpoint(0)
        if checkpoint.sample:
            cells = await self.client.get(checkpoint.sample, level=self.plan.level)
            if None in cells:
                return Checkpoint(0)
        return checkpoint

    async def _run(self, source: Source, sender: Sender, report: Report, keeper: _Keeper) -> bool:
        """Read, sign and send; whether everything was settled."""
        outbox, inbox = trio.open_memory_channel[Batch](0)
        with self._scope:
            async with trio.open_nursery() as nursery:
                for _ in range(BATCHES_AT_ONCE):
                    nursery.start_soon(self._send, sender, inbox.clone(), keeper)
                inbox.close()
                async with outbox:
                    for batch in self._batches(source, report, keeper.resumed_line):
                        await outbox.send(batch)
                        await trio.sleep(self.plan.pause_s)
        return not self._stopping and not self.tally.uncertain

    async def _send(self, sender: Sender, inbox: trio.MemoryReceiveChannel[Batch], keeper: _Keeper) -> None:
        async with inbox:
            async for batch in inbox:
                complete = await sender.send(batch)
                keeper.settled(batch, complete=complete)
                # What the cluster cannot do for one batch it will not do for the next.
                self._stopping = self._stopping or not complete

    def _batches(self, source: Source, report: Report, resumed_line: int) -> Iterator[Batch]:
        """The records of the source after `resumed_line`, signed as they are asked for."""
        mapper = Mapper(self.plan.authors)
        batch = Batch(0)
        for line in source.lines():
            if self._stopping or (self.plan.limit is not None and self.tally.read >= self.plan.limit):
                break
            self.tally.read += 1
            self.tally.bytes_read = source.position_bytes
            batch.add(line.number, self._outgoing(mapper, line, report, resumed_line))
            if batch.full or len(batch.records) >= self.plan.batch_records or batch.lines >= LINES_PER_BATCH:
                yield batch
                batch = Batch(batch.number + 1)
        if batch.lines:
            yield batch

    def _outgoing(self, mapper: Mapper, line: Line, report: Report, resumed_line: int) -> Outgoing | None:
        """The signed record of a line; None when an earlier run settled it, or it is skipped."""
        earlier = line.number <= resumed_line
        self.tally.resumed += earlier
        try:
            if line.entry is None:
                raise Unusable(line.problem)
            planned = mapper.plan(line.entry)
            record = None if earlier else sign_planned(planned)
        except Unusable as reason:
            if not earlier:
                self.tally.count("skipped")
                report.add(line.number, line.entry.id if line.entry else None, "skipped", str(reason))
            return None
        if record is None:
            return None
        self.tally.unreferenced += planned.unreferenced
        return Outgoing(line.number, planned.entry_id, record)


class _Files:
    """The files of one import, in its state directory."""

    def __init__(self, state: Path, name: str) -> None:
        self.journal = state / f"{name}{SUFFIX}"
        self.checkpoint = state / f"{name}.checkpoint"
        self.report = state / f"{name}.report.jsonl"


class _Keeper:
    """Keeps the checkpoint: never ahead of the journal on disk, and not written more often than needed."""

    def __init__(self, file: Path, journal: Journal, resume: Checkpoint, level: str) -> None:
        self._file = file
        self._journal = journal
        self._level = level
        self._frontier = Frontier(resume.line)
        self._sample = list(resume.sample)
        self._written_at = time.monotonic()
        self.resumed_line = resume.line

    def settled(self, batch: Batch, *, complete: bool) -> None:
        """A batch has its answers."""
        self._frontier.settle(batch, complete=complete)
        if batch.witness is not None:
            record = batch.witness
            self._sample = [*self._sample, (record.place, record.kind, record.item)][-SAMPLE:]
        if time.monotonic() - self._written_at >= CHECKPOINT_S:
            self._write()

    def end(self, *, forget: bool) -> None:
        """The run is over; `forget` says that the next one is to begin at the first line."""
        if forget:
            self._file.unlink(missing_ok=True)
        else:
            self._write()

    def _write(self) -> None:
        self._journal.sync()
        write_checkpoint(self._file, Checkpoint(self._frontier.line, self._level, self._sample))
        self._written_at = time.monotonic()
