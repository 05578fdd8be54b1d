"""The roster: which nodes belong to the cluster, at one epoch.

Being on the roster is authority (it changes by agreement only); being reachable is gossip's business and
is not said here. Neither are addresses: ports are chosen by kernels and travel by gossip.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, Literal

from folkmoot.protocol import codec, limits
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.ring.errors import RingError, blame_peer
from msgspec import Meta, Struct

# Capacities are fractions for people and whole thousandths on the wire: canonical MessagePack has no floats.
CAPACITY_STEPS: Final = 1_000

_SLUG: Final = re.compile(rf"[a-z0-9-]{{1,{limits.SLUG_CHARACTERS}}}")
_NAME: Final = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{limits.SLUG_CHARACTERS - 1}}}")

NodeIdBytes = Annotated[bytes, Meta(min_length=limits.NODE_ID_BYTES, max_length=limits.NODE_ID_BYTES)]
Epoch = Annotated[int, Meta(ge=1, le=limits.EPOCH_MAX)]
Slug = Annotated[str, Meta(min_length=1, max_length=limits.SLUG_CHARACTERS)]


Standing = Literal["member", "drained", "leaving", "dead"]
"""How a node belongs to the cluster: fully; fully, but given no ranges; until its ranges have moved away; or
for its name's sake only, since an operator said that it never comes back."""

Replicas = Mapping[str, int] | int
"""How many replicas: so many in each region, or a total spread evenly over the regions there are."""

