"""Acknowledgement journals: what a cluster promised to keep, written down by whoever it promised it to.

One line of JSON a record, appended *after* the acknowledgement came: so a line stands for a promise, and a
crash between the two only makes the journal promise less. Lines reach the kernel at once, which survives
the death of this process; they are brought to disk at most once a second and at the end, so that keeping a
journal costs a bounded share of the time whatever the rate. A torn last line is cut off when the journal is
opened again.

The first line names the cluster, so that a journal is never held against another one.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
from folkmoot.protocol.errors import FolkmootError
from folkmoot.protocol.key import KINDS_FLAG, held_key
from folkmoot.protocol.record import Record

FORMAT: Final = 1
SYNC_S: Final = 1.0
SUFFIX: Final = ".journal"


class JournalError(FolkmootError):
    """A journal cannot be read or written; the sentence says which and why."""


class Acknowledged(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One record that a cluster acknowledged.

    Args:
        key: the cell's key; of a held record, the key of the cell it waits for.
        id: the record's id, 32 bytes.
        device, stamp: its dot.
        kind: `post`, `like` and so on.
        gone: whether it is a deletion, or switches something off.
        held: whether it waits for review.
        level: the level the answer said was achieved.
        time_us: when the answer came, microseconds since 1970.
    """

    key: bytes
    id: bytes
    device: bytes
    stamp: int
    kind: str
    gone: bool
    held: bool
    level: str
    time_us: int

    @property
    def dot(self) -> tuple[bytes, int]:
        """The record's name: (device, stamp)."""
        return self.device, self.stamp

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Where the record may be: a held one waits beside its cell until it is released into it."""
        return (held_key(self.key), self.key) if self.held else (self.key,)

    @classmethod
    def of(cls, record: Record, *, held: bool, level: str, time_us: int) -> Acknowledged:
        """The entry for a record whose acknowledgement has just come."""
        gone = record.deleted or (record.kind in KINDS_FLAG and record.body.get("on") is False)
        return cls(
            key=record.key,
            id=record.id,
            device=record.device,
            stamp=record.stamp,
            kind=record.kind,
            gone=gone,
            held=held,
            level=level,
            time_us=time_us,
        )


class _Heading(msgspec.Struct, frozen=True):
    journal: int
    cluster: str


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Acknowledged)


class Journal:
    """A journal that is being written.

    Args:
        file: made (mode 0600, with its directory) when it does not exist, else continued.
        cluster: the cluster's id.

    Raises:
        JournalError: it cannot be written, another process does, or it belongs to another cluster.
    """

    def __init__(self, file: Path, cluster: str) -> None:
        self.file = file
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise JournalError(f"the journal {file} cannot be written: {error.strerror}") from error
        try:
            self._continue(cluster)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._synced_at = time.monotonic()
        self._unsynced = False

    def _continue(self, cluster: str) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalError(f"another process is writing the journal {self.file}") from error
        whole_bytes = _whole_bytes(self.file)
        if whole_bytes:
            found = _heading(self.file)
            if found.cluster != cluster:
                raise JournalError(f"the journal {self.file} is of cluster {found.cluster}, not {cluster}")
            os.ftruncate(self._descriptor, whole_bytes)
        else:
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, _encoder.encode(_Heading(FORMAT, cluster)) + b"\n")

    def append(self, entries: Iterable[Acknowledged]) -> None:
        """Write down what has been acknowledged.

        Raises:
            JournalError: the disk took it only in part, or not at all.
        """
        data = _encoder.encode_lines(list(entries))
        if not data:
            return
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            raise JournalError(f"the journal {self.file} cannot be written: {error.strerror}") from error
        if written != len(data):
            raise JournalError(f"the journal {self.file} took {written} of {len(data)} bytes")
        self._unsynced = True
        if time.monotonic() - self._synced_at >= SYNC_S:
            self.sync()

    def sync(self) -> None:
        """Bring everything appended so far to disk."""
        if self._unsynced:
            os.fdatasync(self._descriptor)
            self._unsynced = False
        self._synced_at = time.monotonic()

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_journal(file: Path, cluster: str) -> Iterator[Acknowledged]:
    """The entries of a journal, oldest first; a torn last line is no entry.

    Args:
        file: the journal.
        cluster: the id of the cluster it must be of.

    Raises:
        JournalError: it is unreadable, damaged, or of another cluster.
    """
    found = _heading(file)
    if found.cluster != cluster:
        raise JournalError(f"the journal {file} is of cluster {found.cluster}, not {cluster}")
    with file.open("rb") as opened:
        for number, line in enumerate(opened, start=1):
            if number == 1 or not line.endswith(b"\n"):
                continue
            try:
                yield _decoder.decode(line)
            except msgspec.MsgspecError as error:
                raise JournalError(f"{file}:{number}: not a journal entry: {error}") from error


def _heading(file: Path) -> _Heading:
    try:
        with file.open("rb") as opened:
            heading = msgspec.json.decode(opened.readline(), type=_Heading)
    except OSError as error:
        raise JournalError(f"the journal {file} cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise JournalError(f"{file}:1: not the beginning of a journal") from error
    if heading.journal != FORMAT:
        raise JournalError(f"{file}: a journal of format {heading.journal}; this version knows {FORMAT}")
    return heading


def _whole_bytes(file: Path) -> int:
    """How long the file is without a torn last line."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        end = size
        while end > 0:
            start = max(0, end - 65_536)
            opened.seek(start)
            newline = opened.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0
