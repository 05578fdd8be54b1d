"""What became of what was promised: replicas held against acknowledgements, and answers against each other.

`Checker` reads every replica by itself, as `folkmoot check` does. The others judge the history of what
clients were told, by the simulation's own checkers; each is a function of the history alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from folkmoot.cli.chaos.plan import Episode
from folkmoot.cli.checking.checker import CheckResult
from folkmoot.node.simulation.checkers import no_return, quorum, registers, sessions
from folkmoot.node.simulation.checkers.verdict import Inquiry, Verdict
from folkmoot.node.simulation.history import History

NEVER_SETTLED: Final = "writes never settled"


def _quorum(history: History) -> Iterable[Verdict]:
    inquiry = Inquiry("reads after writes")
    quorum.judge(inquiry, history)
    return [inquiry.verdict()]


def _no_return(history: History) -> Iterable[Verdict]:
    inquiry = Inquiry("nothing returns")
    no_return.judge(inquiry, history)
    return [inquiry.verdict()]


def _sessions(history: History) -> Iterable[Verdict]:
    return [inquiry.verdict() for inquiry in sessions.judge(history.exchanges).values()]


def _registers(history: History) -> Iterable[Verdict]:
    inquiry = Inquiry("registers are linearizable")
    facts = registers.judge(inquiry, history)
    return [inquiry.verdict(facts)]


JUDGES: Final[tuple[Callable[[History], Iterable[Verdict]], ...]] = (
    _quorum,
    _no_return,
    _sessions,
    _registers,
)


def judge_history(history: History) -> list[Verdict]:
    """Every verdict on what clients were told; one that nothing was compared for is broken."""
    return [verdict for judge in JUDGES for verdict in judge(history)]


@dataclass(frozen=True, slots=True)
class ChaosResult:
    """How a run ended.

    Args:
        seed: of the plan.
        episodes: the plan.
        done: how often each fault and each change was carried out.
        felt: fault → how many calls of clients went wrong while it was in force.
        took_s: how long each node that started took until it counted.
        late: those that did not in time, or were taken for old disks, a sentence each.
        counts: what became of what clients asked.
        check: of the replicas.
        verdicts: on the history.
        unrest: what was still being moved long after everything was mended, and backups that could not be
            made, a sentence each.
        deaths: nodes that ended although nobody had killed them, a sentence each.
        fail_stops: how many nodes ended because a write to their disk failed, as they should.
        nodes: how many there are, without those that were given up.
        seconds: of everything.
        cluster: its description at the end.
        replay: the command line that repeats the plan.
    """

    seed: int
    episodes: Sequence[Episode]
    done: dict[str, int]
    felt: Mapping[str, int]
    took_s: Sequence[float]
    late: Sequence[str]
    counts: dict[str, int]
    check: CheckResult
    verdicts: Sequence[Verdict]
    unrest: Sequence[str]
    deaths: Sequence[str]
    fail_stops: int
    nodes: int
    seconds: float
    cluster: dict[str, Any]
    replay: str

    @property
    def unsettled(self) -> int:
        """Writes that a whole, quiet cluster did not answer for within a minute."""
        return self.counts.get(NEVER_SETTLED, 0)

    def complaints(self) -> list[str]:
        """Everything that keeps this run from having passed, a sentence each."""
        check = self.check
        found = [f"{finding.violation.value}: {finding.sentence}" for finding in check.findings]
        if check.could_not_compare or check.compared != check.acknowledged:
            found.append(f"{check.acknowledged - check.compared} acknowledged records were not compared")
        if check.replicas != self.nodes:
            found.append(f"{check.replicas} of {self.nodes} nodes could be read")
        if not check.at_rest:
            found.append("the cluster did not come to rest in time")
        for verdict in self.verdicts:
            found += [f"{verdict.invariant}: {complaint}" for complaint in verdict.complaints]
        found += self.deaths
        found += self.late
        found += self.unrest
        if self.unsettled:
            found.append(f"{self.unsettled} writes found no certain answer in a whole cluster")
        if not check.acknowledged:
            found.append("nothing was acknowledged, so nothing was checked")
        return found

    @property
    def passed(self) -> bool:
        """Whether every promise was found kept, and every one was looked at."""
        return self.check.passed and not self.complaints()

    def summary(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "passed": self.passed,
            "seed": self.seed,
            "faults": dict(sorted(self.done.items())),
            "felt": dict(sorted(self.felt.items())),
            "returns": {
                "seen": len(self.took_s),
                "longest_s": round(max(self.took_s), 2) if self.took_s else None,
                "late": list(self.late),
            },
            "acknowledged": self.check.acknowledged,
            "check": self.check.summary(),
            "history": {verdict.invariant: verdict.to_json() for verdict in self.verdicts},
            "counts": dict(sorted(self.counts.items())),
            "unsettled": self.unsettled,
            "unrest": list(self.unrest),
            "deaths": list(self.deaths),
            "fail_stops": self.fail_stops,
            "nodes": self.nodes,
            "seconds": round(self.seconds, 2),
            "replay": self.replay,
        }
