"""The cluster as one node sees it: what `cluster.status` and `cluster.where` tell.

Ownership comes from the topology, reachability from gossip; a status never mixes the two into one word.
A range is *under-replicated* when fewer of its slots than it has are filled by reachable nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from folkmoot.node.configuration.settings import ClusterSection
from folkmoot.protocol.consensus.configuration import Configuration
from folkmoot.protocol.gossip.members import Member
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.ring.plan import possible_replicas
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.protocol.ring.roster import Roster


class Owners(Protocol):
    """The topology this node holds."""

    @property
    def roster(self) -> Roster | None: ...

    @property
    def ranges(self) -> RangeMap | None: ...


class Seats(Protocol):
    """The seats this node knows of."""

    @property
    def configuration(self) -> Configuration | None: ...


class ClusterView:
    """See the module.

    Args:
        cluster: the cluster's section of the configuration.
        owners: roster and ranges.
        seats: which seats there are.
        members: the members known by gossip, by node id.
        standing: what is known of a node's disk: `whole`, `unproven` or `amnesiac`.
        details: this node's own figures (store, queues, gate), under `node` in the status; all of them, when
            asked for an operator.
    """

    def __init__(
        self,
        cluster: ClusterSection,
        owners: Owners,
        seats: Seats,
        members: Callable[[], Mapping[bytes, Member]],
        standing: Callable[[bytes], str],
        details: Callable[[bool], dict[str, Any]],
    ) -> None:
        self._cluster = cluster
        self._owners = owners
        self._seats = seats
        self._members = members
        self._standing = standing
        self._details = details

    def status(self, *, for_operator: bool) -> dict[str, Any]:
        """The result of `cluster.status`."""
        members = self._members()
        roster, ranges = self._owners.roster, self._owners.ranges
        owned: Counter[bytes] = Counter()
        under = 0
        for descriptor in ranges.ranges if ranges else ():
            owned.update(descriptor.nodes())
            under += any(
                self._state(members, node) not in ("alive", "suspect") for node in descriptor.nodes()
            )
        founders = {node.node_id: node for node in roster.nodes} if roster else {}
        nodes = []
        for node_id in sorted({*founders, *members}):
            member, founder = members.get(node_id), founders.get(node_id)
            described = member.description if member else None
            nodes.append(
                {
                    "id": node_id.hex(),
                    "member": founder is not None,
                    "roster": founder.standing if founder else None,
                    "name": founder.name if founder else described.name if described else "",
                    "region": founder.region if founder else described.region if described else "",
                    "state": self._state(members, node_id),
                    "standing": self._standing(node_id),
                    "ranges": owned[node_id],
                    "address": str_of(described.client) if described else None,
                    "service": founder.service_account if founder else None,
                }
            )
        return {
            "cluster": self._cluster.id,
            "epoch": roster.epoch if roster else 0,
            "nodes": nodes,
            "ranges": {"count": len(ranges.ranges) if ranges else 0, "under_replicated": under},
            "replicas": self._told_of_replicas(roster, ranges),
            "seats": self._told_of_seats(roster, members),
            "node": self._details(for_operator),
        }

    def where(self, account: bytes) -> dict[str, Any]:
        """The result of `cluster.where` for an account of 34 bytes."""
        assert self._owners.ranges is not None, "a node serves clients only once it has a topology"
        members = self._members()
        owner = self._owners.ranges.lookup(place_prefix(account))
        return {
            "range": owner.id,
            "epoch": owner.epoch,
            "replicas": [
                {"node": node.hex(), "region": slot.region, "state": self._state(members, node)}
                for slot in owner.slots
                for node in slot.nodes
            ],
        }

    def _told_of_replicas(self, roster: Roster | None, ranges: RangeMap | None) -> dict[str, Any]:
        """How many replicas were asked for, and how many there are to be for now; None while nobody told.

        Before the roster says so it is what the founders were configured with.
        """
        asked = roster.replicas if roster else None
        if asked is None and (self._cluster.founders or not self._cluster.seeds):
            asked = self._cluster.replicas
        if asked is None or roster is None or ranges is None:
            return {"asked": asked, "for_now": None}
        return {"asked": asked, "for_now": possible_replicas(asked, roster, ranges)}

    def _told_of_seats(self, roster: Roster | None, members: Mapping[bytes, Member]) -> dict[str, Any]:
        """Which seats decide on registers, where, and how many may fail."""
        known = self._seats.configuration
        if known is None:
            return {"configuration": 0, "count": 0, "may_fail": 0, "changing": False, "holders": []}
        holders = []
        for seat in known.all_seats:
            member, node = members.get(seat.node), roster.get(seat.node) if roster else None
            described = member.description if member else None
            holders.append(
                {
                    "id": seat.node.hex(),
                    "name": node.name if node else described.name if described else "",
                    "region": node.region if node else described.region if described else "",
                    "state": self._state(members, seat.node),
                    "coming": seat in known.coming and seat not in known.seats,
                }
            )
        return {
            "configuration": known.number,
            "count": len(known.seats),
            "may_fail": known.may_fail,
            "changing": known.joint,
            "holders": holders,
        }

    def _state(self, members: Mapping[bytes, Member], node_id: bytes) -> str:
        member = members.get(node_id)
        return member.state.name.lower() if member else "unknown"


def str_of(endpoint: tuple[str, int]) -> str:
    """`host:port`, with brackets round an IPv6 host."""
    host, port = endpoint
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
