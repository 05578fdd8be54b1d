"""`folkmoot ring`: which nodes keep what, what has still to move, and splitting what has grown."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click
from folkmoot.cli.accounts import AccountType
from folkmoot.cli.connection import Target, ask, converse, target_options
from folkmoot.cli.errors import Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.members import operator_option
from folkmoot.cli.moving import carry_out, dry_run_option, say, summary, wait_option, waits_of, watch
from folkmoot.cli.output import Output, json_option, table
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.key import place_prefix

PATIENCE_S = 45.0  # for a large range to be weighed
SPLIT_COLUMNS = ("range", "epoch", "start", "end", "cells", "bytes", "nodes")


class BoundType(click.ParamType[bytes]):
    """Where a range begins: an account, whose cells come first in it, or bytes in hexadecimal."""

    name = "key"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """The bound's bytes.

        Raises:
            click.BadParameter: it is neither.
        """
        if isinstance(value, bytes):
            return value
        if str(value).startswith("did:"):
            return place_prefix(AccountType().convert(value, param, ctx))
        try:
            return bytes.fromhex(str(value))
        except ValueError:
            self.fail(f"{value} is neither an account (did:key:…) nor bytes in hexadecimal", param, ctx)


@click.group()
def command() -> None:
    """Show which nodes keep what, and what has still to move."""


@command.command(
    epilog=examples(
        "folkmoot ring show", "folkmoot ring show 12", "folkmoot ring show --cluster local --json"
    )
)
@click.argument("range_id", metavar="[RANGE]", required=False, type=click.IntRange(min=0))
@operator_option
@target_options
@json_option
def show(range_id: int | None, operator: Path | None, target: Target, output: Output) -> None:
    """Show how many ranges each node holds; or of RANGE its bounds, its size now and its nodes."""
    if range_id is not None:
        _show_range(range_id, operator, target, output)
        return
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


@command.command(name="ls", epilog=examples("folkmoot ring ls", "folkmoot ring ls --cluster local --json"))
@operator_option
@target_options
@json_option
def list_ranges(operator: Path | None, target: Target, output: Output) -> None:
    """List all ranges: bounds, cells, size, nodes.

    Cells are those the asked node has now, of the ranges it holds; bytes what it found when it weighed a
    range last. `folkmoot ring show RANGE` has one weighed now.
    """
    from folkmoot.cli.clients import operator_of
    from folkmoot.protocol.client import Client

    async def talk(client: Client) -> tuple[list[dict[str, Any]], dict[str, str]]:
        found: list[dict[str, Any]] = []
        while page := (await client.call("ring.ranges", {"first": len(found)}))["ranges"]:
            found += page
        return found, _names((await client.call("cluster.status", {}))["nodes"])

    ranges, names = converse(target, talk, operator=operator_of(target, operator), patience_s=PATIENCE_S)
    output.result({"ranges": ranges}, _lines(ranges, names))


@command.command(
    epilog=examples(
        "folkmoot ring split 12",
        "folkmoot ring split 12 --dry-run",
        "folkmoot ring split 12 --at did:key:z6Mk…",
    )
)
@click.argument("range_id", metavar="RANGE", type=click.IntRange(min=0))
@click.option("--at", type=BoundType(), help="What the right part begins with. [default: the middle]")
@click.option("--dry-run", is_flag=True, help="Only show where it would be split.")
@operator_option
@target_options
@json_option
def split(
    range_id: int, at: bytes | None, dry_run: bool, operator: Path | None, target: Target, output: Output
) -> None:
    """Split RANGE in two, between two accounts.

    Ranges larger than `ring.split_bytes` are split by themselves. Both parts stay where the whole is until
    the plan has one of them moved (`folkmoot ring plan`). What is split is never joined again.
    """
    from folkmoot.cli.clients import operator_of

    params: dict[str, Any] = {"range": range_id, "dry_run": dry_run}
    if at is not None:
        params["at"] = at
    told = ask(target, "ring.split", params, operator=operator_of(target, operator), patience_s=PATIENCE_S)
    names = _names(ask(target, "cluster.status")["nodes"])
    would = "is split at" if told["split"] else "would be split at"
    heading = f"range {range_id} {would} {told['at'].hex()}"
    output.result(told, [heading, *_lines(told["ranges"], names)])


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

    Exit code 3 says that nothing can be planned, that something waits for a node that is away, or that fewer
    copies are possible than were asked for; the reason is told.
    """
    from folkmoot.cli.clients import operator_of

    told = ask(target, "ring.plan", operator=operator_of(target, operator))
    names = {node["id"]: node["name"] for node in ask(target, "cluster.status")["nodes"]}
    lines = [f"epoch {told['epoch']}", *summary(told["plan"], names), *waits_of(told)]
    if told["plan"]["fewer"]:
        lines.append(told["plan"]["fewer"])
    output.result(told, lines)
    return DEGRADED if any(told["plan"][what] for what in ("blocked", "waits", "fewer")) else OK


