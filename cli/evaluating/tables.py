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

ROWS_MAX: Final = 2_000_000
"""Of one file; a bound on what is read into memory."""

_GZIP_MAGIC: Final = b"\x1f\x8b"


class TableError(FolkmootError):
    """A file is no table of the form it should have."""


class Row:
    """One row, asked for its columns by name.

    Args:
        file: where it stands.
        line: on which its last field ends, from 1.
        values: by column.
    """

    __slots__ = ("_file", "_line", "_values")

    def __init__(self, file: Path, line: int, values: dict[str, str]) -> None:
        self._file = file
        self._line = line
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
            raise TableError(
                f"{self._file}:{self._line}: {column} is {value[:40]!r}; it is one of {', '.join(expected)}"
            )
        return value

    def whole_number(self, column: str) -> int:
        """The value of a column of whole numbers.

        Raises:
            TableError: it is none.
        """
        value = self._values[column]
        try:
            return int(value)
        except ValueError:
            raise TableError(
                f"{self._file}:{self._line}: {column} is {value[:40]!r}; it is a whole number"
            ) from None


def rows(file: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a file, in its order.

    Args:
        columns: what it must have; others are ignored.

    Raises:
        TableError: it cannot be read, is damaged, or lacks a column.
    """
    csv.field_size_limit(FIELD_CHARACTERS_MAX)
    try:
        with file.open("rb") as raw:
            begins = raw.read(len(_GZIP_MAGIC))
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if begins == _GZIP_MAGIC else raw
            text = TextIOWrapper(stream, encoding="utf-8", newline="")
            yield from _rows(file, csv.reader(text, strict=True), columns)
    except UnicodeDecodeError as error:
        raise TableError(f"{file}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TableError(f"{file}: the compressed file is damaged ({error}); fetch it again") from error
    except OSError as error:
        raise TableError(f"{file}: {error.strerror or error}") from error


def _rows(file: Path, reader: Iterator[list[str]], columns: Sequence[str]) -> Iterator[Row]:
    lines = reader.line_num  # type: ignore[attr-defined]
    try:
        header = next(reader, None)
        if header is None:
            raise TableError(f"{file}: the file is empty; it begins with a line that names its columns")
        lacking = [column for column in columns if column not in header]
        if lacking:
            raise TableError(
                f"{file}:1: no column {', '.join(lacking)}; it has {', '.join(header)[:200]}: "
                "name the columns in the first line"
            )
        for count, fields in enumerate(reader, 1):
            lines = reader.line_num  # type: ignore[attr-defined]
            if count > ROWS_MAX:
                raise TableError(f"{file}:{lines}: more than {ROWS_MAX:,} rows; split the file")
            if len(fields) != len(header):
                raise TableError(
                    f"{file}:{lines}: {len(fields)} fields where the first line names {len(header)}; quote "
                    "fields that hold commas or line ends"
                )
            yield Row(file, lines, dict(zip(header, fields, strict=True)))
    except csv.Error as error:
        lines = reader.line_num  # type: ignore[attr-defined]
        raise TableError(f"{file}:{lines}: not CSV: {error}; quote fields as RFC 4180 says") from error
