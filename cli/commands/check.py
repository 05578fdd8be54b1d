"""`folkmoot check`: compare what a cluster acknowledged with what it has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.connection import Target, lazy_target_options
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK
from folkmoot.cli.members import operator_option
from folkmoot.cli.numbers import FiniteFloat
from folkmoot.cli.output import Output, json_option

if TYPE_CHECKING:
    from folkmoot.cli.checking.checker import CheckResult


@click.command(
    epilog=examples(
        "folkmoot check --cluster local",
        "folkmoot check --cluster local --journal mine.journal --deadline 120 --json",
        "folkmoot check --node 10.0.0.7:7400 --ca ca.crt --operator operator.key",
        "folkmoot check --linearizability histories/",
        "folkmoot check --linearizability histories/ --tries 50000000",
    )
)
@click.option(
    "--journal",
    "journals",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A journal of acknowledgements. May be repeated. [default: all that are kept with the cluster]",
)
@click.option(
    "--deadline",
    type=FiniteFloat(min=0),
    default=60.0,
    show_default=True,
    help="Seconds to wait for the cluster to come to rest and its replicas to become equal.",
)
@operator_option
@click.option(
    "--linearizability",
    "histories",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Judge the histories of operations in this folder instead; no cluster is asked.",
)
@click.option(
    "--tries",
    type=click.IntRange(min=1),
    help="With --linearizability: how many steps the search for one object's order may take. "
    "[default: 5,000,000, some ten seconds]",
)
@lazy_target_options
@json_option
def command(
    journals: tuple[Path, ...],
    deadline: float,
    operator: Path | None,
    histories: Path | None,
    tries: int | None,
    find_target: Callable[[], Target],
    output: Output,
) -> int:
    """Compare what a cluster acknowledged with what it has.

    Every replica is read by itself, byte for byte; nodes that hold no range and are to have none are left
    out. Of the records that import, bench and demo were acknowledged, and wrote into journals, none may be
    lost, none that was deleted or switched off may be back, no two replicas may differ, and nothing may be
    there twice.

    Exit code 0 says that everything was compared and found kept. What could not be compared is a failure.

    With --linearizability, each history in a folder is judged by itself: is there an order of its operations,
    within their times, in which a single copy would have answered so? Exit code 0 says that all are as
    expected.csv or their names (-ok, -bad) say, or linearizable where nothing is said; 1 that one is not, or
    that a file is no history; 3 that none is known not to be, but that the search came to its bound and left
    some undecided.
    """
    if histories is not None:
        return _judge(histories, tries, output)
    if tries is not None:
        raise Usage("--tries goes with --linearizability", hint="folkmoot check --help")
    import trio

    result = trio.run(partial(_check, journals, deadline, operator, find_target(), output))
    output.result(result.summary(), _text(result))
    return OK if result.passed else FAILED


def _judge(folder: Path, tries: int | None, output: Output) -> int:
    from folkmoot.cli.checking.linearizability import judge_folder
    from folkmoot.node.simulation.checkers.linearizability import TRIES_MAX

    result = judge_folder(folder, tries_max=tries or TRIES_MAX)
    output.result(result.summary(), result.text())
    return OK if result.passed else FAILED if result.refuted else DEGRADED


async def _check(
    journals: tuple[Path, ...], deadline: float, operator: Path | None, target: Target, output: Output
) -> CheckResult:
    from folkmoot.cli.checking.checker import Checker, read_promises
    from folkmoot.cli.checking.replicas import open_replicas
    from folkmoot.cli.clients import journals_of, operator_of
    from folkmoot.cli.journal import SUFFIX

    key = operator_of(target, operator)
    if key is None:
        raise OperatorError(
            "a node lets only operators read what it holds by itself", hint="--operator KEYFILE"
        )
    async with open_replicas(target, key) as replicas:
        kept = journals_of(target, replicas.cluster)
        promises = read_promises(journals or sorted(kept.glob(f"*{SUFFIX}")), replicas.cluster)
        output.note(f"comparing {promises.count:,} acknowledged records on {len(replicas.reached)} nodes")
        return await Checker(replicas, promises, deadline).run()


def _text(result: CheckResult) -> list[str]:
    value: dict[str, Any] = result.summary()
    lines = [f"{finding['violation']}: {finding['sentence']}" for finding in value["findings"]]
    if len(result.findings) > len(lines):
        lines.append(f"… and {len(result.findings) - len(lines):,} more")
    if result.silent:
        lines.append(f"no answer from {', '.join(result.silent)}")
    if not result.at_rest:
        lines.append("the cluster did not come to rest in time")
    lines.append(
        f"{'passed' if result.passed else 'FAILED'}: {result.compared:,} of {result.acknowledged:,}"
        f" acknowledged records compared on {result.replicas} replicas in {result.seconds:.1f} s:"
        f" {value['lost']} lost, {value['resurrected']} resurrected, {value['diverged']} diverged,"
        f" {value['duplicated']} duplicated, {result.could_not_compare} not compared"
    )
    return lines
