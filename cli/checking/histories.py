"""Histories of operations on disk: what was called when, and what was answered.

Three forms are read, told apart by their lines: our own (a JSON object a line), Jepsen's log of a register
(`INFO  jepsen.util - 3 :invoke :cas [2 4]`), and Jepsen's maps of a key-value store
(`{:process 0, :type :invoke, :f :append, :key "0", :value "x"}`). Time is the order of lines. An answer of
type `info` says that nobody knows what happened; so does a read that timed out. The process may call again
after either.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from folkmoot.node.simulation.checkers.linearizability import UNKNOWN, Model, Operation
from folkmoot.node.simulation.checkers.models import Call, Register, Text
from folkmoot.protocol.errors import FolkmootError

EXPECTED: Final = "expected.csv"
SUFFIXES: Final = (".log", ".txt", ".jsonl", ".log.gz", ".txt.gz", ".jsonl.gz")

_REGISTER_CALLS: Final = frozenset({"read", "write", "cas"})
_TEXT_CALLS: Final = frozenset({"get", "put", "append"})
_TYPES: Final = frozenset({"invoke", "ok", "fail", "info"})

_log_line = re.compile(r"INFO\s+jepsen\.util - (\d+)\s+:(\w+)\s+:(\w+)\s+(.*)")
_map_line = re.compile(
    r'\{:process (\d+), :type :(\w+), :f :(\w+), :key "([^"]*)", :value (nil|"(?:[^"\\]|\\.)*")\}'
)


class BadHistory(FolkmootError):
    """A file is no history; says which line and what is wrong with it."""


class Event(NamedTuple):
    """One line of a history.

    Args:
        process: who.
        type: `invoke`, `ok`, `fail` or `info`.
        name: of the call.
        key: of the object; empty where there is one.
        value: the argument of an `invoke`, the answer of an `ok`.
        known: whether the outcome is known.
    """

    process: Hashable
    type: str
    name: str
    key: str
    value: Any
    known: bool = True


@dataclass(frozen=True, slots=True)
class History:
    """A file's operations, object by object.

    Args:
        path: the file.
        objects: operations by key.
        model: of each object.
        expected: whether it is said to be linearizable; None when nothing is said.
    """

    path: Path
    objects: Mapping[str, list[Operation]]
    model: Model
    expected: bool | None


def find_histories(folder: Path) -> list[tuple[Path, bool | None]]:
    """The file of every history in a folder, by name, and whether it is said to be linearizable.

    What is expected of one stands in `expected.csv` (columns `file`, `linearizable`), or in its name, which
    then ends with `-ok` or `-bad` before its endings.

    Raises:
        BadHistory: there is none, or what is expected of them cannot be read.
    """
    expected = _expected(folder / EXPECTED)
    paths = [path for path in sorted(folder.iterdir()) if path.name.endswith(SUFFIXES)]
    if not paths:
        raise BadHistory(
            f"{folder} holds no history: a file named *{', *'.join(SUFFIXES[:3])} or those with .gz"
        )
    return [(path, expected.get(path.name, _said_by_name(path.name))) for path in paths]


def _expected(path: Path) -> dict[str, bool]:
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    said = {"true": True, "false": False}
    for number, row in enumerate(rows, 2):
        if not row.get("file") or row.get("linearizable") not in said:
            raise BadHistory(f"{path}:{number}: a row has a file, and true or false as linearizable")
    return {row["file"]: said[row["linearizable"]] for row in rows}


def _said_by_name(name: str) -> bool | None:
    stem = name.split(".", 1)[0]
    return True if stem.endswith("-ok") else False if stem.endswith("-bad") else None


def read_history(path: Path, expected: bool | None = None) -> History:
    """The history in a file.

    Args:
        path: the file.
        expected: see `History`.

    Raises:
        BadHistory: it is none.
    """
    try:
        events = list(_events(path))
    except (UnicodeDecodeError, EOFError, OSError, zlib.error) as error:
        raise BadHistory(f"{path} cannot be read: {error}") from error
    if not events:
        raise BadHistory(f"{path} is empty")
    names = {event.name for _, event in events}
    if names <= _REGISTER_CALLS:
        model: Model = Register()
    elif names <= _TEXT_CALLS:
        model = Text()
    else:
        raise BadHistory(f"{path}: calls of no one kind of object: {', '.join(sorted(names))}")
    return History(path, _operations(path, events), model, expected)


def _events(path: Path) -> Iterator[tuple[int, Event]]:
    """The events of a file, with the numbers of their lines."""
    parse: Callable[[str], Event | None] | None = None
    with gzip.open(path, "rt") if path.name.endswith(".gz") else path.open() as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            if parse is None:
                parse = _parser_of(line)
            try:
                event = parse(line)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise BadHistory(f"{path}:{number}: {error}") from error
            if event is not None:
                yield number, event


def _parser_of(line: str) -> Callable[[str], Event | None]:
    if line.startswith("{:"):
        return _parse_map
    return _parse_json if line.startswith("{") else _parse_log


def _parse_log(line: str) -> Event | None:
    """A line of Jepsen's log; None for one that is about something else."""
    found = _log_line.match(line)
    if found is None:
        if any(f":{kind}\t" in line for kind in _TYPES):
            raise ValueError(f"not a line of an operation: {line.strip()[:80]}")
        return None
    process, kind, name, value = found.groups()
    timed_out = ":timed-out" in value
    known = kind != "info" and not (timed_out and kind == "fail" and name == "read")
    return _checked(Event(process, kind, name, "", None if timed_out else _edn(value.strip()), known))


