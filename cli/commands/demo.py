"""`folkmoot demo`: watch a cluster of three regions lose a node, heal and answer."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import FAILED, OK
from folkmoot.cli.output import Output, json_option

if TYPE_CHECKING:
    from folkmoot.cli.demo.scene import Scene
    from folkmoot.cli.demo.stage import DemoResult

NODES_MIN = 3
NODES_MAX = 9


@click.command(
    epilog=examples(
        "folkmoot demo",
        "folkmoot demo --nodes 6 --keep",
        "folkmoot demo --posts posts.jsonl.gz --json",
    )
)
@click.option(
    "--posts",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of posts, as `import` reads it. [default: a conversation of our own]",
)
@click.option(
    "--nodes",
    type=click.IntRange(NODES_MIN, NODES_MAX),
    default=3,
    show_default=True,
    help="How many processes.",
)
@click.option("--regions", default="eu,us,ap", show_default=True, help="Three or more; dealt out in turn.")
@click.option("--keep", is_flag=True, help="Leave the cluster running, and say how to reach it.")
@click.option("--plain", is_flag=True, help="Lines instead of a live view, on a terminal too.")
@click.option(
    "--svg",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the last screen into this file.",
)
@json_option
def command(
    posts: Path | None,
    nodes: int,
    regions: str,
    keep: bool,
    plain: bool,
    svg: Path | None,
    output: Output,
) -> int:
    """Watch a cluster of three regions lose a node, heal and answer.

    Real processes on this machine take in a conversation; one is killed, a region is cut off, all heals, and
    every record that was acknowledged meanwhile is looked for on every replica. The cluster is gone
    afterwards. It takes less than a minute.

    Exit code 0 says that nothing was lost, nothing came back, and all replicas are equal.
    """
    import trio
    from folkmoot.cli.cluster.life import parse_shape
    from folkmoot.cli.demo.stage import DemoPlan
    from folkmoot.cli.joining.new_node import DEFAULT_POLICY

    if svg is not None:
        _require_writable(svg)  # rather than find out afterwards
    shape = parse_shape(nodes, regions, None, True, (f"gate.policy={DEFAULT_POLICY}",))
    if len(shape.regions) < NODES_MIN:
        raise click.UsageError("--regions wants three or more: one is cut off, one loses a node")
    result = trio.run(partial(_play, DemoPlan(posts, shape, keep), plain, output))
    if result is None:
        raise click.Abort
    _conclude(result, keep, plain, svg, output)
    return OK if result.passed else FAILED


def _require_writable(picture: Path) -> None:
    """Refuse a picture that could not be put in its place, and leave nothing there yet."""
    if picture.exists() and not picture.is_file():
        raise click.UsageError(f"--svg: {picture} is no file")
    try:
        tempfile.TemporaryFile(dir=picture.parent).close()
    except OSError as error:
        raise OperatorError(
            f"{picture} cannot be written: {error.strerror}", hint="name another file with --svg"
        ) from error


async def _play(plan: Any, plain: bool, output: Output) -> DemoResult | None:
    """Run the demo beside its view; None when a signal ended it."""
    import trio
    from folkmoot.cli.demo.scene import Scene
    from folkmoot.cli.demo.stage import Stage

    scene = Scene()
    result: DemoResult | None = None
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_on_signal, signals, nursery.cancel_scope, output)
            if not output.as_json:
                nursery.start_soon(_show, scene, plain)
            result = await Stage(plan, scene).run()
            nursery.cancel_scope.cancel()
    return result


async def _show(scene: Scene, plain: bool) -> None:
    from folkmoot.cli.demo.view import render, show_lines
    from folkmoot.cli.live import show_live
    from rich.console import Console

    if plain or not sys.stdout.isatty():
        scene.told = partial(click.echo)
        await show_lines(scene)
    else:
        await show_live(partial(render, scene), Console())


async def _cancel_on_signal(signals: AsyncIterator[int], scope: Any, output: Output) -> None:
    async for _number in signals:
        output.note("stopping the cluster")
        scope.cancel()
        return


def _conclude(result: DemoResult, keep: bool, plain: bool, svg: Path | None, output: Output) -> None:
    from folkmoot.cli.demo.view import conclusion, save_picture
    from rich.console import Console

    shown = conclusion(result.scene, result.conversation, result.reader, result.check)
    if svg is not None:
        save_picture(result.scene, shown, svg)
    value = _summary(result, keep)
    if output.as_json:
        output.result(value, "")
        return
    Console(no_color=plain).print(shown)
    click.echo(f"{value['acknowledged']:,} records acknowledged, {value['seconds']:.0f} s in all")
    if keep:
        name = result.cluster["name"]
        click.echo(f"the cluster {name} runs on:")
        click.echo(f"  folkmoot status --cluster {name}")
        click.echo(f"  folkmoot post --cluster {name} 'Good morning.'")
        click.echo(f"  folkmoot cluster down {name} --delete")


def _summary(result: DemoResult, keep: bool) -> dict[str, Any]:
    described, tally = result.cluster, result.load.tally
    value: dict[str, Any] = {
        "passed": result.passed,
        "nodes": len(described["nodes"]),
        "regions": list(dict.fromkeys(node["region"] for node in described["nodes"])),
        "posts": result.scene.posts,
        "acknowledged": tally.acknowledged,
        "refused": tally.refused,
        "uncertain": tally.uncertain,
        "skipped": tally.skipped,
        "faults": [fault.to_json() for fault in result.scene.faults],
        "check": result.check.summary(),
        "seconds": round(result.scene.seconds, 2),
    }
    if keep:
        value["cluster"] = described
    return value
