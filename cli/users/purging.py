"""A purge: all that an account wrote is listed, taken back, and listed again.

It keeps no state: what is left to do is what the cluster still has. So it may be stopped at any point, and
the same command goes on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import trio
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.exit_codes import DEGRADED
from folkmoot.cli.progress import OnProgress
from folkmoot.cli.users.taking_back import Taker, cells_of, is_left
from folkmoot.cli.users.written import AT_LEAST, EVERYWHERE, Listing
from folkmoot.protocol.accounts.attestation import marks_of
from folkmoot.protocol.errors import FORBIDDEN, RATE_LIMITED, REVOKED_KEY
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import LEVELS, Level
from folkmoot.protocol.sync.fingerprint import EMPTY, Fingerprint

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client, PutResult

PASSES: Final = 3
PATIENCE_S: Final = 60.0
PAUSE_S: Final = 0.5
_OF_KEYS: Final = frozenset({REVOKED_KEY.name, FORBIDDEN.name})


@dataclass(slots=True)
class Survey:
    """What of an account could be listed.

    Args:
        left: how many cells of each kind are to be taken back.
        gone: how many were, before.
        staying: how many of each kind cannot be.
        marks: the fingerprint of the records that took back what was under the account's own name.
    """

    left: Counter[str] = field(default_factory=Counter)
    gone: int = 0
    staying: Counter[str] = field(default_factory=Counter)
    marks: Fingerprint = EMPTY

    def add(self, cell: Sequence[Record]) -> None:
        """Count a cell."""
        if is_left(cell):
            self.left[cell[0].kind] += 1
        elif all(record.takes_back for record in cell):
            self.gone += 1
            if cell[0].place == cell[0].author:
                self.marks = self.marks.combine(marks_of(cell))
        else:
            self.staying[cell[0].kind] += 1


@dataclass(slots=True)
class Purged:
    """What became of a purge.

    Args:
        taken_back: how many cells of each kind.
        at_quorum: how many of them not every replica has heard of yet.
        reasons: why some were refused, with how many.
        found: what the last look has found.
        media: how many files of media were erased, on all nodes together.
        media_at: which nodes (in hexadecimal) may have some still, and why.
    """

    taken_back: Counter[str] = field(default_factory=Counter)
    at_quorum: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    found: Survey = field(default_factory=Survey)
    media: int = 0
    media_at: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether nothing is left that could be taken back."""
        return not self.found.left


class Purge:
    """See the module.

    Args:
        client: of the cluster; it has proved to be the account.
        key: a device's, of the account.
        note: told what takes long, or is less than was asked for.
        writer: puts records, if that is another client: an operator's, whom quotas do not slow.
    """

    def __init__(
        self, client: Client, key: KeyPair, note: Callable[[str], None], writer: Client | None = None
    ) -> None:
        self._client = client
        self._writer = writer or client
        self._key = key
        self._note = note
        self._taker = Taker(key)
        self._reads: Level = EVERYWHERE
        self._writes: Level = EVERYWHERE
        self._purged = Purged()
        self._was_limited = False

    async def survey(self, progress: OnProgress) -> Survey:
        """Look, and change nothing.

        Raises:
            OperatorError, WireError: the account cannot be listed.
        """
        found = Survey()
        listing = self._listing()
        while (records := await listing.next()) is not None:
            for cell in cells_of(records):
                found.add(cell)
            progress(found.gone + found.left.total() + found.staying.total(), None)
        self._reads = listing.level
        return found

    async def run(self, total: int, progress: OnProgress) -> Purged:
        """Take everything back, until a look finds nothing left or nothing more can be done.

        Args:
            total: how much there is, as a survey found.
            progress: told of what was taken back.

        Raises:
            OperatorError: the cluster takes nothing from this key, or has not for a minute.
            WireError: the account cannot be listed.
        """
        for _ in range(PASSES):
            self._purged.reasons.clear()
            listing = self._listing()
            while (records := await listing.next()) is not None:
                left = [cell for cell in cells_of(records) if is_left(cell)]
                await self._take_back(left, total, progress)
            self._reads = listing.level
            self._purged.found = await self.survey(lambda done, total: None)
            if self._purged.complete:
                await self._purge_media()
                break
        return self._purged

    async def _purge_media(self) -> None:
        """Have every node erase what the account uploaded, now that nothing refers to it."""
        told = await self._client.call("media.purge", {"account": self._key.owner})
        for each in told["nodes"]:
            self._purged.media += each.get("erased", 0)
            if "error" in each:
                self._purged.media_at[each["node"].hex()] = each["error"]
            elif each["left"]:
                self._purged.media_at[each["node"].hex()] = "it has yet to hear what was taken back"

    def _listing(self) -> Listing:
        return Listing(self._client, self._key.owner, self._reads, self._note)

    async def _take_back(self, cells: Sequence[Sequence[Record]], total: int, progress: OnProgress) -> None:
        """Put what takes cells back until each is settled.

        Raises:
            OperatorError: see `run`.
        """
        left = [self._taker.sign(cell, time.time_ns() // 1000) for cell in cells]
        deadline = trio.current_time() + PATIENCE_S
        while left:
            frames = [(each.payload, each.signature) for each in left]
            results = await self._writer.put_records(frames, self._writes)
            again = [pair for pair in zip(left, results, strict=True) if not self._settle(*pair)]
            progress(self._purged.taken_back.total(), max(total, self._purged.taken_back.total()))
            if len(again) < len(left):
                deadline = trio.current_time() + PATIENCE_S
            elif trio.current_time() >= deadline:
                raise self._stalled([result for _, result in again])
            left = [record for record, _ in again]
            if left:
                await trio.sleep(PAUSE_S)

    def _settle(self, record: Record, result: PutResult) -> bool:
        """Whether nothing is left to do about a record.

        Raises:
            OperatorError: its key may not sign.
        """
        error = result.error or {}
        reached = _rank(result)
        if result.status in ("stored", "duplicate") or (
            result.status == "uncertain" and reached >= LEVELS.index(AT_LEAST)
        ):
            self._purged.taken_back[record.kind] += 1
            self._purged.at_quorum += reached < LEVELS.index(EVERYWHERE)
            if result.status == "uncertain" and self._writes != AT_LEAST:
                self._writes = AT_LEAST
                self._note("not every replica answers: a majority is waited for, and the others hear of it")
            return True
        if error.get("name") in _OF_KEYS:
            raise OperatorError(
                str(error.get("message")), hint=f"folkmoot user show {account_to_text(record.author)}"
            )
        if not result.done:
            if error.get("name") == RATE_LIMITED.name and not self._was_limited:
                self._was_limited = True
                self._note("the cluster takes so many records a minute of an account, and more takes longer")
            return False
        waits = "it waits for review" if result.status == "held" else "no reason given"
        self._purged.reasons[str(error.get("message", waits))] += 1
        return True

    def _stalled(self, results: Sequence[PutResult]) -> OperatorError:
        error = next((result.error for result in results if result.error), {})
        reason = error.get("message", "no reason given")
        return OperatorError(
            f"{len(results)} records are not settled after a minute: {reason}",
            hint="the same again, which goes on from here",
            exit_code=DEGRADED,
        )


def _rank(result: PutResult) -> int:
    """The level that was reached, by its place among all of them; -1 for none."""
    level = (result.achieved or {}).get("level")
    return LEVELS.index(level) if level in LEVELS else -1
