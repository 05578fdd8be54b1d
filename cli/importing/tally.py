"""What an import has done so far: figures, the reasons of what went wrong, and the report that lists it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

REASON_CHARACTERS: Final = 120


@dataclass(slots=True)
class Tally:
    """The figures of one import.

    Args:
        read: lines looked at, those passed over on resuming included.
        resumed: lines that an earlier run had settled.
        stored, duplicate, held, refused, uncertain: what the cluster answered, in records.
        skipped: lines that cannot be records.
        unreferenced: posts kept without their reference to an entry that is not in the source or was skipped.
        bytes_read: of the file as it is on disk.
        reasons: why, for what was refused, held, uncertain or skipped.
    """

    read: int = 0
    resumed: int = 0
    stored: int = 0
    duplicate: int = 0
    held: int = 0
    refused: int = 0
    uncertain: int = 0
    skipped: int = 0
    unreferenced: int = 0
    bytes_read: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def acknowledged(self) -> int:
        """Records that the cluster promised to keep."""
        return self.stored + self.duplicate + self.held

    def count(self, status: str) -> None:
        """Count an answer, or a line that was `skipped`."""
        setattr(self, status, getattr(self, status) + 1)

    def summary(self, seconds: float) -> dict[str, Any]:
        """For `--json`.

        Args:
            seconds: how long it took.
        """
        sent = self.acknowledged + self.refused + self.uncertain
        return {
            "read": self.read,
            "resumed": self.resumed,
            "stored": self.stored,
            "duplicate": self.duplicate,
            "held": self.held,
            "refused": self.refused,
            "uncertain": self.uncertain,
            "skipped": self.skipped,
            "unreferenced": self.unreferenced,
            "reasons": dict(self.reasons.most_common()),
            "seconds": round(seconds, 3),
            "rate": round(sent / seconds, 1) if seconds else 0.0,
        }


class Report:
    """Lists every line that did not simply become a stored record, as lines of JSON.

    Args:
        file: made when there is something to list.
        tally: counts the same.
        fresh: whether an earlier report is replaced rather than continued.
    """

    def __init__(self, file: Path, tally: Tally, *, fresh: bool) -> None:
        self.file = file
        self._tally = tally
        if fresh:
            file.unlink(missing_ok=True)
        self._opened = None if fresh or not file.exists() else file.open("ab")

    @property
    def exists(self) -> bool:
        """Whether anything has been listed."""
        return self._opened is not None

    def add(self, line: int, entry_id: str | None, status: str, reason: str) -> None:
        """List one line of the source.

        Args:
            line: its number.
            entry_id: of its entry, if it was one.
            status: `skipped`, `refused`, `held` or `uncertain`.
            reason: one sentence.
        """
        self._tally.reasons[f"{status}: {reason[:REASON_CHARACTERS]}"] += 1
        if self._opened is None:
            self._opened = self.file.open("ab")
        listed = {"line": line, "id": entry_id, "status": status, "reason": reason}
        self._opened.write(msgspec.json.encode(listed) + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            self._opened.close()
