"""Tables as files: CSV (RFC 4180) with a header, gzipped or not, read row by row.

What is wrong with a file is said with its name, the line, and how to mend it; no row is left out silently.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from folkmoot.protocol.errors import FolkmootError

FIELD_CHARACTERS_MAX: Final = 1 << 20
"""Of one field; more than any post, comment or page of talk has."""

FILE_CHARACTERS_MAX: Final = 1 << 28
"""Of one file, unpacked; it is read into memory."""

_GZIP_MAGIC: Final = b"\x1f\x8b"


class TableError(FolkmootError):
    """A file is no table of the form it should have."""


class Row:
    """One row, asked for its columns by name.

    Args:
        place: the file and the line on which its last field ends.
        values: by column.
    """

    __slots__ = ("_place", "_values")

    def __init__(self, place: str, values: dict[str, str]) -> None:
        self._place = place
        self._values = values

    def __getitem__(self, column: str) -> str:
        return self._values[column]

    def one_of(self, column: str, expected: Sequence[str]) -> str:
        """The value of a column that has few.

        Raises:
            TableError: it is another.
        """
        value = self._values[column]
        if value not in expected:
            raise TableError(f"{self._place}: {column} is {value[:40]!r}; it is one of {', '.join(expected)}")
        return value


def rows(file: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a file, in its order.

    Args:
        columns: what it must have; others are ignored.

    Raises:
        TableError: it cannot be read, is damaged, too large, or lacks a column.
    """
    csv.field_size_limit(FIELD_CHARACTERS_MAX)
    try:
        with file.open("rb") as raw:
            begins = raw.read(len(_GZIP_MAGIC))
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if begins == _GZIP_MAGIC else raw
            lines = _Lines(file, TextIOWrapper(stream, encoding="utf-8-sig", newline=""))
            yield from _rows(lines, columns)
    except UnicodeDecodeError as error:
        raise TableError(f"{file}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TableError(f"{file}: the compressed file is damaged ({error}); fetch it again") from error
    except OSError as error:
        raise TableError(f"{file}: {error.strerror or error}") from error


class _Lines:
    """The lines of a file, counted, and never more than fits."""

    def __init__(self, file: Path, text: TextIOWrapper) -> None:
        self.file = file
        self.number = 0
        self._text = text
        self._characters = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(FIELD_CHARACTERS_MAX):
            self.number += 1
            self._characters += len(line)
            if len(line) == FIELD_CHARACTERS_MAX:
                raise TableError(f"{self}: a line of over {FIELD_CHARACTERS_MAX:,} characters; break it up")
            if self._characters > FILE_CHARACTERS_MAX:
                raise TableError(f"{self}: over {FILE_CHARACTERS_MAX:,} characters; split the file")
            yield line

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


def _rows(lines: _Lines, columns: Sequence[str]) -> Iterator[Row]:
    try:
        reader = csv.reader(lines, strict=True)
        header = next(reader, None)
        if header is None:
            raise TableError(f"{lines.file}: empty; it begins with a line that names its columns")
        lacking = [column for column in columns if column not in header]
        if lacking:
            raise TableError(
                f"{lines}: no column {', '.join(lacking)}; it has {', '.join(header)[:200]}: name the "
                "columns in the first line"
            )
        for fields in reader:
            if len(fields) != len(header):
                raise TableError(
                    f"{lines}: {len(fields)} fields where the first line names {len(header)}; quote fields "
                    "that hold commas or line ends"
                )
            yield Row(str(lines), dict(zip(header, fields, strict=True)))
    except csv.Error as error:
        raise TableError(f"{lines}: not CSV: {error}; quote fields as RFC 4180 says") from error
