"""`folkmoot status`: how a cluster is, as one of its nodes sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from folkmoot.cli.connection import Target, ask, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.output import Output, json_option, table, utc_text
from folkmoot.cli.rebuilding import rebuilding_line, waited_for
from folkmoot.cli.sealed_state import sealed_warnings
from folkmoot.cli.seats import WAY_OUT_OF_LOST, damage_reasons, seats_line, seats_reasons, seats_warnings
from folkmoot.protocol.limits import DISK_FULL_CLIENT_PUT

_STANDINGS = {"unproven": "not proven yet", "amnesiac": "an older copy"}
COLUMNS = ("name", "region", "state", "ranges", "address", "id")


@click.command(
    epilog=examples(
        "folkmoot status",
        "folkmoot status --cluster local --json",
        "folkmoot status --node 10.0.0.1:7000 --ca ca.crt",
        "folkmoot status --node 10.0.0.1:7000 --ca ca.crt --operator operator.key --json",
    )
)
@click.option(
    "--operator",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An operator's key file: operators are told more of the node. [default: a local cluster's own]",
)
@target_options
@json_option
def command(operator: Path | None, target: Target, output: Output) -> int:
    """Show how a cluster is.

    Exit code 3 says that it is degraded: a member of the cluster is not alive or does not count, a range has
    fewer copies than it should, so many seats are silent that registers cannot be changed, or the node that
    was asked has damaged cells, no room left, a clock that strays, or judges by another policy than was
    decided. Nodes that are not members hold no data; they are listed and not counted.
    """
    # Imported here so that a command's help need not wait for the client.
    from folkmoot.cli.clients import operator_of

    status = ask(target, "cluster.status", operator=operator_of(target, operator))
    reasons = _reasons(status)
    status["state"] = "degraded" if reasons else "healthy"
    status["reasons"] = reasons
    status["warnings"] = _warnings(status)
    output.result(status, _text(status))
    return DEGRADED if reasons else OK


def _warnings(status: dict[str, Any]) -> list[str]:
    """What somebody should see to, though the cluster is well."""
    return [*seats_warnings(status), *sealed_warnings(status["node"])]


def _what_is_with(node: dict[str, Any]) -> str:
    """Of a node that is not alive: what it is, and what comes next for one that was given up."""
    name = node["name"]
    if node.get("roster") != "dead":
        return f"{name} is {node['state']}"
    if node["ranges"]:
        return f"{name} was given up for dead, and {node['ranges']} of its ranges are still being replaced"
    return f"{name} was given up for dead and is replaced: folkmoot node decommission {name} forgets it"


def _files_reasons(node: dict[str, Any]) -> list[str]:
    """Which files a node could not use when it read them again."""
    reasons = []
    if node["gate"]["outdated"]:
        reasons.append(
            "the policy file of the node that answers is broken, and what it said before is in force:"
            " `folkmoot config check` says what is wrong"
        )
    screening = (node.get("media") or {}).get("screening") or {}
    if screening.get("outdated"):
        reasons.append(
            "a list of hashes of the node that answers cannot be used, and media are looked up in what it had"
            " before: `folkmoot status --json --operator KEYFILE` says why (media.screening.errors)"
        )
    return reasons


def _reasons(status: dict[str, Any]) -> list[str]:
    reasons = [
        _what_is_with(node)
        for node in status["nodes"]
        if node["state"] != "alive" and (node["member"] or node["ranges"])
    ]
    reasons += [
        f"the disk of {node['name']} is {_STANDINGS[node['standing']]}, and it does not count"
        for node in status["nodes"]
        if node.get("standing") in _STANDINGS and node["member"] and node["state"] == "alive"
    ]
    under = status["ranges"]["under_replicated"]
    if under:
        reasons.append(f"{under} of {status['ranges']['count']} ranges lack a copy")
    reasons += seats_reasons(status["seats"])
    reasons += [f"{lost}: {WAY_OUT_OF_LOST}" for lost in damage_reasons(status)]
    damaged = status["node"]["store"]["damaged"]
    if damaged:
        more = ", and more than it can remember" if status["node"]["store"].get("damaged_more") else ""
        reasons.append(
            f"{damaged} cells are damaged on the node that answers{more}: they are mended from other"
            " replicas; where they stay so, stop it and run `folkmoot store verify`"
        )
    store = status["node"]["store"]
    if store["live_bytes"] >= DISK_FULL_CLIENT_PUT * store["room_bytes"]:
        reasons.append(
            "the node that answers has no room for clients' writes: free its disk, raise store.disk_cap, or"
            " add nodes"
        )
    reasons += _files_reasons(status["node"])
    policy = status["node"].get("policy", {"state": "running"})
    if policy["state"] != "running":
        reasons.append(
            f"the node that answers judges by the policy of epoch {policy['epoch']}, not by the one that was"
            f" decided: {policy['why'] or 'it looks for the document'}"
        )
    clock = status["node"]["clock"]
    if clock["strays"]:
        how_far = _strays(clock["ahead_ms"])
        reasons.append(f"the clock of the node that answers {how_far}: see to its time service")
    return reasons


def _strays(ahead_ms: float | None) -> str:
    if ahead_ms is None:
        return "strayed from its peers', and nobody has told since"
    return f"is {abs(ahead_ms) / 1000:.1f} s {'ahead of' if ahead_ms > 0 else 'behind'} its peers'"


def _text(status: dict[str, Any]) -> list[str]:
    heading = f"cluster {status['cluster']}, epoch {status['epoch']}: {status['state'].upper()}"
    rows = [
        node if node["member"] else {**node, "state": f"{node['state']} (no member)"}
        for node in status["nodes"]
    ]
    because = f" ({'; '.join(status['reasons'])})" if status["reasons"] else ""
    of_seats = [seats_line(status["seats"]), *_warnings(status)]
    heading_lines = [heading + because, *of_seats, replicas_line(status.get("replicas"))]
    node = status["node"]
    more = [*_cached(node.get("caches", {})), *_rebuilding(status), *_restored(node["store"].get("restored"))]
    return [*heading_lines, *table(rows, COLUMNS), *more]


def replicas_line(replicas: dict[str, Any] | None) -> str:
    """How many replicas were asked for; None is what a node of an earlier edition tells."""
    asked = None if replicas is None else replicas["asked"]
    if replicas is None or asked is None:
        return "replicas: not known to this node yet"
    if not isinstance(asked, int):
        return f"replicas: {', '.join(f'{count} in {region}' for region, count in sorted(asked.items()))}"
    for_now = replicas["for_now"]
    fewer = f", {for_now} for now" if for_now is not None and for_now < asked else ""
    return f"replicas: {asked}, spread over the regions{fewer}"


def _cached(caches: dict[str, Any]) -> list[str]:
    """How often the caches of the node that answers have helped, of those that were asked."""
    asked = {name: each["hits"] + each["misses"] for name, each in caches.items()}
    rates = [
        f"{name.replace('_', ' ')} {100 * each['hits'] // asked[name]} % of {asked[name]:,}"
        for name, each in caches.items()
        if asked[name]
    ]
    return [f"caches of the node that answers: {', '.join(rates)}"] if rates else []


def _restored(mark: dict[str, Any] | None) -> list[str]:
    """What there is to say of a store that was made from a backup."""
    if mark is None:
        return []
    return [
        f"the node that answers was restored from a backup of node {mark['node'][:8]} of "
        f"{utc_text(mark['taken_us'])}: it has what that node had then, under an id of its own"
    ]


def _rebuilding(status: dict[str, Any]) -> list[str]:
    """What the node that was asked says of itself while it does not count."""
    standing = status["node"].get("standing", {})
    if standing.get("counted", True):
        return []
    lines = [f"the node that answers does not count: {standing['why']}"]
    if rebuild := standing["rebuild"]:
        lines.append(f"rebuilding: {rebuilding_line(rebuild)}")
        if waiting := waited_for(status):
            lines.append(f"waiting for {', '.join(waiting)}")
    return lines
