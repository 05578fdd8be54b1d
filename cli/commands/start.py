"""`folkmoot start`: run a node."""

from __future__ import annotations

import click
from folkmoot.cli.config_option import ConfigChoice, config_option
from folkmoot.cli.examples import examples
from folkmoot.cli.node_parent import die_with_parent
from folkmoot.cli.output import Output, json_option


@click.command(
    epilog=examples(
        "folkmoot start",
        "folkmoot start --config /etc/folkmoot/folkmoot.toml",
        "folkmoot start --seed 10.0.0.1:7100 --set log.level=debug",
    )
)
@click.option(
    "--seed", "seeds", multiple=True, metavar="HOST:PORT", help="The peers' port of a node to ask first."
)
@click.option(
    "--die-with-parent",
    "parent",
    type=int,
    metavar="PID",
    help="Die at once when the parent process, which must be PID, ends.",
)
@config_option
@json_option
def command(seeds: tuple[str, ...], parent: int | None, choice: ConfigChoice, output: Output) -> None:
    """Run a node until it is told to stop.

    Prints one line when it has begun to listen, and writes `ready.json` into its data directory. SIGTERM or
    Ctrl-C stops it in good order, a second one at once; SIGHUP reads the configuration again.
    """
    if parent is not None:
        die_with_parent(parent)
    # Imported here so that `--help` need not wait for the whole node.
    from folkmoot.cli import node_process

    if seeds:
        choice.flags["cluster.seeds"] = ",".join(seeds)
    node_process.run(choice, output)
