"""Which node a command means, and what is said of nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from folkmoot.cli.errors import OperatorError

operator_option: Callable[..., Any] = click.option(
    "--operator",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An operator's key file. [default: a local cluster's own]",
)


def find_node(named: str, nodes: list[dict[str, Any]]) -> dict[str, Any]:
    """The node of a cluster's status that is called so, by its name or its id; a member before others.

    Raises:
        OperatorError: there is none, or several that are no members.
    """
    found = [node for node in nodes if named in (node["name"], node["id"])]
    members = [node for node in found if node["member"]] or found
    if not members:
        raise OperatorError(f"no node of the cluster is called {named}", hint="folkmoot node ls")
    if len(members) > 1:
        ids = ", ".join(node["id"] for node in members)
        raise OperatorError(f"several nodes are called {named}; name one by its id: {ids}")
    return members[0]


def standing_of(node: dict[str, Any]) -> str:
    """How a node belongs to the cluster, for people."""
    return node["roster"] or "no member"