_Count = Annotated[int, Meta(ge=0, le=limits.SLOTS_PER_RANGE)]


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The nodes of which operators said that they never come back.

    Args:
        nodes: their ids; they will never acknowledge anything.
        lossy: those among them that were given up although too few copies of some ranges were left then to
            know all that had been acknowledged: that loss was accepted.
    """

    nodes: frozenset[bytes] = frozenset()
    lossy: frozenset[bytes] = frozenset()


NOBODY: Final = GivenUp()


class _WireNode(Struct):
    id: NodeIdBytes
    name: Slug
    region: Slug
    capacity: Annotated[int, Meta(ge=1, le=limits.CAPACITY_MAX * CAPACITY_STEPS)]
    service: bytes
    standing: Standing = "member"
    loss_accepted: bool = False


class _WireRoster(Struct):
    epoch: Epoch
    cluster: Slug
    nodes: Annotated[list[_WireNode], Meta(min_length=1, max_length=limits.ROSTER_NODES)]
    replicas: _Count | Annotated[dict[Slug, _Count], Meta(max_length=limits.SLOTS_PER_RANGE)] | None = None


def check_slug(value: str, what: str) -> None:
    """Raise `RingError` unless `value` is 1–63 characters of a–z, 0–9 and hyphen."""
    if not _SLUG.fullmatch(value):
        raise RingError(
            f"{what} {value[:80]!r} is not 1 to {limits.SLUG_CHARACTERS} characters of a-z, 0-9 and -"
        )


@dataclass(frozen=True, slots=True)
class RosterNode:
    """One member of the cluster.

    Args:
        node_id: 16 random bytes, chosen once; never reused.
        name: a label for people, unique in the roster.
        region: where it stands.
        capacity: its share of the load relative to others, 0.001 to 1000 in steps of 0.001.
        service_account: the account id (34 bytes) its labels are signed with.
        standing: see `Standing`.
        loss_accepted: of a dead node, whether it was given up at the price of what only it and others that
            are dead may have acknowledged; see `GivenUp`.

    Raises:
        RingError: one of them has the wrong form.
    """

    node_id: bytes
    name: str
    region: str
    capacity: float
    service_account: bytes
    standing: Standing = "member"
    loss_accepted: bool = False

    def __post_init__(self) -> None:
        if type(self.node_id) is not bytes or len(self.node_id) != limits.NODE_ID_BYTES:
            raise RingError(f"the node id of {self.name[:80]!r} is not {limits.NODE_ID_BYTES} bytes")
        if not _NAME.fullmatch(self.name):
            raise RingError(
                f"node name {self.name[:80]!r} is not 1 to {limits.SLUG_CHARACTERS} characters of "
                "a-z, 0-9, dot, hyphen and underscore, the first a letter or digit"
            )
        check_slug(self.region, f"the region of node {self.name!r}")
        if not 0 < self.capacity <= limits.CAPACITY_MAX or self.capacity != self._steps() / CAPACITY_STEPS:
            raise RingError(
                f"the capacity of node {self.name!r} is {self.capacity}; it is 0.001 to "
                f"{limits.CAPACITY_MAX} in steps of 0.001"
            )
        if not is_account(self.service_account):
            raise RingError(f"the service account of node {self.name!r} is not an account id of 34 bytes")
        if self.loss_accepted and self.standing != "dead":
            raise RingError(f"a loss was accepted with node {self.name!r}, which was not given up for dead")

    def _steps(self) -> int:
        return round(self.capacity * CAPACITY_STEPS)

    def to_wire(self) -> dict[str, Any]:
        """The map nodes send each other."""
        wire: dict[str, Any] = {
            "capacity": self._steps(),
            "id": self.node_id,
            "name": self.name,
            "region": self.region,
            "service": self.service_account,
        }
        if self.standing != "member":
            wire["standing"] = self.standing
        return wire | {"loss_accepted": True} if self.loss_accepted else wire


@dataclass(frozen=True, slots=True)
class Roster:
    """The members of one cluster at one epoch, in the order of their ids.

    Args:
        epoch: from 1, raised by every change.
        cluster: the cluster's id, a slug.
        nodes: 1 to 256 nodes in any order; kept sorted.
        replicas: how many replicas there are to be, once that was agreed upon; None as long as what the
            founders were configured with holds.

    Raises:
        RingError: two nodes share an id or a name, or there are none or too many.
    """

    epoch: int
    cluster: str
    nodes: tuple[RosterNode, ...]
    replicas: Replicas | None = None
    _by_id: Mapping[bytes, RosterNode] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.epoch <= limits.EPOCH_MAX:
            raise RingError(f"the roster's epoch is {self.epoch}; epochs begin at 1")
        check_slug(self.cluster, "the cluster")
        if not 1 <= len(self.nodes) <= limits.ROSTER_NODES:
            raise RingError(f"a roster of {len(self.nodes)} nodes; it holds 1 to {limits.ROSTER_NODES}")
        for what, seen in (
            ("called", Counter(node.name for node in self.nodes)),
            ("with id", Counter(node.node_id.hex() for node in self.nodes)),
        ):
            value, count = seen.most_common(1)[0]
            if count > 1:
                raise RingError(f"the roster has {count} nodes {what} {value}; each belongs there once")
        _check_replicas(self.replicas)
        object.__setattr__(self, "nodes", tuple(sorted(self.nodes, key=lambda node: node.node_id)))
        object.__setattr__(self, "_by_id", {node.node_id: node for node in self.nodes})

    def get(self, node_id: bytes) -> RosterNode | None:
        """The member with this id (16 bytes)."""
        return self._by_id.get(node_id)

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._by_id

    def in_good_standing(self) -> Roster:
        """The roster without those who are drained, leave or are dead: whom ranges may be given to.

        Raises:
            RingError: nobody is left.
        """
        return replace(self, nodes=tuple(node for node in self.nodes if node.standing == "member"))

    def given_up(self) -> GivenUp:
        """Who never comes back."""
        dead = [node for node in self.nodes if node.standing == "dead"]
        return GivenUp(
            frozenset(node.node_id for node in dead),
            frozenset(node.node_id for node in dead if node.loss_accepted),
        )

    def regions(self) -> dict[str, tuple[RosterNode, ...]]:
        """The members of each region, regions by name and members by id."""
        names = sorted({node.region for node in self.nodes})
        return {name: tuple(node for node in self.nodes if node.region == name) for name in names}

    def to_wire(self) -> dict[str, Any]:
        """The map nodes send each other."""
        wire: dict[str, Any] = {
            "cluster": self.cluster,
            "epoch": self.epoch,
            "nodes": [node.to_wire() for node in self.nodes],
        }
        if self.replicas is not None:
            wire["replicas"] = self.replicas if isinstance(self.replicas, int) else dict(self.replicas)
        return wire

    @classmethod
    def from_wire(cls, value: Any) -> Roster:
        """Check and take what a peer or the store gave.

        Raises:
            WireError: `bad_request`.
        """
        wire = codec.shaped(value, _WireRoster, "a roster")
        with blame_peer():
            nodes = tuple(
                RosterNode(
                    node.id,
                    node.name,
                    node.region,
                    node.capacity / CAPACITY_STEPS,
                    node.service,
                    node.standing,
                    node.loss_accepted,
                )
                for node in wire.nodes
            )
            return cls(wire.epoch, wire.cluster, nodes, wire.replicas)

    def canonical(self) -> bytes:
        """The one encoding of this roster, for comparing and digesting."""
        return codec.encode_canonical(self.to_wire())

    def digest(self) -> bytes:
        """SHA-256 of the canonical bytes."""
        return hashlib.sha256(self.canonical()).digest()


def _check_replicas(replicas: Replicas | None) -> None:
    if replicas is None:
        return
    counts = [replicas] if isinstance(replicas, int) else list(replicas.values())
    if min(counts, default=0) < 0 or not 1 <= sum(counts) <= limits.SLOTS_PER_RANGE:
        raise RingError(f"replicas add up to {sum(counts)}, not 1 to {limits.SLOTS_PER_RANGE}")
    if not isinstance(replicas, int):
        for region in replicas:
            check_slug(region, "a region of replicas")
