"""Errors that living nodes log: production code logs its bugs and goes on, so here they must not pass."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

LOG: Final = logging.getLogger("folkmoot")


class Process(NamedTuple):
    """Whose tasks are running: a node's name, and whether it lives; what the dying say does not count."""

    name: str
    is_alive: Callable[[], bool]


running_in: Final[contextvars.ContextVar[Process]] = contextvars.ContextVar("process")
"""Set in a node's first task, and so known in all of them."""


@contextmanager
def errors_into(errors: list[str]) -> Iterator[None]:
    """Collect errors that are logged, and nothing else of the log."""
    collector = _Collector(errors)
    before = LOG.level, LOG.propagate
    LOG.addHandler(collector)
    LOG.setLevel(logging.ERROR)
    LOG.propagate = False
    try:
        yield
    finally:
        LOG.setLevel(before[0])
        LOG.propagate = before[1]
        LOG.removeHandler(collector)


class _Collector(logging.Handler):
    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors
        self._format = logging.Formatter("%(name)s: %(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        process = running_in.get(None)
        if process is None:
            self._errors.append(f"logged: {self._format.format(record)}")
        elif process.is_alive():
            self._errors.append(f"{process.name} logged: {self._format.format(record)}")
