"""Where a node's log goes: standard error, as text for people or one JSON object a line for programs."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from folkmoot.cli.terminal import visible
from folkmoot.node.configuration.settings import LogSection

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
NAMESPACE = "folkmoot."
CONTINUED = "\n    "


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name.removeprefix(NAMESPACE),
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """One line for people, and the traceback if there is one; what peers and clients wrote stays text.

    Further lines are indented: a line end in what somebody wrote does not begin an entry of theirs.
    """

    def __init__(self) -> None:
        super().__init__(TEXT)

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record)).replace("\n", CONTINUED)


@contextmanager
def to_standard_error(log: LogSection) -> Iterator[Callable[[LogSection], None]]:
    """Send the log to standard error as `log` says, and no longer than the block lasts.

    A handler that stayed would hold on to a stream that whoever runs commands within a process may close.

    Yields:
        What applies other choices, at a reload.
    """
    root = logging.getLogger()
    level_before = root.level
    handler = logging.StreamHandler(sys.stderr)

    def choose(log: LogSection) -> None:
        as_json = log.json if log.json is not None else not sys.stderr.isatty()
        handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
        root.setLevel(log.level.upper())

    choose(log)
    root.addHandler(handler)
    try:
        yield choose
    finally:
        root.removeHandler(handler)
        root.setLevel(level_before)
