"""Sources, authors and clients for the tests of the importer."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from folkmoot.cli.importing.authors import Authors
from folkmoot.cli.importing.mapping import Mapper, Unusable, sign_planned
from folkmoot.cli.importing.source import Entry
from folkmoot.protocol.client import Client, PutResult
from folkmoot.protocol.record import Record

SEED = b"s" * 32
ACHIEVED = {"level": "quorum", "acks": 2, "slots": 3}


def entry(number: int, **changes: Any) -> Entry:
    """An entry with a number for an id, a minute after its predecessor, by one of two authors."""
    fields: dict[str, Any] = {
        "id": f"e{number}",
        "author": ("ada", "ben")[number % 2],
        "created_at": f"2024-05-01T{number // 60 % 24:02}:{number % 60:02}:00Z",
        "text": f"words {number}",
    }
    return Entry(**(fields | changes))


def mapped(entries: Iterable[Entry], authors: Authors | None = None) -> list[Record | str]:
    """What becomes of each entry: its record, or the reason why there is none."""
    mapper = Mapper(authors or Authors(SEED))
    made: list[Record | str] = []
    for each in entries:
        try:
            made.append(sign_planned(mapper.plan(each)))
        except Unusable as reason:
            made.append(str(reason))
    return made


def records(entries: Iterable[Entry]) -> list[Record]:
    """The records of entries that all have one."""
    made = mapped(entries)
    assert all(isinstance(each, Record) for each in made), made
    return cast(list[Record], made)


def write_source(file: Path, entries: Iterable[Mapping[str, Any] | bytes]) -> Path:
    """A file of posts, gzipped if its name says so; bytes are written as they are."""
    lines = [
        each if isinstance(each, bytes) else json.dumps(each, ensure_ascii=False).encode() for each in entries
    ]
    data = b"".join(line + b"\n" for line in lines)
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    return file


def stored(frame: Sequence[bytes], status: str = "stored", **error: Any) -> PutResult:
    """A node's answer to one record."""
    record = Record(*frame)
    return PutResult(record.id, status, ACHIEVED, None, error or None)


Answer = Callable[[Sequence[tuple[bytes, bytes]]], list[PutResult]]


class ScriptedClient:
    """Stands in for a client: each put is answered by the next of its answers, the last one for ever.

    Args:
        answers: each takes the frames of one put and returns its results, or raises.
    """

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.puts: list[list[bytes]] = []
        self.has_everything = True

    async def put_records(self, frames: Sequence[tuple[bytes, bytes]], level: str) -> list[PutResult]:
        self.puts.append([Record(*frame).id for frame in frames])
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer(frames)

    async def get(self, keys: Sequence[Any], *, level: str) -> list[dict[str, Any] | None]:
        return [{} if self.has_everything else None for _ in keys]

    def as_client(self) -> Client:
        return cast(Client, self)


def all_stored(frames: Sequence[tuple[bytes, bytes]]) -> list[PutResult]:
    """Everything is stored."""
    return [stored(frame) for frame in frames]
