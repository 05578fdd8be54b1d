"""`folkmoot cluster`: local clusters of real processes, to try things with and to break."""

from __future__ import annotations

import contextlib
import functools
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from folkmoot.cli.cluster import faults, life
from folkmoot.cli.cluster.control import LocalCluster, NotRunning, local_clusters, meant_cluster
from folkmoot.cli.cluster.layout import LOCAL, NODES_MAX
from folkmoot.cli.cluster.process import tail
from folkmoot.cli.cluster.supervisor import READY_S
from folkmoot.cli.commands import chaos
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.given import is_given
from folkmoot.cli.numbers import FiniteFloat
from folkmoot.cli.output import Output, json_option, table
from folkmoot.cli.terminal import visible

Command = TypeVar("Command", bound=Callable[..., Any])

COLUMNS: Final = ("name", "region", "state", "pid", "address", "id")


@click.group()
def command() -> None:
    """Run, break and mend local clusters of real processes.

    A cluster's nodes live under one supervisor that outlives the command which started it. Ports are the
    kernel's choice, so several clusters stand side by side; nothing needs root. Nodes are named after their
    regions (eu-1, us-1, …); wherever a NODE is asked for, a region or `all` is taken as well.
    """


command.add_command(chaos.command)


def cluster_name_option(parameter: str) -> Callable[[Command], Command]:
    """`--cluster`, passed on as a parameter of that name."""
    return click.option(
        "--cluster", parameter, metavar="NAME", help="Which cluster. [default: the one that runs, or local]"
    )


def cluster_option(command: Command) -> Command:
    """Give a command `--cluster` and `--dir`, and pass it a `cluster`."""

    @cluster_name_option("name")
    @dir_option
    @functools.wraps(command)
    def wrapped(*args: Any, name: str | None, directory: Path | None, **options: Any) -> Any:
        return command(*args, cluster=meant_cluster(name, directory), **options)

    return wrapped  # type: ignore[return-value]  # the same command with its `cluster` filled in


dir_option = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="The cluster's directory. [default: under the XDG state home]",
)
name_argument = click.argument("name", default=LOCAL)
nodes_argument = click.argument("nodes", nargs=-1, required=True, metavar="NODE...")


def _describe(described: dict[str, Any], output: Output) -> int:
    """Print a cluster as its supervisor describes it; degraded when a node does not run."""
    output.result(described, [f"cluster {described['name']}", *table(described["nodes"], COLUMNS)])
    return OK if all(node["state"] == "running" for node in described["nodes"]) else DEGRADED


@command.command(
    epilog=examples(
        "folkmoot cluster up",
        "folkmoot cluster up big --nodes 9 --regions eu,us,ap --replicas eu=1,us=1,ap=1 --json",
        "folkmoot cluster up bench --nodes 1 --tls off --set store.disk_cap=64GiB",
    )
)
@name_argument
@dir_option
@click.option(
    "--nodes", type=click.IntRange(1, NODES_MAX), default=3, show_default=True, help="How many nodes."
)
@click.option("--regions", default="eu,us,ap", show_default=True, help="Dealt out to the nodes in turn.")
@click.option("--replicas", help="Copies of each range: a number, or eu=1,us=1. [default: 3 or fewer]")
@click.option(
    "--tls",
    type=click.Choice(["on", "off"]),
    default="on",
    show_default=True,
    help="Certificates of its own, or plain connections.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="A setting of every node."
)
@click.option("--deadline", type=FiniteFloat(min=1), default=READY_S, show_default=True, help="Seconds.")
@json_option
def up(
    name: str,
    directory: Path | None,
    nodes: int,
    regions: str,
    replicas: str | None,
    tls: str,
    settings: tuple[str, ...],
    deadline: float,
    output: Output,
) -> int:
    """Start a local cluster, and return when every node answers.

    A cluster that was stopped comes back with its data.
    """
    cluster = LocalCluster.find(name, directory)
    if cluster.directory.exists:
        given = [key for key in ("nodes", "regions", "replicas", "tls", "settings") if is_given(key)]
        if given:
            raise OperatorError(
                f"cluster {name} exists, and --{given[0].replace('settings', 'set')} is for new ones",
                hint=f"folkmoot cluster down {name} --delete",
            )
    else:
        life.create(cluster, name, life.parse_shape(nodes, regions, replicas, tls == "on", settings))
    output.note(f"starting {len(cluster.manifest.nodes)} nodes in {cluster.directory.path}")
    return _describe(life.up(cluster, deadline), output)