@command.command(epilog=examples("folkmoot ring rebalance", "folkmoot ring rebalance --dry-run --json"))
@dry_run_option
@operator_option
@target_options
@json_option
def rebalance(dry_run: bool, operator: Path | None, target: Target, output: Output) -> int:
    """Watch until every range is where it is to be.

    Ranges move by themselves as soon as nodes come and go; this waits for them, with a progress bar. With
    --dry-run it shows what is left and does not wait. Exit code 3 says that something is left, because
    nothing can be planned or nothing has moved for 30 seconds; the reason is told.
    """
    from folkmoot.cli.clients import operator_of
    from folkmoot.protocol.client import Client

    async def talk(client: Client) -> dict[str, Any]:
        told = await client.call("ring.plan", {})
        status = await client.call("cluster.status", {})
        names = {node["id"]: node["name"] for node in status["nodes"]}
        value = {**told, "dry_run": dry_run, "summary": [*summary(told["plan"], names), *waits_of(told)]}
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
    """Say how many copies of everything there are to be: a total, or REGION=COUNT for each region.

    Exit code 3 says that something is left to move, or that the nodes are too few for so many copies; a total
    grows to what was asked for as nodes join.
    """
    from folkmoot.cli.clients import operator_of

    params = {"replicas": _counts(counts)}
    key = operator_of(target, operator)
    return carry_out(target, key, output, "ring.replicas", params, dry_run=dry_run, wait=wait)


def _show_range(range_id: int, operator: Path | None, target: Target, output: Output) -> None:
    from folkmoot.cli.clients import operator_of

    told = ask(
        target,
        "ring.weigh",
        {"range": range_id},
        operator=operator_of(target, operator),
        patience_s=PATIENCE_S,
    )
    names = _names(ask(target, "cluster.status")["nodes"])
    middle = "one account or none" if told["middle"] is None else told["middle"].hex()
    lines = [
        f"range {told['id']}, epoch {told['epoch']}",
        f"from {told['start'].hex() or 'the beginning'}",
        f"to {told['end'].hex() or 'the end'}",
        f"{told['cells']:,} cells, {told['bytes'] / 1e6:,.1f} MB; middle: {middle}",
        f"on {_nodes_of(told, names)}",
    ]
    output.result(told, lines)


def _lines(ranges: list[dict[str, Any]], names: dict[str, str]) -> list[str]:
    """Ranges as a table; of bounds as much as tells them apart, mostly."""
    rows = [
        {
            **told,
            "range": told["id"],
            "start": _short(told["start"]),
            "end": _short(told["end"]),
            "nodes": _nodes_of(told, names),
        }
        for told in ranges
    ]
    return table(rows, SPLIT_COLUMNS)


def _short(bound: bytes) -> str:
    return bound[:8].hex() or "-"


def _nodes_of(told: dict[str, Any], names: dict[str, str]) -> str:
    """The nodes of a range, those of a slot that moves joined by an arrow."""
    slots = [[names.get(node.hex(), node.hex()[:8]) for node in slot["nodes"]] for slot in told["slots"]]
    return ", ".join("→".join(nodes) for nodes in slots)


def _names(nodes: list[dict[str, Any]]) -> dict[str, str]:
    return {node["id"]: node["name"] for node in nodes}


def _counts(given: tuple[str, ...]) -> int | dict[str, int]:
    """A total, or so many in each region."""
    if len(given) == 1 and given[0].isdecimal():
        if not int(given[0]):
            raise Usage("0 copies of everything would be none: say at least 1")
        return int(given[0])
    pairs = [one.partition("=") for one in given]
    if not all(region and count.isdecimal() for region, _, count in pairs):
        raise Usage(f"{' '.join(given)} is neither a number nor REGION=NUMBER for each region")
    if twice := [region for region, times in Counter(region for region, _, _ in pairs).items() if times > 1]:
        raise Usage(f"region {twice[0]} is given {twice[0]}=… more than once: say one number for each region")
    return {region: int(count) for region, _, count in pairs}
