"""What is said of the rebuilding of a node whose disk is an older copy."""

from __future__ import annotations

from typing import Any


def rebuilding_line(rebuild: dict[str, Any]) -> str:
    """How far it is. Nothing is said of how long it takes while it waits for a node, which may never come."""
    left = rebuild["eta_s"]
    soon = "" if left is None or rebuild["waiting_for"] else f", about {left:.0f} s left"
    return f"{rebuild['done']} of {rebuild['needed']} comparisons done{soon}"


def waited_for(status: dict[str, Any]) -> list[str]:
    """The names of the nodes it waits for, of a cluster's status; the id of one without a name."""
    rebuild = status["node"]["standing"]["rebuild"]
    names = {node["id"]: node["name"] for node in status["nodes"]}
    return [names.get(node_id) or node_id for node_id in rebuild["waiting_for"]]