@command.command(epilog=examples("folkmoot cluster ls"))
@json_option
def ls(output: Output) -> None:
    """List the local clusters, running or not."""
    rows = []
    for cluster in local_clusters():
        described: dict[str, Any] | None = None
        with contextlib.suppress(NotRunning):
            described = cluster.ask("status")
        running = (
            [] if described is None else [node for node in described["nodes"] if node["state"] == "running"]
        )
        rows.append(
            {
                "name": cluster.manifest.name,
                "running": described is not None,
                "nodes": len(cluster.manifest.nodes),
                "nodes_running": len(running),
                "directory": str(cluster.directory.path),
            }
        )
    columns = ("name", "running", "nodes", "nodes_running", "directory")
    output.result({"clusters": rows}, table(rows, columns) if rows else "no local clusters")


@command.command(epilog=examples("folkmoot cluster status", "folkmoot cluster status big --json"))
@click.argument("name", required=False)
@cluster_name_option("other")
@dir_option
@json_option
def status(name: str | None, other: str | None, directory: Path | None, output: Output) -> int:
    """Show a cluster's processes; exit code 3 when one of them does not run.

    NAME says which cluster, as --cluster does.
    """
    if name is not None and other is not None:
        raise Usage("name the cluster once: as NAME or with --cluster")
    return _describe(meant_cluster(name or other, directory).ask("status"), output)


def _done_to_running(cluster: LocalCluster, operation: str, words: tuple[str, ...], output: Output) -> int:
    """Do something to nodes, and say which of them it could not be done to because they do not run."""
    chosen = {node.name for node in cluster.manifest.find(words)}
    states = {node["name"]: node["state"] for node in cluster.ask("status")["nodes"]}
    idle = sorted(name for name in chosen if states[name] == "stopped")
    if idle == sorted(chosen):
        raise OperatorError(
            f"nothing to {operation}: {', '.join(idle)} did not run",
            hint=f"folkmoot cluster restart {idle[0]}",
        )
    _describe(cluster.ask(operation, words), output)
    if idle:
        output.note(f"{', '.join(idle)} did not run")
    return DEGRADED if idle else OK


@command.command(epilog=examples("folkmoot cluster kill us-1", "folkmoot cluster kill eu ap-1"))
@nodes_argument
@cluster_option
@json_option
def kill(nodes: tuple[str, ...], cluster: LocalCluster, output: Output) -> int:
    """End nodes at once (SIGKILL); `restart` brings them back.

    Exit code 3 says that some of them did not run anyway, 1 that none did.
    """
    return _done_to_running(cluster, "kill", nodes, output)


@command.command(epilog=examples("folkmoot cluster pause us-1"))
@nodes_argument
@cluster_option
@json_option
def pause(nodes: tuple[str, ...], cluster: LocalCluster, output: Output) -> int:
    """Freeze nodes (SIGSTOP): they keep their ports and answer nothing.

    Exit code 3 says that some of them do not run, 1 that none does.
    """
    return _done_to_running(cluster, "pause", nodes, output)


@command.command(epilog=examples("folkmoot cluster resume us-1"))
@nodes_argument
@cluster_option
@json_option
def resume(nodes: tuple[str, ...], cluster: LocalCluster, output: Output) -> None:
    """Let paused nodes go on."""
    cluster.manifest.find(nodes)
    _describe(life.changed(cluster, "resume", nodes), output)


@command.command(epilog=examples("folkmoot cluster restart us-1", "folkmoot cluster restart all"))
@nodes_argument
@cluster_option
@json_option
def restart(nodes: tuple[str, ...], cluster: LocalCluster, output: Output) -> None:
    """Stop nodes in good order if they run, and start them again with their data."""
    cluster.manifest.find(nodes)
    _describe(life.changed(cluster, "restart", nodes), output)


@command.command(
    epilog=examples(
        "folkmoot cluster partition ap                 (ap from everyone else)",
        "folkmoot cluster partition eu us,ap-1         (any number of sides)",
        "folkmoot cluster partition eu us --one-way    (eu cannot reach us; us reaches eu)",
    )
)
@click.argument("groups", nargs=-1, required=True, metavar="GROUP...")
@click.option("--one-way", is_flag=True, help="Cut only what travels from an earlier group to a later one.")
@cluster_option
@json_option
def partition(groups: tuple[str, ...], one_way: bool, cluster: LocalCluster, output: Output) -> None:
    """Cut all links between groups of nodes.

    A GROUP is a comma-separated list of nodes and regions; nodes in no group form one more. Existing faults
    stay.
    """
    sides = [side for group in groups for side in group.split("|")]
    _faulted(cluster, faults.partition(cluster.manifest, sides, one_way=one_way), output)


