"""`folkmoot ring`: which nodes keep what."""

from __future__ import annotations

import click
from folkmoot.cli.accounts import AccountType
from folkmoot.cli.connection import Target, ask, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.output import Output, json_option, table
from folkmoot.protocol.identity import account_to_text


@click.group()
def command() -> None:
    """Show which nodes keep what."""


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
