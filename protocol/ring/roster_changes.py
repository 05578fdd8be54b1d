"""What operators change of a roster: who joins it, how a node stands, who is taken off, how many replicas.

Pure functions from the roster as it is to the roster one epoch later, or to the same when nothing is to be
done, so that asking twice does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from folkmoot.protocol.ring.errors import RingError
from folkmoot.protocol.ring.roster import Replicas, Roster, RosterNode, Standing


def with_node(roster: Roster, newcomer: RosterNode) -> Roster:
    """A roster on which `newcomer` is a member in good standing; who is on it keeps what the roster says.

    Raises:
        RingError: its name is taken, or the roster is full.
    """
    if newcomer.node_id in roster:
        return with_standing(roster, newcomer.node_id, "member")
    return _next(roster, nodes=(*roster.nodes, newcomer))


def with_standing(roster: Roster, node_id: bytes, standing: Standing) -> Roster:
    """A roster on which a node stands otherwise.

    Raises:
        RingError: it is not on the roster.
    """
    node = roster.get(node_id)
    if node is None:
        raise RingError(f"node {node_id.hex()} is not a member of the cluster")
    return roster if node.standing == standing else _with(roster, replace(node, standing=standing))


def with_dead(roster: Roster, node_id: bytes, *, accept_loss: bool) -> Roster:
    """A roster on which a node is given up for dead.

    Args:
        roster: as it is.
        node_id: of the node, which may be given up already.
        accept_loss: see `RosterNode.loss_accepted`; what was accepted before stays so.

    Raises:
        RingError: it is not on the roster.
    """
    dead = with_standing(roster, node_id, "dead")
    node = dead.get(node_id)
    if node is None or node.loss_accepted or not accept_loss:
        return dead
    return replace(_with(dead, replace(node, loss_accepted=True)), epoch=roster.epoch + 1)


def without_node(roster: Roster, node_id: bytes) -> Roster:
    """A roster without a node.

    Raises:
        RingError: nobody would be left.
    """
    if node_id not in roster:
        return roster
    return _next(roster, nodes=tuple(each for each in roster.nodes if each.node_id != node_id))


def with_replicas(roster: Roster, replicas: Replicas) -> Roster:
    """A roster that says how many replicas there are to be.

    Raises:
        RingError: they make no sense.
    """
    return roster if roster.replicas == replicas else _next(roster, replicas=replicas)


def differences(before: Roster, after: Roster) -> Sequence[str]:
    """What has become of a roster, a sentence each."""
    told = []
    for node in after.nodes:
        was = before.get(node.node_id)
        if was is None:
            told.append(f"{node.name} has joined")
        elif was.standing != node.standing:
            told.append(f"{node.name} is {_STANDS[node.standing]} now")
        elif was.loss_accepted != node.loss_accepted:
            told.append(f"what is lost with {node.name} was accepted")
    told += [f"{node.name} was taken off the roster" for node in before.nodes if node.node_id not in after]
    if before.replicas != after.replicas:
        told.append(f"there are to be {said_of(after.replicas)} replicas")
    return told


def said_of(replicas: Replicas | None) -> str:
    """How many replicas, for people."""
    if replicas is None:
        return "as many as were founded"
    if isinstance(replicas, int):
        return str(replicas)
    return ", ".join(f"{count} in {region}" for region, count in sorted(replicas.items()))


_STANDS = {"member": "a member", "drained": "drained", "leaving": "leaving", "dead": "given up for dead"}


def _with(roster: Roster, node: RosterNode) -> Roster:
    """With another entry for a node that is on it."""
    nodes = tuple(node if each.node_id == node.node_id else each for each in roster.nodes)
    return _next(roster, nodes=nodes)


def _next(
    roster: Roster, *, nodes: tuple[RosterNode, ...] | None = None, replicas: Replicas | None = None
) -> Roster:
    return replace(
        roster,
        epoch=roster.epoch + 1,
        nodes=roster.nodes if nodes is None else nodes,
        replicas=roster.replicas if replicas is None else replicas,
    )
