"""`folkmoot cluster chaos`: break a cluster of real processes by a seeded plan, heal it, and judge."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.chaos.own import NODES, own_cluster, own_shape
from folkmoot.cli.chaos.plan import CHANGES, FAULTS, Episode, plan_episodes, possible_changes, spared_of
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.cluster.layout import NODES_MAX, node_regions
from folkmoot.cli.durations import Duration
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import FAILED, OK
from folkmoot.cli.numbers import FiniteFloat
from folkmoot.cli.output import Output, json_option

if TYPE_CHECKING:
    from folkmoot.cli.chaos.run import ChaosPlan
    from folkmoot.cli.chaos.scene import Scene
    from folkmoot.cli.chaos.verdict import ChaosResult
    from folkmoot.cli.cluster.layout import Shape

SECONDS_MIN: Final = 5.0
SECONDS_MAX: Final = 24 * 3600.0
PAUSE_S: Final = 0.25  # between two things one person does, on average
COMPLAINTS_TOLD: Final = 50


class FaultList(click.ParamType[tuple[str, ...]]):
    """Names of faults with commas, `all` or `none`."""

    name = "LIST"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The faults, in their usual order."""
        if isinstance(value, tuple):
            return value
        words = {"all": FAULTS, "none": ()}.get(value, tuple(str(value).split(",")))
        for word in words:
            if word not in FAULTS:
                self.fail(f"there is no fault {word!r}; there are {', '.join(FAULTS)}", param, ctx)
        return tuple(fault for fault in FAULTS if fault in words)


@click.command(
    "chaos",
    epilog=examples(
        "folkmoot cluster chaos --seed 7 --for 5m",
        "folkmoot cluster chaos --seed 7 --for 5m --dry-run",
        "folkmoot cluster chaos --faults kill,partition,drain --nodes 5 --for 90s --json",
        "folkmoot cluster chaos --name local --for 1h",
    ),
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Decides the plan.")
@click.option(
    "--for",
    "seconds",
    type=Duration(SECONDS_MIN, SECONDS_MAX),
    default="1m",
    show_default=True,
    help="How long to load.",
)
@click.option("--name", metavar="NAME", help="A running local cluster. [default: one of its own]")
@click.option(
    "--nodes",
    type=click.IntRange(3, NODES_MAX),
    default=NODES,
    show_default=True,
    help="How many processes a cluster of its own has, in three regions.",
)
@click.option(
    "--faults",
    type=FaultList(),
    default="all",
    show_default=True,
    help=f"Which, with commas: {', '.join(FAULTS)}; or all, or none.",
)
@click.option(
    "--pace",
    type=FiniteFloat(min=0.5, max=3600),
    default=6.0,
    show_default=True,
    help="Mean seconds from one fault on nodes to the next, from one on links, and from one change.",
)
@click.option(
    "--people", type=click.IntRange(1, 200), default=8, show_default=True, help="Clients that write and read."
)
@click.option(
    "--quiet",
    "quiet_s",
    type=FiniteFloat(min=0),
    default=120.0,
    show_default=True,
    help="Seconds to wait, after the heal, for the cluster to come to rest and its replicas to become equal.",
)
@click.option("--keep", is_flag=True, help="Leave its own cluster running, and say how to reach it.")
@click.option("--dry-run", is_flag=True, help="Print the plan, and do nothing.")
@click.option("--plain", is_flag=True, help="Lines instead of a live view, on a terminal too.")
@json_option
def command(
    seed: int,
    seconds: float,
    name: str | None,
    nodes: int,
    faults: tuple[str, ...],
    pace: float,
    people: int,
    quiet_s: float,
    keep: bool,
    dry_run: bool,
    plain: bool,
    output: Output,
) -> int:
    """Break a cluster of real processes by plan, heal it, and check what it promised.

    Clients post, edit, delete, like, follow and read at every level, moving from node to node with their
    tokens, while nodes are killed, frozen and restarted, their files may not grow, and links are cut or
    slow; and meanwhile nodes are drained and join again, ranges are split, seats change, backups are made and
    verified, and one node is given up and replaced. Then all is mended and comes to rest, every replica is
    read by itself and held against every acknowledgement, and everything clients were told is judged. The
    seed decides what is done when.

    Exit code 0 says that everything was compared and every promise kept. A cluster of its own is gone
    afterwards, after Ctrl-C too; one that failed is stopped, and its logs and stores stay. One that was named
    is left running with nothing broken.
    """
    cluster = None if name is None else _running(name)
    shape = own_shape(nodes)
    regions = node_regions(shape) if cluster is None else cluster.manifest.regions()
    spared = spared_of(regions)
    own = cluster is None
    _note_impossible(faults, possible_changes(list(regions), spared, own=own), output)
    episodes = plan_episodes(seed, list(regions), seconds, faults, pace, spared, own=own)
    if dry_run:
        _print_plan(episodes, output)
        return OK
    import trio
    from folkmoot.cli.chaos.run import ChaosPlan

    replay = replay_line(seed, seconds, name, nodes, faults, pace, people)
    plan = ChaosPlan(seed, seconds, tuple(episodes), people, PAUSE_S, quiet_s, replay, keep)
    result = trio.run(partial(_play, plan, shape, cluster, plain, output))
    if result is None:
        raise click.Abort
    _conclude(result, keep and cluster is None, output)
    return OK if result.passed else FAILED


def replay_line(
    seed: int, seconds: float, name: str | None, nodes: int, faults: Sequence[str], pace: float, people: int
) -> str:
    """The command that carries out the same plan."""
    words = ",".join(faults) or "none"
    where = f"--nodes {nodes}" if name is None else f"--name {name}"
    return (
        f"folkmoot cluster chaos --seed {seed} --for {seconds:g}s {where} "
        f"--faults {'all' if tuple(faults) == FAULTS else words} --pace {pace:g} --people {people}"
    )


def _running(name: str) -> LocalCluster:
    cluster = LocalCluster.find(name)
    states = [node["state"] for node in cluster.ask("status")["nodes"]]
    if any(state != "running" for state in states):
        raise OperatorError(f"not all nodes of cluster {name} run", hint=f"folkmoot cluster up {name}")
    return cluster


def _note_impossible(faults: Sequence[str], possible: Sequence[str], output: Output) -> None:
    """Say which of the changes that were asked for cannot be made in this cluster."""
    if missing := [fault for fault in faults if fault in CHANGES and fault not in possible]:
        output.note(
            f"left out: {', '.join(missing)}; nodes are drained and replaced where their region has another, "
            "and replaced only in a cluster that the run makes for itself"
        )


def _print_plan(episodes: Sequence[Episode], output: Output) -> None:
    import msgspec

    lines = [
        f"{episode.at_s:8.2f} s  {episode.sentence()}"
        + (f", for {episode.lasts_s:.2f} s" if episode.lasts_s else "")
        for episode in episodes
    ]
    output.result({"episodes": msgspec.to_builtins(episodes)}, lines or "nothing is to be broken")


async def _play(
    plan: ChaosPlan, shape: Shape, cluster: LocalCluster | None, plain: bool, output: Output
) -> ChaosResult | None:
    """Run beside the view; None when a signal ended it."""
    import trio
    from folkmoot.cli.chaos.run import Run
    from folkmoot.cli.chaos.scene import Scene

    scene = Scene(plan.seed, plan.seconds)
    result: ChaosResult | None = None
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_on_signal, signals, nursery.cancel_scope, output)
            if not output.as_json:
                nursery.start_soon(_show, scene, plain)
            if cluster is not None:
                result = await Run(plan, scene).on(cluster)
            else:
                async with own_cluster(shape, keep=plan.keep) as own:
                    result = await Run(plan, scene).on(own.cluster)
                    own.failed = not result.passed
            nursery.cancel_scope.cancel()
    return result


