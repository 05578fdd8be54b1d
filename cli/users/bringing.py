"""An archive's way into another cluster: see `schedule` for the order of things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import trio
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.exit_codes import DEGRADED
from folkmoot.cli.progress import OnProgress
from folkmoot.cli.users.archive_files import Contents, count, items_of
from folkmoot.cli.users.archived_media import MediaBringer
from folkmoot.cli.users.changing import explained
from folkmoot.cli.users.schedule import Step, steps
from folkmoot.node.data_directory import replace_file
from folkmoot.protocol.accounts.actions import BY_OPERATORS
from folkmoot.protocol.accounts.archive import ArchiveReader
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.errors import (
    CONFLICT,
    FORBIDDEN,
    RATE_LIMITED,
    REVOKED_KEY,
    UNAUTHENTICATED,
    WireError,
)
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.key import KINDS_PRIVATE
from folkmoot.protocol.limits import KEYS_PER_GET
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client, PutResult

WINDOW_RECORDS: Final = 1024
WINDOW_BYTES: Final = 8 * 1024 * 1024
BREATH_ITEMS: Final = 4096
PATIENCE_S: Final = 60.0
PAUSE_S: Final = 0.5
_OF_KEYS: Final = frozenset({REVOKED_KEY.name, FORBIDDEN.name})


class Checkpoint(msgspec.Struct):
    """How far an archive has been brought into a cluster.

    Args:
        done: the keys, in hexadecimal, whose records are all there.
        devices: those that are being brought.
        records: how many of theirs are there, in the order of the archive.
    """

    done: list[str] = []
    devices: list[str] = []
    records: int = 0


@dataclass(slots=True)
class Brought:
    """What became of an import.

    Args:
        statuses: how many records are `stored`, `duplicate`, `held`, `refused` or were `settled` before.
        operations: how many were made.
        reasons: why records were refused, with how many.
        left_out: why the account's last operations could not be made; empty when they could.
        media: how many of the archive's are there, of records that were not there before.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    operations: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    left_out: str = ""
    media: int = 0

    @property
    def complete(self) -> bool:
        """Whether all of the archive is there now."""
        return not self.left_out and not self.statuses["refused"]


