"""kill -9, a thousand times: `make kills`.

A cluster of three real processes is under write load all the while. Nodes are killed and started again, one
after another, as the seed says. Every so many kills the load stops, all is mended, what is uncertain is
settled, and every replica is compared byte for byte and held against every acknowledgement since the
beginning, those of earlier rounds too. A round that is over is written down, so that an interrupted
run goes on where it was; a broken promise ends it and leaves the cluster as it was found.

SIGKILL leaves the kernel's page cache alone, so this shows nothing about fsync: that no store is ever opened
without it is a test of its own (tests/storage/test_always_synced.py).
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import trio
from folkmoot.cli.chaos.own import own_shape
from folkmoot.cli.chaos.plan import plan_episodes
from folkmoot.cli.chaos.run import ChaosPlan, Run, check_replicas
from folkmoot.cli.chaos.scene import Scene
from folkmoot.cli.chaos.verdict import ChaosResult
from folkmoot.cli.checking.checker import CheckResult
from folkmoot.cli.cluster import life
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.cluster.supervisor import READY_S
from folkmoot.cli.journal import SUFFIX
from folkmoot.cli.progress import progress_bar

NAME: Final = "kills"
NODES: Final = 3
PACE_S: Final = 1.0
PEOPLE: Final = 24
PAUSE_S: Final = 0.05
QUIET_S: Final = 180.0


class Record:
    """The rounds that are over, a line of JSON each.

    Args:
        file: made when it does not exist.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        lines = file.read_text().splitlines() if file.exists() else []
        self.rounds: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def add(self, line: dict[str, Any]) -> None:
        """One more round is over."""
        self.rounds.append(line)
        with self._file.open("a") as opened:
            opened.write(json.dumps(line) + "\n")

    def total(self, figure: str) -> int:
        """The sum of a figure over all rounds."""
        return sum(line[figure] for line in self.rounds)


async def play_round(
    cluster: LocalCluster, seed: int, kills: int, on_kill: Callable[[], None]
) -> tuple[ChaosResult, CheckResult]:
    """Kill so often under load, heal, and compare; then compare again with all journals there are."""
    names = [node.name for node in cluster.manifest.nodes]
    episodes = plan_episodes(seed, names, 3 * PACE_S * (kills + 1), ("kill",), PACE_S)[:kills]
    plan = ChaosPlan(seed, 0.0, tuple(episodes), PEOPLE, PAUSE_S, QUIET_S, replay="make kills")

    def told(line: str) -> None:
        if "SIGKILL" in line:
            on_kill()

    result = await Run(plan, Scene(seed, 0.0, told)).on(cluster)
    journals = sorted((cluster.directory.path / "journals").glob(f"*{SUFFIX}"))
    return result, await check_replicas(cluster, journals, QUIET_S)


def told(result: ChaosResult, whole: CheckResult) -> dict[str, Any]:
    """What is written down of a round."""
    return {
        "seed": result.seed,
        "kills": result.done.get("kill", 0),
        "acknowledged": result.check.acknowledged,
        "seconds": round(result.seconds, 1),
        "returns": result.summary()["returns"],
        "passed": result.passed and whole.passed,
        "complaints": result.complaints(),
        "all_acknowledged": whole.acknowledged,
        "all_compared": whole.compared,
        "findings": [finding.sentence for finding in whole.findings],
    }


def say(record: Record, wanted: int) -> None:
    """The state of the run, in a line."""
    last, kills = record.rounds[-1], record.total("kills")
    click.echo(
        f"{'ok    ' if last['passed'] else 'BROKEN'} {kills:>5} of {wanted} kills, "
        f"{last['all_compared']:,} of {last['all_acknowledged']:,} acknowledged records compared, "
        f"{record.total('seconds'):,.0f} s"
    )


@click.command()
@click.option("--kills", default=1000, show_default=True, help="How many in all, earlier runs included.")
@click.option("--each", default=25, show_default=True, help="Kills between two comparisons.")
@click.option("--seed", default=1, show_default=True, help="Of the first round; each further one counts up.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("build/kills"),
    show_default=True,
    help="Where the cluster and the record are; remove it to begin anew.",
)
def main(kills: int, each: int, seed: int, folder: Path) -> None:
    """Kill nodes of a real cluster under load until it has been done so often, and compare."""
    folder.mkdir(parents=True, exist_ok=True)
    record = Record(folder / "rounds.jsonl")
    cluster = LocalCluster.find(directory=folder / "cluster")
    if not cluster.directory.exists:
        life.create(cluster, NAME, own_shape(NODES))
    life.up(cluster, READY_S)
    try:
        with progress_bar("kills", quiet=False) as on_progress:
            killed = itertools.count(record.total("kills") + 1)
            while record.total("kills") < kills and all(line["passed"] for line in record.rounds):
                count = min(each, kills - record.total("kills"))
                begun, on_kill = seed + len(record.rounds), lambda: on_progress(next(killed), kills)
                result, whole = trio.run(partial(play_round, cluster, begun, count, on_kill))
                record.add(told(result, whole))
                say(record, kills)
    finally:
        cluster.down()
    broken = [line for line in record.rounds if not line["passed"]]
    for line in broken:
        click.echo("\n".join([*line["complaints"], *line["findings"]]), err=True)
        click.echo(f"the cluster and its journals are in {folder}", err=True)
    sys.exit(1 if broken or not record.rounds else 0)


if __name__ == "__main__":
    main()
