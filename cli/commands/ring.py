"""`folkmoot ring`: which nodes keep what, and what has still to move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from folkmoot.cli.accounts import AccountType
from folkmoot.cli.connection import Target, ask, converse, target_options
from folkmoot.cli.errors import Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.members import operator_option
from folkmoot.cli.moving import carry_out, dry_run_option, say, summary, wait_option, watch
from folkmoot.cli.output import Output, json_option, table
from folkmoot.protocol.identity import account_to_text


@click.group()
def command() -> None:
    """Show which nodes keep what, and what has still to move."""


@command.command(epilog=examples("folkmoot ring show", "folkmoot ring show --cluster local --json"))
@target_options
@json_option
def show(target: Target, output: Output) -> None:
    """Show how many ranges each node holds."""
    status = ask(target, "cluster.status")
    columns = ("name", "region", "ranges", "state", "id")
    nodes = [{column: node[column] for column in columns} for node in status["nodes"]]
    value = {
        "cluster": status["cluster"],
        "epoch": status["epoch"],
        "ranges": status["ranges"],
        "nodes": nodes,
    }
    heading = f"{status['ranges']['count']} ranges, epoch {status['epoch']}"
    output.result(value, [heading, *table(nodes, columns)])


@command.command(epilog=examples("folkmoot ring where did:key:z6Mk…"))
@click.argument("account", type=AccountType())
@target_options
@json_option
def where(account: bytes, target: Target, output: Output) -> None:
    """Show which nodes keep ACCOUNT's posts."""
    found = ask(target, "cluster.where", {"account": account})
    names = {node["id"]: node["name"] for node in ask(target, "cluster.status")["nodes"]}
    replicas = [{"name": names.get(replica["node"]), **replica} for replica in found["replicas"]]
    heading = f"range {found['range']}, epoch {found['epoch']}"
    lines = table(replicas, ("name", "region", "state", "node"))
    output.result({"account": account_to_text(account), **found, "replicas": replicas}, [heading, *lines])


@command.command(epilog=examples("folkmoot ring plan", "folkmoot ring plan --cluster local --json"))
@operator_option
@target_options
@json_option
def plan(operator: Path | None, target: Target, output: Output) -> int:
    """Show what has still to move, and how far it is.

    Exit code 3 says that nothing can be planned; the reason is told.
    """
    from folkmoot.cli.clients import operator_of

    told = ask(target, "ring.plan", operator=operator_of(target, operator))
    names = {node["id"]: node["name"] for node in ask(target, "cluster.status")["nodes"]}
    waits = [
        f"range {range_id} waits: {reason}"
        for node in told["progress"].values()
        for range_id, reason in node["stuck"].items()
    ]
    output.result(told, [f"epoch {told['epoch']}", *summary(told["plan"], names), *waits])
    return DEGRADED if told["plan"]["blocked"] else OK


@command.command(epilog=examples("folkmoot ring rebalance", "folkmoot ring rebalance --dry-run --json"))
@dry_run_option
@operator_option
@target_options
@json_option
def rebalance(dry_run: bool, operator: Path | None, target: Target, output: Output) -> int:
    """Watch until every range is where it is to be.

    Ranges move by themselves as soon as nodes come and go; this waits for them, with a progress bar. With
    --dry-run it shows what is left and does not wait.
    """
    from folkmoot.cli.clients import operator_of
    from folkmoot.protocol.client import Client

    async def talk(client: Client) -> dict[str, Any]:
        told = await client.call("ring.plan", {})
        status = await client.call("cluster.status", {})
        names = {node["id"]: node["name"] for node in status["nodes"]}
        value = {**told, "dry_run": dry_run, "summary": summary(told["plan"], names)}
        return value if dry_run else {**value, **await watch(client, output)}

    return say(converse(target, talk, operator=operator_of(target, operator)), output)


@command.command(
    epilog=examples("folkmoot ring replicas 3", "folkmoot ring replicas eu=2 us=1 --dry-run --cluster local")
)
@click.argument("counts", nargs=-1, required=True, metavar="COUNT...")
@dry_run_option
@wait_option
@operator_option
@target_options
@json_option
def replicas(
    counts: tuple[str, ...],
    dry_run: bool,
    wait: bool,
    operator: Path | None,
    target: Target,
    output: Output,
) -> int:
    """Say how many copies of everything there are to be: a total, or REGION=COUNT for each region."""
    from folkmoot.cli.clients import operator_of

    params = {"replicas": _counts(counts)}
    key = operator_of(target, operator)
    return carry_out(target, key, output, "ring.replicas", params, dry_run=dry_run, wait=wait)


def _counts(given: tuple[str, ...]) -> int | dict[str, int]:
    """A total, or so many in each region."""
    if len(given) == 1 and given[0].isdecimal():
        return int(given[0])
    pairs = [one.partition("=") for one in given]
    if not all(region and count.isdecimal() for region, _, count in pairs):
        raise Usage(f"{' '.join(given)} is neither a number nor REGION=NUMBER for each region")
    return {region: int(count) for region, _, count in pairs}
