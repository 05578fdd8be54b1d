"""Many simulated runs, several at once, and kept: a long series goes on where it was interrupted.

The file of what was run has a JSON object a line. A line counts as long as plan and code are the same: of a
run under other code nothing is known. Runs that broke a promise are run again.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import folkmoot.node
import folkmoot.protocol
import folkmoot.storage
from folkmoot.cli.node_parent import die_with_parent
from folkmoot.node.simulation.run import Plan, Report, simulate

CODE: Final = (folkmoot.protocol, folkmoot.storage, folkmoot.node)


class Run(NamedTuple):
    """One run and how long it took, in real seconds."""

    report: Report
    real_s: float


def fingerprint() -> str:
    """A hash over the code that runs."""
    digest = hashlib.sha256()
    for package in CODE:
        [root] = package.__path__
        for file in sorted(Path(root).rglob("*.py")):
            digest.update(f"{package.__name__}/{file.relative_to(root)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


class Kept:
    """The file of what was run.

    Args:
        file: continued when it exists.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._code = fingerprint()
        self._known: dict[str, dict[str, Any]] = {}
        if file.exists():
            for line in file.read_text().splitlines():
                with suppress(ValueError, KeyError, TypeError):  # of its last line there may be half
                    self._learn(json.loads(line))

    def coverage_of(self, plan: Plan) -> dict[tuple[str, str], int] | None:
        """What a run of this plan that held has covered; None when there was none."""
        known = self._known.get(self._name(plan))
        return None if known is None else {(fault, name): many for fault, name, many in known["coverage"]}

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
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as opened:
            opened.write(json.dumps(told) + "\n")
        self._learn(told)

    def _learn(self, told: dict[str, Any]) -> None:
        if told["code"] == self._code:
            self._known[told["plan"]] = told

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
    pool_of = multiprocessing.get_context("spawn").Pool
    with pool_of(jobs, initializer=die_with_parent, initargs=(os.getpid(),)) as pool:
        yield from pool.imap_unordered(timed, plans)
