"""A plan as operators are told it: what it comes to, what it waits for, and the way out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from folkmoot.node.environment import Executor
from folkmoot.node.movement.estimates import Estimates
from folkmoot.protocol.ring.driving import is_impossible, waits_for
from folkmoot.protocol.ring.movement import Add, Change, Drop, Move, lacks_copies
from folkmoot.protocol.ring.plan import Plan, replicas_of
from folkmoot.protocol.ring.roster import Roster
from folkmoot.protocol.ring.topology import Topology

CHANGES_TOLD: Final = 512

States = Mapping[bytes, str]
"""How nodes (16 bytes) are by gossip: `alive`, `suspect`, `dead`, `left` or `unknown`."""


async def told_of(
    found: Plan,
    topology: Topology,
    states: States,
    progress: Mapping[str, Mapping[str, Any]],
    estimates: Estimates,
    executor: Executor,
) -> dict[str, Any]:
    """A plan as operators are told it; see `ring.plan` in the contract.

    Args:
        found: the plan.
        topology: for which it was made.
        states: see `States`.
        progress: how far nodes are.
        estimates: how much there is to move, and how long that may take.
        executor: where it is worked out what is waited for.
    """
    changes = [change for several in found.changes.values() for change in several]
    return {
        "ranges": len(found.changes),
        "count": len(changes),
        "changes": [_change_told(change) for change in changes[:CHANGES_TOLD]],
        "nodes": _by_node(changes),
        "blocked": list(found.blocked),
        "fewer": _fewer(topology),
        "waits": await executor.run(partial(waits_of, found, topology, states)),
        **await estimates.of(changes, progress),
    }


def waits_of(found: Plan, topology: Topology, states: States) -> list[dict[str, Any]]:
    """What a plan waits for that nodes cannot bring about themselves, a map for each node that is to blame.

    Worked out from the plan alone, so that it is known at once, and also when the node that would have to do
    something is the one that is away and says nothing.

    Returns:
        Maps of `node` (text), `ranges` (ids in order) and `reason` (a sentence), most ranges first.
    """
    roster, given_up = topology.roster, topology.roster.given_up()
    away: dict[bytes, list[int]] = {}
    lost: dict[bytes, list[int]] = {}

    def alive(node_id: bytes) -> bool:
        return states.get(node_id) == "alive"

    for range_id, changes in sorted(found.changes.items()):
        descriptor = topology.ranges.get(range_id)
        if descriptor is None:
            continue
        if is_impossible(changes[0], descriptor, given_up) and lacks_copies(descriptor, given_up.nodes):
            for node_id in given_up.nodes.intersection(descriptor.nodes()):
                lost.setdefault(node_id, []).append(range_id)
            continue
        for node_id in waits_for(changes[0], descriptor, roster, alive):
            away.setdefault(node_id, []).append(range_id)
    told = [_wait(node_id, ranges, _of_lost(roster, node_id, ranges)) for node_id, ranges in lost.items()]
    told += [
        _wait(node_id, ranges, _of_away(roster, node_id, ranges, states.get(node_id, "unknown")))
        for node_id, ranges in away.items()
    ]
    return sorted(told, key=lambda wait: (-len(wait["ranges"]), wait["node"]))


def counted(count: int) -> str:
    """So many ranges, for people."""
    return "1 range" if count == 1 else f"{count:,} ranges"


def _wait(node_id: bytes, ranges: Sequence[int], reason: str) -> dict[str, Any]:
    return {"node": node_id.hex(), "ranges": list(ranges), "reason": reason}


def _of_away(roster: Roster, node_id: bytes, ranges: Sequence[int], state: str) -> str:
    name = _name(roster, node_id)
    out = f", or `folkmoot node replace {name}` if it never comes back" if node_id in roster else ""
    how = "was stopped" if state == "left" else f"is {state}"
    return f"{name} {how}, and {counted(len(ranges))} cannot move without it: start it{out}"


def _of_lost(roster: Roster, node_id: bytes, ranges: Sequence[int]) -> str:
    name = _name(roster, node_id)
    return (
        f"{name} is given up for dead, and without it too few copies of {counted(len(ranges))} are left to "
        f"know all that was acknowledged: `folkmoot node replace {name} --accept-loss` goes on with those "
        "that are left"
    )


def _fewer(topology: Topology) -> str:
    """That fewer copies are possible than are asked for, and what would make them possible; or nothing."""
    asked, possible = topology.roster.replicas, replicas_of(topology)
    if not isinstance(asked, int) or not isinstance(possible, int) or possible >= asked:
        return ""
    missing = asked - possible
    nodes = "1 node" if missing == 1 else f"{missing} nodes"
    return f"{asked} copies asked for, {possible} possible: add {nodes} (folkmoot join-token create)"


def _by_node(changes: Sequence[Change]) -> dict[str, dict[str, int]]:
    """How many slots each node is to get and to give, of all changes."""
    gets = Counter(change.recipient for change in changes if not isinstance(change, Drop))
    gives = Counter(change.donor for change in changes if not isinstance(change, Add))
    return {
        node_id.hex(): {"gets": gets[node_id], "gives": gives[node_id]} for node_id in sorted({*gets, *gives})
    }


def _name(roster: Roster, node_id: bytes) -> str:
    node = roster.get(node_id)
    return node_id.hex()[:8] if node is None else node.name


def _change_told(change: Change) -> dict[str, Any]:
    match change:
        case Move():
            return {"range": change.range_id, "from": change.donor.hex(), "to": change.recipient.hex()}
        case Add():
            return {"range": change.range_id, "from": None, "to": change.recipient.hex()}
        case Drop():
            return {"range": change.range_id, "from": change.donor.hex(), "to": None}
