"""Files of posts: one JSON object a line, gzipped or not, read as a stream.

    {"id": "17", "author": "ada", "created_at": "2024-05-01T09:30:00Z", "text": "…", "reply_to": "12", …}

Only `id`, `author`, `created_at` and `text` are asked for; null and absent are the same. `reply_to` and
`repost_of` name earlier entries by their `id`. Two further keys make conversations whole: an entry with
`like_of` is a like of that entry and one with `deletion_of` deletes it. Everything else is ignored.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
from folkmoot.protocol.errors import FolkmootError

LINE_BYTES_MAX: Final = 1024 * 1024

_GZIP_MAGIC: Final = b"\x1f\x8b"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SourceError(FolkmootError):
    """The file cannot be read at all."""


class Entry(msgspec.Struct, frozen=True):
    """One line of a file of posts."""

    id: str
    created_at: str
    author: str | None = None
    author_name: str | None = None
    text: str | None = None
    reply_to: str | None = None
    repost_of: str | None = None
    like_of: str | None = None
    deletion_of: str | None = None
    lang: str | None = None
    hashtags: list[str] | None = None


class Line(msgspec.Struct, frozen=True):
    """What stood on one line.

    Args:
        number: from 1.
        entry: what was read; None when the line is no entry.
        problem: then, what is wrong with it.
    """

    number: int
    entry: Entry | None
    problem: str = ""


_decoder = msgspec.json.Decoder(Entry)
_NAMES: Final = ("id", "author", "reply_to", "repost_of", "like_of", "deletion_of")


class Source:
    """An open file of posts.

    Args:
        raw: the file as it is on disk.
        size_bytes: its length.
    """

    def __init__(self, raw: BinaryIO, size_bytes: int) -> None:
        self._raw = raw
        self.size_bytes = size_bytes

    @property
    def position_bytes(self) -> int:
        """How much of the file has been read."""
        return self._raw.tell()

    def lines(self) -> Iterator[Line]:
        """Every line that is not blank.

        Raises:
            SourceError: the file is damaged.
        """
        begins = self._raw.read(len(_GZIP_MAGIC))
        self._raw.seek(0)
        stream = gzip.GzipFile(fileobj=self._raw) if begins == _GZIP_MAGIC else self._raw
        number = 0
        try:
            while data := stream.readline(LINE_BYTES_MAX + 1):
                number += 1
                if len(data) > LINE_BYTES_MAX:
                    raise SourceError(f"{self._raw.name}:{number}: a line of over {LINE_BYTES_MAX} bytes")
                if data.strip():
                    yield _read(number, data)
        except (OSError, EOFError) as error:
            raise SourceError(f"{self._raw.name}: after line {number}: {error}") from error


@contextmanager
def open_source(file: Path) -> Iterator[Source]:
    """Open a file of posts.

    Raises:
        SourceError: it cannot be opened.
    """
    try:
        raw = file.open("rb")
    except OSError as error:
        raise SourceError(f"{file}: {error.strerror}") from error
    with raw:
        yield Source(raw, file.stat().st_size)


def parse_time_us(text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 time; one without a zone is taken for UTC.

    Raises:
        ValueError: it is not a time, or before 1970.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    time_us = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if time_us < 0:
        raise ValueError("it lies before 1970")
    return time_us


def _read(number: int, data: bytes) -> Line:
    try:
        try:
            return Line(number, _decoder.decode(data))
        except msgspec.ValidationError:
            return Line(number, _with_numbers(msgspec.json.decode(data)))
    except RecursionError:
        return Line(number, None, "not an entry: it is nested too deeply")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Line(number, None, f"not an entry: {error}")


def _with_numbers(value: Any) -> Entry:
    """The entry in `value`, whose ids and authors may be numbers."""
    if isinstance(value, dict):
        value = {
            key: str(part) if key in _NAMES and type(part) is int else part for key, part in value.items()
        }
    return msgspec.convert(value, Entry)
