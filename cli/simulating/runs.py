"""Many simulated runs, several at once, and kept: a long series goes on where it was interrupted.

The file of what was run has a JSON object a line. A line counts as long as plan and code are the same: of a
run under other code nothing is known. Runs that broke a promise are run again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import folkmoot.node
import folkmoot.protocol
import folkmoot.storage
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.workers import spread
from folkmoot.node.simulation.run import Plan, Report, simulate

CODE: Final = (folkmoot.protocol, folkmoot.storage, folkmoot.node)

_BEGIN: Final = b'{"plan": '  # of each line


class Run(NamedTuple):
    """One run and how long it took, in real seconds."""

    report: Report
    real_s: float


class Known(NamedTuple):
    """What is kept of a run that held.

    Args:
        coverage: how often which operations overlapped with which faults.
        compared: how many comparisons each checker made.
    """

    coverage: dict[tuple[str, str], int]
    compared: dict[str, int]


def fingerprint() -> str:
    """A hash over the code that runs."""
    digest = hashlib.sha256()
    for package in CODE:
        [root] = package.__path__
        for file in sorted(Path(root).rglob("*.py")):
            digest.update(f"{package.__name__}/{file.relative_to(root)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


class KeptFileError(OperatorError):
    """The file of what was run cannot be written, or is another file."""


class Kept:
    """The file of what was run.

    Args:
        file: continued when it exists, and made when it does not, so that it is known before anything runs
            that it can be.

    Raises:
        KeptFileError: it cannot be written, or is no such file; it stands as it was.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._code = fingerprint()
        self._known: dict[str, Known] = {}
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a+b") as opened:
                opened.seek(0)
                whole = self._read(opened.read())
                opened.truncate(whole)
        except OSError as error:
            raise KeptFileError(
                f"what is run cannot be kept in {file}: {error.strerror}", hint="another --keep FILE"
            ) from error

    def _read(self, data: bytes) -> int:
        """Learn what the lines say; where the last whole one ends: of the next there may be half."""
        *lines, torn = data.split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                self._learn(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise self._foreign(number) from error
        if torn[: len(_BEGIN)] != _BEGIN[: len(torn)]:
            raise self._foreign(len(lines) + 1)
        return len(data) - len(torn)

    def _foreign(self, line: int) -> KeptFileError:
        return KeptFileError(
            f"line {line} of {self._file} is not of a run that was kept; the file stands as it was",
            hint="another --keep FILE",
        )

    def known_of(self, plan: Plan) -> Known | None:
        """What a run of this plan that held has covered and compared; None when there was none."""
        return self._known.get(self._name(plan))

    def keep(self, report: Report) -> None:
        """Write down a run that held."""
        if not report.ok:
            return
        coverage = [[fault, name, many] for (fault, name), many in sorted(report.coverage.items())]
        told = {
            "plan": self._name(report.plan),
            "code": self._code,
            "trace": report.trace,
            "coverage": coverage,
            "compared": dict(report.compared),
        }
        with self._file.open("a") as opened:
            opened.write(json.dumps(told) + "\n")
        self._learn(told)

    def _learn(self, told: dict[str, Any]) -> None:
        plan, code, coverage = told["plan"], told["code"], told["coverage"]
        if code == self._code:
            compared = {str(name): int(many) for name, many in told.get("compared", {}).items()}
            self._known[plan] = Known({(fault, name): int(many) for fault, name, many in coverage}, compared)

    @staticmethod
    def _name(plan: Plan) -> str:
        return json.dumps(asdict(plan), sort_keys=True)


def timed(plan: Plan) -> Run:
    """Run a plan."""
    begun = time.perf_counter()
    report = simulate(plan)
    return Run(report, time.perf_counter() - begun)


def run_all(plans: Sequence[Plan], jobs: int) -> Iterator[Run]:
    """Run plans, `jobs` at once; they come as they are done."""
    for _, run in spread(timed, plans, jobs):
        yield run