@dataclass
class Importer:
    """Brings one archive.

    Args:
        client: of the cluster; the operator's where there is one.
        file: the archive, which was checked.
        contents: what the check has found in it.
        level: what writes wait for.
        checkpoint_file: remembers how far it is; None to remember nothing.
        progress: told of records.
        note: told what takes long.
    """

    client: Client
    file: Path
    contents: Contents
    level: str
    checkpoint_file: Path | None
    progress: OnProgress
    note: Callable[[str], None]
    brought: Brought = field(default_factory=Brought)
    _checkpoint: Checkpoint = field(default_factory=Checkpoint)

    def __post_init__(self) -> None:
        self._media = MediaBringer(self.client, self.file, self.contents.media, self.level)

    async def run(self) -> Brought:
        """Bring all of it; the same again goes on where it broke off.

        Raises:
            OperatorError: the account has gone another way there, or the level was not reached for long.
            WireError, Unreachable: the cluster does not take it.
        """
        archived = self.contents.chain
        there = (await self.client.account_history(archived.account, current=True)).chain()
        self._read_checkpoint()
        for step in steps(there, archived, self.contents.devices):
            await self._bring(step)
            if step.operation is not None and not self.brought.left_out:
                await self._make(step.operation)
        self.brought.media = len(self._media.brought)
        self.brought.reasons += self._media.reasons
        return self.brought

    async def _make(self, operation: Operation) -> None:
        """Do to the account what was done to it where it comes from."""
        while True:
            try:
                await self.client.account_change(operation)
            except WireError as error:
                if error.kind is RATE_LIMITED:
                    wait_s = (error.retry_after_ms or 1000) / 1000
                    self.note(f"the cluster takes few changes a minute: waiting {wait_s:.0f} s for the next")
                    await trio.sleep(wait_s)
                    continue
                self.brought.left_out = self._reason(operation, error)
                return
            self.brought.operations += 1
            return

    def _reason(self, operation: Operation, error: WireError) -> str:
        """Why an operation cannot be made there and the archive still can be brought in part.

        Raises:
            WireError, OperatorError: it is not that.
        """
        named = f"operation {operation.number} ({operation.action.name})"
        if isinstance(operation.action, BY_OPERATORS) and error.kind in (UNAUTHENTICATED, FORBIDDEN):
            operator = account_to_text(operation.signer)
            return f"{named} was signed by an operator elsewhere, {operator}, and is not taken here"
        if error.kind is CONFLICT and "handle" in (error.details or {}):
            return f"{named} cannot be made here: {error.message}"
        raise explained(error, operation.account) from error

    async def _bring(self, step: Step) -> None:
        """Put the records of some keys, window by window."""
        done = frozenset(bytes.fromhex(name) for name in self._checkpoint.done)
        self._settle("settled", sum(self.contents.devices[key] for key in step.devices & done))
        names = sorted(key.hex() for key in step.devices - done)
        if not names:
            return
        if self._checkpoint.devices != names:
            self._checkpoint.devices, self._checkpoint.records = names, 0
        wanted = {bytes.fromhex(name) for name in names}
        skipped = self._checkpoint.records
        self._settle("settled", skipped)
        for window in _windows(self._records(wanted, skipped)):
            if not window:
                await trio.lowlevel.checkpoint()  # so that the link lives on over a long way to the next one
                continue
            await self._media.bring(window)
            for wave in _waves(window):
                await self._put(wave)
            self._checkpoint.records += len(window)
            self._write_checkpoint()
        self._checkpoint.done += names
        self._checkpoint.devices, self._checkpoint.records = [], 0
        self._write_checkpoint()

    def _records(self, devices: set[bytes], skipped: int) -> Iterator[Record | None]:
        """The records of some keys but for the first ones; None now and then, on the way to the next."""
        reader = ArchiveReader(trusting=True)
        for number, item in enumerate(items_of(self.file, reader, lambda done, total: None), 1):
            if isinstance(item, Record) and item.device in devices:
                if not skipped:
                    yield item
                    continue
                skipped -= 1
            if number % BREATH_ITEMS == 0:
                yield None

    async def _put(self, records: Sequence[Record]) -> None:
        """Put records until each is settled.

        Raises:
            OperatorError: some were not for a minute in which none was.
        """
        left = list(records)
        deadline = trio.current_time() + PATIENCE_S
        while left:
            results = await self.client.put_records(
                [(each.payload, each.signature) for each in left], self.level
            )
            open_: list[tuple[Record, PutResult]] = []
            for record, result in zip(left, results, strict=True):
                if result.done and result.status != "refused":
                    self._settle(result.status)
                else:
                    open_.append((record, result))
            refused = [pair for pair in open_ if pair[1].done]
            again = await self._there_or_refused(refused) if refused else []
            passing = [record for record, result in open_ if not result.done]
            if len(passing) + len(again) < len(left):
                deadline = trio.current_time() + PATIENCE_S
            elif trio.current_time() >= deadline:
                raise self._stalled(open_)
            left = passing + again
            if left:
                await trio.sleep(PAUSE_S)

    async def _there_or_refused(self, refused: Sequence[tuple[Record, PutResult]]) -> list[Record]:
        """Settle what was refused: what is there already is there, whatever has become of its key.

        Returns:
            Those that are to be put again, since not every node has heard yet that their key is good.
        """
        again: list[Record] = []
        present = await self._present([record for record, _ in refused])
        state = (await self.client.account_history(self.contents.header.account, current=True)).chain().state
        for record, result in refused:
            error = result.error or {}
            if record.id in present:
                self._settle("duplicate")
            elif error.get("name") in _OF_KEYS and state.may_sign(record.device):
                again.append(record)
            else:
                self._settle("refused")
                count(self.brought.reasons, str(error.get("message", "no reason given")))
        return again

    async def _present(self, records: Sequence[Record]) -> set[bytes]:
        """The ids of those records that the cluster has, or has had before what replaced them."""
        found: set[bytes] = set()
        cells: dict[tuple[bytes, str, bytes], list[Record]] = {}
        for record in records:
            if record.kind not in KINDS_PRIVATE:  # those only the account itself could look at
                cells.setdefault((record.place, record.kind, record.item), []).append(record)
        left = list(cells)
        while left:
            some = left[:KEYS_PER_GET]
            told = await self.client.get(some, level="quorum")
            left = left[KEYS_PER_GET:]
            for key, cell in zip(some, told, strict=True):
                if cell is not None and cell.get("omitted"):
                    left.append(key)
                elif cell is not None:
                    clock = cell["clock"]
                    found |= {
                        each.id for each in cells[key] if clock.get(each.device.hex(), -1) >= each.stamp
                    }
        return found

    def _settle(self, status: str, count: int = 1) -> None:
        if not count:
            return
        self.brought.statuses[status] += count
        self.progress(self.brought.statuses.total(), self.contents.seal.manifest.records)

    def _stalled(self, left: Sequence[tuple[Record, PutResult]]) -> OperatorError:
        error = next((result.error for _, result in left if result.error), {})
        return OperatorError(
            f"{len(left)} records are not settled after a minute: {error.get('message', 'no reason given')}",
            hint="the same again, which goes on from here",
            exit_code=DEGRADED,
        )

    def _read_checkpoint(self) -> None:
        if self.checkpoint_file is not None and self.checkpoint_file.exists():
            try:
                self._checkpoint = msgspec.json.decode(self.checkpoint_file.read_bytes(), type=Checkpoint)
            except msgspec.MsgspecError:
                self.note(f"{self.checkpoint_file} is damaged; starting from the beginning, which is safe")

    def _write_checkpoint(self) -> None:
        if self.checkpoint_file is not None:
            self.checkpoint_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self.checkpoint_file, msgspec.json.encode(self._checkpoint))


def checkpoint_name(contents: Contents, level: str) -> str:
    """What a checkpoint of this very archive, brought at this level, is called."""
    return f"archive-{contents.seal.manifest.hash.hex()[:16]}-{level}.json"


def _windows(records: Iterator[Record | None]) -> Iterator[list[Record]]:
    """Records in portions that fit into memory, however many there are; an empty one where None came."""
    window: list[Record] = []
    size = 0
    for record in records:
        if record is None:
            yield []
            continue
        window.append(record)
        size += len(record.payload)
        if len(window) >= WINDOW_RECORDS or size >= WINDOW_BYTES:
            yield window
            window, size = [], 0
    if window:
        yield window


def _waves(window: Sequence[Record]) -> list[list[Record]]:
    """A window's records, one of each cell at a time and the oldest first: none comes after its successor."""
    seen: Counter[bytes] = Counter()
    waves: list[list[Record]] = []
    for record in window:
        number = seen[record.key]
        seen[record.key] += 1
        if number == len(waves):
            waves.append([])
        waves[number].append(record)
    return waves
