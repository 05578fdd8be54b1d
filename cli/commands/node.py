"""`folkmoot node`: which nodes belong to a cluster, and how they come and go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
from folkmoot.cli.connection import Target, ask, lazy_target_options, target_options
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import OK
from folkmoot.cli.joining.newcomers import Invitation, accept, newcomer_options
from folkmoot.cli.members import find_node, operator_option, standing_of
from folkmoot.cli.moving import carry_out, dry_run_option, wait_option
from folkmoot.cli.output import Output, json_option, table

COLUMNS = ("name", "region", "roster", "state", "ranges", "address", "id")

NEXT: Final = {
    "node.replace": "{name} is given up for dead and still on the roster, so the cluster counts as degraded: "
    "folkmoot node decommission {name} takes it off",
    "node.decommission": "{name} is off the roster: stop it, and erase its data directory with its keys",
}
"""What an operator can do once a change is carried out."""


@click.group()
def command() -> None:
    """Show, add, drain, decommission and replace nodes.

    A machine becomes a node with a join token (`folkmoot join-token`). What has to move
    because a node comes or goes is shown first, moves by itself, and goes on after any crash.
    """


@command.command(epilog=examples("folkmoot node ls", "folkmoot node ls --cluster local --json"))
@target_options
@json_option
def ls(target: Target, output: Output) -> None:
    """List the nodes, members and others that run."""
    status = ask(target, "cluster.status")
    rows = [{**node, "roster": standing_of(node)} for node in status["nodes"]]
    nodes = [{column: node[column] for column in (*COLUMNS, "member")} for node in status["nodes"]]
    output.result({"epoch": status["epoch"], "nodes": nodes}, table(rows, COLUMNS))


@command.command(epilog=examples("folkmoot node show eu-1", "folkmoot node show --cluster local eu-1 --json"))
@click.argument("name", metavar="NODE")
@operator_option
@target_options
@json_option
def show(name: str, operator: Path | None, target: Target, output: Output) -> None:
    """Show how NODE (a name or an id) stands, and what moves towards it and from it."""
    from folkmoot.cli.clients import operator_of

    node = find_node(name, ask(target, "cluster.status")["nodes"])
    told = ask(target, "ring.plan", operator=operator_of(target, operator))
    slots = told["plan"]["nodes"].get(node["id"], {"gets": 0, "gives": 0})
    gets, gives = slots["gets"], slots["gives"]
    waits = [wait["reason"] for wait in told["plan"]["waits"] if wait["node"] == node["id"]]
    progress = told["progress"].get(node["id"])
    value = {**node, "gets": gets, "gives": gives, "blocked": told["plan"]["blocked"]}
    value |= {"waits": waits, "progress": progress}
    lines = [
        f"{node['name']} in {node['region']}: {standing_of(node)}, {node['state']}",
        f"id {node['id']}, address {node['address'] or 'unknown'}",
        f"{node['ranges']} ranges; {gets} still to come, {gives} still to go",
        *waits,
        *_moving_lines(progress),
        *(f"blocked: {reason}" for reason in told["plan"]["blocked"]),
    ]
    output.result(value, lines)


def _moving_lines(progress: dict[str, Any] | None) -> list[str]:
    if progress is None:
        return []
    lines = []
    for range_id, work in progress["running"].items():
        copied = f", {work['cells']:,} cells so far" if "cells" in work else ""
        lines.append(f"range {range_id}: {work['doing']}{copied}")
    return lines + [f"range {range_id} waits: {reason}" for range_id, reason in progress["stuck"].items()]


@command.command(
    epilog=examples(
        "folkmoot node join --token fmj1_…",
        "folkmoot node join --token - --region eu --dir /srv/folkmoot --no-start < token",
        "folkmoot node join --cluster local eu-4 --dry-run --json",
    )
)
@click.argument("name", required=False, metavar="[NODE]")
@newcomer_options
@dry_run_option
@wait_option
@operator_option
@lazy_target_options
@json_option
def join(
    name: str | None,
    invitation: Invitation,
    dry_run: bool,
    wait: bool,
    operator: Path | None,
    find_target: Callable[[], Target],
    output: Output,
) -> int:
    """Become a node of a cluster with a join token, or make NODE a member.

    With --token (`folkmoot join-token create`), on the new machine: makes a data directory with keys,
    certificate and configuration, and runs the node. It becomes a member and is given its share of the
    ranges; its log says how far that is. Should it be cut short, the same command goes on.

    With NODE (a name or an id) instead: it runs already, with nodes of the cluster as its seeds (`folkmoot
    init`, `folkmoot start`). For a member that was drained, or is leaving and has not left yet, this takes
    that back.
    """
    if invitation.token is not None:
        if name is not None or dry_run or operator is not None:
            raise Usage("--token is for this machine: it goes with neither NODE, --dry-run nor --operator")
        accept(invitation, output)
        return OK
    if name is None:
        raise Usage("say --token TOKEN on a new machine, or which NODE is to be a member")
    invitation.refuse_without_token()
    return _change("node.join", name, dry_run, wait, operator, find_target(), output)


@command.command(
    epilog=examples("folkmoot node drain eu-1", "folkmoot node drain --cluster local eu-1 --no-wait")
)
@click.argument("name", metavar="NODE")
@dry_run_option
@wait_option
@operator_option
@target_options
@json_option
def drain(name: str, dry_run: bool, wait: bool, operator: Path | None, target: Target, output: Output) -> int:
    """Move all ranges away from NODE, which stays a member.

    For work on a machine, or to keep a spare. `folkmoot node join NODE` gives it ranges again. Refused when
    the other nodes are too few for the copies there are to be.
    """
    return _change("node.drain", name, dry_run, wait, operator, target, output)


@command.command(
    epilog=examples(
        "folkmoot node decommission eu-1", "folkmoot node decommission --cluster local eu-1 --dry-run"
    )
)
@click.argument("name", metavar="NODE")
@dry_run_option
@wait_option
@operator_option
@target_options
@json_option
def decommission(
    name: str, dry_run: bool, wait: bool, operator: Path | None, target: Target, output: Output
) -> int:
    """Have NODE leave for good: its ranges move away, then it is taken off the roster.

    Refused when the other nodes are too few for the copies there are to be. The name of a node that was
    replaced is forgotten at once. Exit code 3 says that something is left to move, or that it is still on the
    roster; the reason is told.
    """
    return _change("node.decommission", name, dry_run, wait, operator, target, output)


@command.command(
    epilog=examples(
        "folkmoot node replace eu-1",
        "folkmoot node replace --cluster local eu-1 --with eu-4",
        "folkmoot node replace eu-1 --accept-loss --dry-run",
    )
)
@click.argument("name", metavar="DEAD")
@click.option("--with", "by", metavar="NODE", help="Which node is to take its place. [default: chosen]")
@click.option(
    "--accept-loss",
    is_flag=True,
    help="Give it up although too few copies of some ranges are left; what only dead nodes have is lost.",
)
@dry_run_option
@wait_option
@operator_option
@target_options
@json_option
def replace(
    name: str,
    by: str | None,
    accept_loss: bool,
    dry_run: bool,
    wait: bool,
    operator: Path | None,
    target: Target,
    output: Output,
) -> int:
    """Give DEAD up: what it kept is made anew from the other copies, on others or on a node in its place.

    For a node that will not come back. When the other members are too few, a drained one or a node that runs
    and is no member takes its place, of its region where copies are counted by region. Should DEAD come back
    after all, it gives away what only it has, and serves nobody.

    Refused when with DEAD so many copies of a range are gone that something a quorum acknowledged may be on
    none of those that are left. --accept-loss says that nothing better will come: what is left goes on.
    """
    return _change(
        "node.replace", name, dry_run, wait, operator, target, output, by=by, accept_loss=accept_loss
    )


def _change(
    method: str,
    name: str,
    dry_run: bool,
    wait: bool,
    operator: Path | None,
    target: Target,
    output: Output,
    *,
    by: str | None = None,
    accept_loss: bool = False,
) -> int:
    """Carry one change out; the exit code."""
    from folkmoot.cli.clients import operator_of

    nodes = ask(target, "cluster.status")["nodes"]
    node = find_node(name, nodes)
    if not node["member"] and method != "node.join":
        raise OperatorError(f"{node['name']} is no member of the cluster", hint="folkmoot node ls")
    params: dict[str, Any] = {"node": bytes.fromhex(node["id"])}
    if accept_loss:
        params["accept_loss"] = True
    if by is not None:
        params["with"] = bytes.fromhex(find_node(by, nodes)["id"])
    key = operator_of(target, operator)
    leaver = node["id"] if method == "node.decommission" else None
    then = NEXT.get(method, "").format(name=node["name"]) or None
    return carry_out(
        target, key, output, method, params, dry_run=dry_run, wait=wait, leaver=leaver, then=then
    )