async def _show(scene: Scene, plain: bool) -> None:
    from folkmoot.cli.chaos.view import render, show_lines
    from folkmoot.cli.live import show_live
    from rich.console import Console

    if plain or not sys.stderr.isatty():
        scene.told = partial(click.echo, err=True)
        await show_lines(scene)
    else:
        await show_live(partial(render, scene), Console(stderr=True))


async def _cancel_on_signal(signals: AsyncIterator[int], scope: Any, output: Output) -> None:
    async for _number in signals:
        output.note("mending what is broken, then stopping")
        scope.cancel()
        return


def _conclude(result: ChaosResult, kept: bool, output: Output) -> None:
    value = result.summary()
    if kept:
        value["cluster"] = result.cluster
    output.result(value, _lines(result, kept))
    if not result.passed:
        output.note(f"replay: {result.replay}")
        output.note(f"its logs and stores are in {result.cluster['directory']}")


def _lines(result: ChaosResult, kept: bool) -> list[str]:
    check, complaints = result.check.summary(), result.complaints()
    lines = complaints[:COMPLAINTS_TOLD]
    if len(complaints) > len(lines):
        lines.append(f"… and {len(complaints) - len(lines):,} more")
    done = ", ".join(f"{count} {fault}" for fault, count in sorted(result.done.items()))
    lines.append(f"carried out: {done or 'nothing'}; {result.fail_stops} nodes ended for want of room")
    felt = ", ".join(f"{count:,} {fault}" for fault, count in sorted(result.felt.items()))
    lines.append(f"calls that went wrong meanwhile: {felt or 'none'}")
    if result.took_s:
        starts, longest_s = len(result.took_s), max(result.took_s)
        lines.append(f"{starts} starts were seen to count again, the slowest after {longest_s:.1f} s")
    for verdict in result.verdicts:
        lines.append(f"{verdict.invariant}: {verdict.state}, {verdict.compared:,} comparisons")
    lines.append(
        f"{'passed' if result.passed else 'FAILED'}: {check['compared']:,} of {check['acknowledged']:,}"
        f" acknowledged records compared on {check['replicas']} replicas after {result.seconds:.0f} s:"
        f" {check['lost']} lost, {check['resurrected']} resurrected, {check['diverged']} diverged,"
        f" {check['duplicated']} duplicated, {check['could_not_compare']} not compared"
    )
    lines.append(f"the same plan again: {result.replay}")
    if kept:
        name = result.cluster["name"]
        lines += [
            f"the cluster {name} runs on:",
            f"  folkmoot status --cluster {name}",
            f"  folkmoot check --cluster {name}",
            f"  folkmoot cluster down {name} --delete",
        ]
    return lines
