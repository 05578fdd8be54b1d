"""Results go to standard output, as text or as one line of JSON; everything else to standard error.

Text may hold what strangers wrote, so none of it is printed raw (see `terminal`).
"""

from __future__ import annotations

import functools
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click
from folkmoot.cli.terminal import one_line, visible

Command = TypeVar("Command", bound=Callable[..., Any])


class Output:
    """Where one command writes.

    Args:
        as_json: whether results are JSON.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, value: Any, text: str | Iterable[str], *, paged: bool = True) -> None:
        """Print a result: `value` as one line of JSON, or `text` (a string, or lines that stay lines).

        Args:
            paged: whether what is longer than the terminal may wait in a pager.
        """
        if self.as_json:
            click.echo(json_line(value))
            return
        lines = [visible(text)] if isinstance(text, str) else [one_line(line) for line in text]
        if paged and sys.stdout.isatty() and len(lines) >= shutil.get_terminal_size().lines:
            click.echo_via_pager(f"{line}\n" for line in lines)
            return
        for line in lines:
            click.echo(line)

    def note(self, sentence: str) -> None:
        """Say something on the way, on standard error; never part of the result."""
        if not self.as_json:
            click.echo(visible(sentence), err=True)


def json_option(command: Command) -> Command:
    """Give a command `--json`, which may also stand before its name, and pass it an `output`."""

    @click.option("--json", "as_json", is_flag=True, help="Print the result as one line of JSON.")
    @functools.wraps(command)
    def wrapped(*args: Any, as_json: bool, **options: Any) -> Any:
        before_its_name = click.get_current_context().find_root().params.get("as_json", False)
        return command(*args, output=Output(as_json or before_its_name), **options)

    return wrapped  # type: ignore[return-value]  # the same command with its `output` filled in


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """Rows as aligned lines under a heading."""
    cells = [list(columns), *[[_cell(row.get(column)) for column in columns] for row in rows]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case bytes():
            return value.hex()
        case _:
            # Here already, so that the columns are as wide as what is printed.
            return one_line(str(value))


def json_line(value: Any) -> str:
    """A value as one line of JSON in UTF-8, whatever is in it.

    A word of the command line that is not UTF-8 has lone surrogates in it, which UTF-8 cannot hold: then all
    that is not ASCII is escaped.
    """
    line = json.dumps(value, ensure_ascii=False, default=plain)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(value, default=plain)
    return line


def plain(value: Any) -> Any:
    """What JSON cannot say, in a form it can: bytes in hexadecimal, the rest as text."""
    return value.hex() if isinstance(value, bytes) else str(value)


def utc_text(wall_us: int) -> str:
    """A moment (microseconds since 1970) in words, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(wall_us // 1_000_000))
