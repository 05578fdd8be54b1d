"""`folkmoot simulate`: whole clusters on virtual time, broken on purpose, judged, and repeatable by seed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli import exit_codes
from folkmoot.cli.errors import Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.numbers import FiniteFloat
from folkmoot.cli.output import Output, json_option
from folkmoot.node.simulation.schedule import FAULTS, UnknownFault, parse_faults

if TYPE_CHECKING:
    from folkmoot.node.simulation.run import OnProgress, Plan, Report


class SeedRange(click.ParamType[range]):
    """`A..B`, both included."""

    name = "A..B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:
        """The seeds from A to B."""
        if isinstance(value, range):
            return value
        first, dots, last = str(value).partition("..")
        if not (dots and first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
            self.fail(f"{value!r} is not two numbers A..B with A at most B", param, ctx)
        return range(int(first), int(last) + 1)


class Episodes(click.ParamType[tuple[int, ...]]):
    """Numbers with commas, or `none`."""

    name = "LIST"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The numbers, in rising order."""
        if isinstance(value, tuple):
            return value
        numbers = [] if value == "none" else str(value).split(",")
        if not all(number.strip().isdecimal() for number in numbers):
            self.fail(f"{value!r} is not a list of numbers with commas, or none", param, ctx)
        return tuple(sorted({int(number) for number in numbers}))


@click.command(
    epilog=examples(
        "folkmoot simulate --seed 7",
        "folkmoot simulate --seed 7 --nodes 3 --minutes 2 --faults crash,partition",
        "folkmoot simulate --seeds 1..1000 --minutes 2 --jobs 2 --keep simulated.jsonl",
        "folkmoot simulate --seed 23 --minutes 2 --shrink 60",
        "folkmoot simulate --seeds 1..50 --minutes 5 --require-coverage",
    )
)
@click.option("--seed", type=click.IntRange(min=0), help="Decides everything. [default: 1]")
@click.option("--seeds", type=SeedRange(), help="One run after another, a seed each; instead of --seed.")
@click.option("--nodes", type=click.IntRange(1, 32), default=5, show_default=True, help="How many.")
@click.option(
    "--minutes",
    type=FiniteFloat(min=0.1, max=24 * 60),
    default=15.0,
    show_default=True,
    help="Virtual time under load; a quiet end comes on top.",
)
@click.option(
    "--faults",
    default="all",
    show_default=True,
    metavar="LIST",
    help=f"Which faults, with commas: {', '.join(FAULTS)}; or none, or all of these.",
)
@click.option("--people", type=click.IntRange(0, 100), default=3, show_default=True, help="Clients.")
@click.option(
    "--pause",
    "pause_s",
    type=FiniteFloat(min=0.05, max=3_600),
    default=4.0,
    show_default=True,
    help="Mean virtual seconds between two things a client does.",
)
@click.option("--episodes", type=Episodes(), help="Of the faults the seed makes, only these, by number.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Runs at once.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of what was run: a series goes on where it was interrupted.",
)
@click.option(
    "--shrink",
    type=FiniteFloat(min=0, max=86_400),
    default=0.0,
    show_default=True,
    help="When a run fails, look for so many seconds for fewer faults with which it still does.",
)
@click.option(
    "--require-coverage",
    is_flag=True,
    help="Fail also when an operation was never under way together with one of the faults.",
)
@json_option
def command(
    seed: int | None,
    seeds: range | None,
    nodes: int,
    minutes: float,
    faults: str,
    people: int,
    pause_s: float,
    episodes: tuple[int, ...] | None,
    jobs: int,
    keep: Path | None,
    shrink: float,
    require_coverage: bool,
    output: Output,
) -> int:
    """Run clusters on virtual time, break them, and check what they promise.

    The world has its own time, network and disks, and breaks them as the seed decides; clients write and
    read all the while. The same seed gives the same run. Ends with 1, and with the line that replays it, when
    a promise was broken. Last comes a table of which operations were tried while which faults were under way,
    over all runs, and the pairs that never were, by name.
    """
    # Imported here so that `--help` need not wait for the whole node.
    from folkmoot.node.simulation.run import Plan

    if seed is not None and seeds is not None:
        raise Usage("--seeds says which runs there are instead of --seed: one of the two")
    chosen = _read_faults(faults)
    tried: Counter[tuple[str, str]] = Counter()
    compared: Counter[str] = Counter()
    numbers = seeds or (1 if seed is None else seed,)
    plans = [Plan(each, nodes, minutes, chosen, people, pause_s, episodes=episodes) for each in numbers]
    for plan in plans:
        _check_episodes(plan)
    broken = 0
    for report, real_s in _runs(plans, jobs, keep, tried, compared, output):
        output.result(_to_json(report, real_s), _to_lines(report, real_s))
        tried.update(report.coverage)
        compared.update(report.compared)
        if not report.ok:
            broken += 1
            smaller = _smaller(report, shrink, output) if shrink else report.plan
            click.echo(f"replay: {replay_line(smaller, faults)}", err=True)
    if idle := [invariant for invariant, many in compared.items() if not many] if len(plans) > 1 else []:
        click.echo(f"in none of these runs had they anything to compare: {', '.join(idle)}", err=True)
    untried = _say_what_was_tried(tried, chosen, output)
    if require_coverage and untried:
        click.echo(f"coverage: {untried} pairs were never tried: more seeds, or more minutes", err=True)
    return exit_codes.FAILED if broken or (require_coverage and untried) else exit_codes.OK