def _parse_map(line: str) -> Event:
    found = _map_line.match(line)
    if found is None:
        raise ValueError(f"not a map of an operation: {line.strip()[:80]}")
    process, kind, name, key, value = found.groups()
    return _checked(
        Event(process, kind, name, key, None if value == "nil" else json.loads(value), kind != "info")
    )


def _parse_json(line: str) -> Event:
    """Our own form: `{"process", "type", "f", "key"?, "value"?}`."""
    plain = json.loads(line)
    _check_shapes(plain)
    value = plain.get("value")
    return _checked(
        Event(
            plain["process"],
            plain["type"],
            plain["f"],
            str(plain.get("key", "")),
            tuple(value) if isinstance(value, list) else value,
            plain["type"] != "info",
        )
    )


def _check_shapes(plain: Mapping[str, Any]) -> None:
    """See that each member is of a kind that can be compared.

    Raises:
        ValueError: naming the member.
        KeyError: there is no such member.
    """
    for name, value in (("type", plain["type"]), ("f", plain["f"])):
        if not isinstance(value, str):
            raise ValueError(f"{name} is text, and not {value!r}"[:80])
    for name, value in (("process", plain["process"]), ("key", plain.get("key", ""))):
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError(f"{name} is text or a whole number, and not {value!r}"[:80])
    value = plain.get("value")
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, list | dict):
            raise ValueError(f"value is text, a number or a list of these, and not {value!r}"[:80])


def _checked(event: Event) -> Event:
    if event.type not in _TYPES:
        raise ValueError(f"type {event.type!r} is not one of {', '.join(sorted(_TYPES))}")
    pair = isinstance(event.value, tuple) and len(event.value) == 2
    if event.name == "cas" and event.type == "invoke" and not pair:
        raise ValueError("the value of a cas is [expected, new]")
    return event


def _edn(text: str) -> Any:
    """`nil`, a number or a vector of two numbers."""
    if text == "nil":
        return None
    if text.startswith("["):
        expected, new = text.strip("[]").split()
        return int(expected), int(new)
    return int(text)


def _operations(path: Path, events: list[tuple[int, Event]]) -> dict[str, list[Operation]]:
    """Match calls with their answers; who was never answered is as good as unknown."""
    objects: dict[str, list[Operation]] = {}
    open_calls: dict[Hashable, tuple[int, Event]] = {}

    def add(begun: tuple[int, Event], result: Any, returned_at: int = 0) -> None:
        called_at, asked = begun
        call = Call(asked.name, asked.value)
        objects.setdefault(asked.key, []).append(
            Operation(asked.process, call, result, called_at, returned_at)
        )

    for number, event in events:
        if event.type == "invoke":
            if event.process in open_calls:
                raise BadHistory(f"{path}:{number}: process {event.process} calls before it was answered")
            open_calls[event.process] = (number, event)
            continue
        begun = open_calls.pop(event.process, None)
        if begun is None:
            raise BadHistory(f"{path}:{number}: an answer to process {event.process}, which called nothing")
        if not event.known:
            add(begun, UNKNOWN)
        elif event.type == "ok":
            add(begun, _answer(event), number)
        elif event.name == "cas":
            add(begun, False, number)
        # Any other failure is known to have had no effect, and says nothing of the state.
    for begun in open_calls.values():
        add(begun, UNKNOWN)
    return objects


def _answer(event: Event) -> Any:
    return event.value if event.name in ("read", "get") else True