@command.command(
    epilog=examples(
        "folkmoot cluster slow eu:ap --delay-ms 120",
        "folkmoot cluster slow eu-1:all --loss 0.05 --one-way",
    )
)
@click.argument("link", metavar="FROM:TO")
@click.option("--delay-ms", type=FiniteFloat(0, 60_000), default=0.0, help="Added to every message.")
@click.option("--loss", type=FiniteFloat(0, 1), default=0.0, help="The share of messages that is lost.")
@click.option("--one-way", is_flag=True, help="Only from FROM to TO.")
@cluster_option
@json_option
def slow(
    link: str, delay_ms: float, loss: float, one_way: bool, cluster: LocalCluster, output: Output
) -> None:
    """Delay or lose what travels between nodes, in both directions."""
    faults.read_link(link)
    if not (delay_ms or loss):
        raise click.UsageError("give --delay-ms or --loss; `folkmoot cluster heal` ends what there is")
    wanted = faults.slow(cluster.manifest, link, delay_ms=delay_ms, loss=loss, one_way=one_way)
    _faulted(cluster, wanted, output)


@command.command(epilog=examples("folkmoot cluster heal"))
@cluster_option
@json_option
def heal(cluster: LocalCluster, output: Output) -> None:
    """End all faults on links."""
    _put_in_force(cluster, [], output)
    output.result({"faults": []}, "all links are whole")


def _put_in_force(cluster: LocalCluster, wanted: list[faults.LinkFault], output: Output) -> None:
    absent = life.set_faults(cluster, wanted)
    if absent:
        output.note(f"told when they run again: {', '.join(absent)}")


def _faulted(cluster: LocalCluster, new: list[faults.LinkFault], output: Output) -> None:
    wanted = faults.merged(faults.read_faults(cluster.directory), new)
    _put_in_force(cluster, wanted, output)
    rows = [
        {
            "from": fault.source,
            "to": fault.to,
            "cut": fault.cut,
            "delay_ms": fault.delay_ms,
            "loss": fault.loss,
        }
        for fault in wanted
    ]
    output.result({"faults": rows}, table(rows, ("from", "to", "cut", "delay_ms", "loss")))


@command.command(epilog=examples("folkmoot cluster down", "folkmoot cluster down big --delete"))
@name_argument
@dir_option
@click.option("--delete", is_flag=True, help="Remove its directory too: data, keys and logs.")
@json_option
def down(name: str, directory: Path | None, delete: bool, output: Output) -> None:
    """Stop a local cluster; `up` brings it back with its data."""
    cluster = LocalCluster.find(name, directory)
    name, path = cluster.manifest.name, str(cluster.directory.path)
    cluster.down()
    if delete:
        cluster.directory.delete()
    told = f"cluster {name} is down" + ("" if delete else f"; its data stay in {path}")
    output.result({"name": name, "directory": path, "deleted": delete}, told)


@command.command(
    epilog=examples(
        "folkmoot cluster logs", "folkmoot cluster logs us-1 -n 200", "folkmoot cluster logs eu -f"
    )
)
@click.argument("nodes", nargs=-1, metavar="[NODE...]")
@click.option(
    "-n", "--lines", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Of each log."
)
@click.option("-f", "--follow", is_flag=True, help="Go on as the logs grow.")
@cluster_option
@json_option
def logs(nodes: tuple[str, ...], lines: int, follow: bool, cluster: LocalCluster, output: Output) -> None:
    """Show the ends of nodes' logs."""
    chosen = cluster.manifest.find(nodes or ("all",))
    files = {node.name: cluster.directory.log_file(node.name) for node in chosen}
    if follow:
        _follow(list(files.values()), lines)
        return
    ends = {name: tail(file, lines) for name, file in files.items()}
    text = [line for name, end in ends.items() for line in (f"==> {name} <==", *end, "")]
    output.result({"logs": ends}, text)


def _follow(files: list[Path], lines: int) -> None:
    """Print the ends of files, and what is added to them, until interrupted."""
    command = ["tail", "-n", str(lines), "-F", *map(str, files)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            click.echo(visible(line.decode(errors="replace")), nl=False)