def _say_what_was_tried(tried: Counter[tuple[str, str]], faults: tuple[str, ...], output: Output) -> int:
    """Say which operations were tried while which faults were under way; how many pairs never were."""
    from folkmoot.node.simulation.coverage import never_tried, table

    if faults:
        for line in table(tried, faults):
            output.note(line)
    return sum(map(len, never_tried(tried, faults).values()))


def _read_faults(text: str) -> tuple[str, ...]:
    """The faults that a list names.

    Raises:
        click.BadParameter: there is an empty word, or one that names no fault.
    """
    if not all(map(str.strip, text.split(","))):
        raise click.BadParameter("an empty word; for no fault at all say none", param_hint="--faults")
    try:
        return parse_faults(text)
    except UnknownFault as error:
        raise click.BadParameter(str(error), param_hint="--faults") from error


def _check_episodes(plan: Plan) -> None:
    """Refuse numbers of faults that the plan does not have.

    Raises:
        click.BadParameter: naming them.
    """
    from folkmoot.node.simulation.run import episodes_of

    if not plan.episodes:
        return
    there_are = episodes_of(replace(plan, episodes=None))
    missing = ", ".join(str(number) for number in plan.episodes if number not in there_are)
    if missing:
        raise click.BadParameter(
            f"seed {plan.seed} has {len(there_are)} faults, numbered from 1, and no {missing}",
            param_hint="--episodes",
        )


def replay_line(plan: Plan, faults: str) -> str:
    """The command that repeats a run exactly."""
    options = f"--seed {plan.seed} --nodes {plan.nodes} --minutes {plan.minutes:g} --faults {faults}"
    options += f" --people {plan.people} --pause {plan.pause_s:g}"
    if plan.episodes is not None:
        options += f" --episodes {','.join(map(str, plan.episodes)) or 'none'}"
    return f"folkmoot simulate {options}"


def _runs(
    plans: Sequence[Plan],
    jobs: int,
    keep: Path | None,
    tried: Counter[tuple[str, str]],
    compared: Counter[str],
    output: Output,
) -> Iterator[tuple[Report, float]]:
    """What comes of each plan; of those that are known to hold only what they covered and compared counts."""
    from folkmoot.cli.simulating.runs import Kept, run_all

    kept = None if keep is None else Kept(keep)
    left: list[Plan] = []
    for plan in plans:
        known = None if kept is None else kept.known_of(plan)
        if known is None:
            left.append(plan)
        else:
            tried.update(known.coverage)
            compared.update(known.compared)
    if len(left) < len(plans):
        output.note(f"{len(plans) - len(left)} of {len(plans)} runs are known to hold, from {keep}")
    for report, real_s in run_all(left, jobs) if jobs > 1 else (_run(plan, output) for plan in left):
        yield report, real_s
        if kept is not None:
            kept.keep(report)


def _smaller(report: Report, seconds: float, output: Output) -> Plan:
    """A plan with as few faults as can be found in time that still breaks what this run broke."""
    from folkmoot.cli.simulating.shrinking import shrink
    from folkmoot.node.simulation.run import simulate

    ends = time.monotonic() + seconds
    broken = {verdict.invariant for verdict in report.verdicts if not verdict.ok}

    def fails(episodes: tuple[int, ...]) -> bool:
        again = simulate(replace(report.plan, episodes=episodes))
        return any(verdict.invariant in broken and not verdict.ok for verdict in again.verdicts)

    output.note(f"looking for fewer faults than {len(report.episodes)} with which it still fails")
    fewer = shrink(report.episodes, fails, lambda: time.monotonic() < ends)
    output.note(f"it fails with {len(fewer)} of them")
    return replace(report.plan, episodes=fewer)


def _run(plan: Plan, output: Output) -> tuple[Report, float]:
    from folkmoot.node.simulation.run import simulate

    begun = time.perf_counter()
    with _progress(plan, quiet=output.as_json) as on_progress:
        report = simulate(plan, on_progress)
    return report, time.perf_counter() - begun


@contextmanager
def _progress(plan: Plan, *, quiet: bool) -> Iterator[OnProgress]:
    """A bar on standard error that follows virtual time, when somebody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda at_s: None
        return
    columns = (
        TextColumn("seed {task.fields[seed]}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} virtual s"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=plan.load_s, seed=plan.seed)
        yield lambda at_s: progress.update(bar, completed=min(at_s, plan.load_s))


def _to_json(report: Report, real_s: float) -> dict[str, Any]:
    return {
        "seed": report.plan.seed,
        "trace": report.trace,
        "simulated_s": round(report.simulated_s, 3),
        "real_s": round(real_s, 3),
        "checks": report.checks_to_json(),
        "tried": _tried(report),
    }


def _tried(report: Report) -> dict[str, dict[str, int]]:
    """Fault → operation → how often that was tried while the fault was under way."""
    tried: dict[str, dict[str, int]] = {}
    for (fault, operation), many in sorted(report.coverage.items()):
        tried.setdefault(fault, {})[operation] = many
    return tried


def _to_lines(report: Report, real_s: float) -> list[str]:
    speed = report.simulated_s / real_s
    lines = [
        f"seed {report.plan.seed}: {'ok' if report.ok else 'BROKEN'}, trace {report.trace}",
        f"  {report.simulated_s:.0f} simulated s in {real_s:.1f} s ({speed:.0f} times real time), "
        f"{report.events} events",
    ]
    for verdict in report.verdicts:
        facts = "".join(f", {name} {value}" for name, value in verdict.facts.items())
        lines.append(f"  {verdict.invariant:<6} {verdict.state}: {verdict.compared} comparisons{facts}")
        lines += [f"         {complaint}" for complaint in verdict.complaints[:10]]
    return lines
