"""The topology: the roster and the range map together, and how newer parts of it travel.

Gossip carries a `Summary` of a few bytes. A node whose summary says it may know something newer is asked,
with the epochs the asker has, and answers with the parts that are. Parts only ever grow in epoch and are
taken one by one, so topologies form a join-semilattice: asked often enough, in any order, all nodes come to
the same. Two different parts of one epoch cannot come from agreement; they are a conflict, and are reported.

Parts come from registers, and no signature proves it: seats are believed, and so is whoever tells the first
topology to a node that has none. So what is taken is bounded in form. Every slot is filled by members of the
roster, no epoch leaps (or one answer could use up all epochs there are), and what could not be told, kept and
read again is not taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.ring.errors import RingError, blame_peer
from folkmoot.protocol.ring.placement import bootstrap_map
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeId, RangeMap
from folkmoot.protocol.ring.roster import Epoch, Replicas, Roster, RosterNode
from msgspec import Meta, Struct

DIGEST_BYTES: Final = 16

_Sum = Annotated[int, Meta(ge=0, le=limits.EPOCHS_SUM_MAX)]
_Digest = Annotated[bytes, Meta(max_length=DIGEST_BYTES)]


class Summary(Struct, array_like=True, frozen=True):
    """What gossip says of a node's topology.

    Args:
        roster_epoch: 0 when it has none.
        ranges_epoch: the sum of the epochs of all its ranges; grows with every change.
        digest: 16 bytes, equal exactly for equal topologies; empty when it has none.
    """

    roster_epoch: _Sum
    ranges_epoch: _Sum
    digest: _Digest

    def encode(self) -> bytes:
        """The bytes for gossip, about 24."""
        return codec.encode_canonical([self.roster_epoch, self.ranges_epoch, self.digest])

    @classmethod
    def decode(cls, data: object) -> Summary:
        """Take what gossip said of a peer.

        Raises:
            WireError: `bad_request`.
        """
        return codec.shaped(codec.unpack(codec.shaped(data, bytes, "a topology summary")), cls, "a summary")


NOTHING: Final = Summary(0, 0, b"")
WIDEST: Final = Summary(limits.EPOCHS_SUM_MAX, limits.EPOCHS_SUM_MAX, bytes(DIGEST_BYTES))
"""No summary takes more bytes in gossip."""


def should_fetch(mine: Summary, theirs: Summary) -> bool:
    """Whether to ask a peer for its topology.

    Not when it is equal, and not when both its numbers are at most ours and one is less: then it will ask us,
    join what it lacks, and be worth asking afterwards if it also has something newer. So of two that differ
    at least one asks, and usually only one.
    """
    if theirs.digest == mine.digest or theirs == NOTHING:
        return False
    numbers = ((theirs.roster_epoch, mine.roster_epoch), (theirs.ranges_epoch, mine.ranges_epoch))
    behind = any(their < own for their, own in numbers) and all(their <= own for their, own in numbers)
    return not behind


def in_conflict(mine: Summary, theirs: Summary) -> bool:
    """Whether two topologies differ though neither has a newer part: they were made separately."""
    same_epochs = (mine.roster_epoch, mine.ranges_epoch) == (theirs.roster_epoch, theirs.ranges_epoch)
    return same_epochs and mine.digest != theirs.digest


@dataclass(frozen=True, slots=True)
class Topology:
    """A roster and a range map of one cluster.

    Args:
        roster: the members.
        ranges: who owns what.

    Raises:
        RingError: a range names a node that is not on the roster.
    """

    roster: Roster
    ranges: RangeMap
    summary: Summary = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        for descriptor in self.ranges.ranges:
            for node in descriptor.nodes():
                if node not in self.roster:
                    raise RingError(
                        f"range {descriptor.id} is given to node {node.hex()}, which is not on the roster of "
                        f"epoch {self.roster.epoch}"
                    )
        digest = hashlib.sha256(self.roster.digest() + self.ranges.digest()).digest()[:DIGEST_BYTES]
        epochs = sum(self.ranges.epochs().values())
        object.__setattr__(self, "summary", Summary(self.roster.epoch, epochs, digest))

    @classmethod
    def bootstrap(
        cls,
        cluster: str,
        founders: Iterable[RosterNode],
        replicas: Replicas,
        ranges: int = limits.RANGES_INITIAL,
    ) -> Topology:
        """The first topology of a cluster: the same from every founder.

        Args:
            cluster: its id.
            founders, replicas: the members it begins with, and how many of them keep each range.
            ranges: how many there are to begin with; see `bootstrap_map`.

        Raises:
            RingError: the founders make no roster, or are too few for `replicas`, or there cannot be so many
                ranges.
        """
        roster = Roster(1, cluster, tuple(founders))
        return cls(roster, bootstrap_map(roster, replicas, ranges))

    def encode(self) -> bytes:
        """The bytes a node keeps.

        Raises:
            RingError: they are more than `TOPOLOGY_BYTES`.
        """
        encoded = codec.pack({"roster": self.roster.to_wire(), "ranges": _to_wire(self.ranges.ranges)})
        if len(encoded) > limits.TOPOLOGY_BYTES:
            raise RingError(f"a topology of {len(encoded)} bytes; at most {limits.TOPOLOGY_BYTES} are kept")
        return encoded

    @classmethod
    def decode(cls, data: bytes) -> Topology:
        """Take what this node kept.

        Raises:
            RingError: it is not a topology, or one that cannot be.
        """
        try:
            kept = codec.shaped(codec.unpack(data), dict[str, Any], "a topology")
            ranges = codec.shaped(kept.get("ranges"), list[Any], "the ranges of a topology")
            return cls(
                Roster.from_wire(kept.get("roster")), RangeMap(tuple(map(RangeDescriptor.from_wire, ranges)))
            )
        except (WireError, RingError) as error:
            raise RingError(f"the topology this node kept cannot be used: {error}") from error


class Have(Struct, frozen=True):
    """What an asker has: params of `topology.fetch`.

    Args:
        roster: its roster's epoch, 0 for none.
        epochs: (range id, epoch) of its ranges.
    """

    roster: _Sum
    epochs: Annotated[list[tuple[RangeId, Epoch]], Meta(max_length=limits.RANGES)]

    @classmethod
    def of(cls, topology: Topology | None) -> Have:
        """What a node with this topology has."""
        if topology is None:
            return cls(0, [])
        return cls(topology.roster.epoch, sorted(topology.ranges.epochs().items()))

    def with_news(self, news: News) -> Have:
        """What it has when it has been told `news` too."""
        taken = {descriptor.id: descriptor.epoch for descriptor in news.ranges}
        roster = news.roster.epoch if news.roster is not None else self.roster
        return Have(roster, sorted({**dict(self.epochs), **taken}.items()))

    def to_params(self) -> dict[str, Any]:
        """The map of params."""
        return {"roster": self.roster, "epochs": self.epochs}


class _WireNews(Struct):
    summary: Summary
    ranges: Annotated[list[Any], Meta(max_length=limits.TOPOLOGY_REPLY_RANGES)]
    more: bool
    roster: Any = None


@dataclass(frozen=True, slots=True)
class News:
    """The parts of a topology that an asker does not have: result of `topology.fetch`.

    Args:
        summary: of the topology they are from.
        roster: when it is newer.
        ranges: the newer descriptors, at most 256 of them.
        more: whether there are others.
    """

    summary: Summary
    roster: Roster | None
    ranges: tuple[RangeDescriptor, ...]
    more: bool

    @classmethod
    def for_asker(cls, topology: Topology | None, have: Have) -> News:
        """What a node with `topology` answers one that has `have`."""
        if topology is None:
            return cls(NOTHING, None, (), False)
        newer = topology.ranges.newer_than(dict(have.epochs))
        return cls(
            topology.summary,
            topology.roster if topology.roster.epoch > have.roster else None,
            newer[: limits.TOPOLOGY_REPLY_RANGES],
            len(newer) > limits.TOPOLOGY_REPLY_RANGES,
        )

    def to_wire(self) -> dict[str, Any]:
        """The map of a result."""
        wire: dict[str, Any] = {
            "summary": [self.summary.roster_epoch, self.summary.ranges_epoch, self.summary.digest],
            "ranges": _to_wire(self.ranges),
            "more": self.more,
        }
        if self.roster is not None:
            wire["roster"] = self.roster.to_wire()
        return wire

    @classmethod
    def from_wire(cls, value: Any) -> News:
        """Take a peer's answer.

        Raises:
            WireError: `bad_request`.
        """
        wire = codec.shaped(value, _WireNews, "newer parts of the topology")
        roster = Roster.from_wire(wire.roster) if wire.roster is not None else None
        return cls(wire.summary, roster, tuple(map(RangeDescriptor.from_wire, wire.ranges)), wire.more)

    def followed_by(self, other: News) -> News:
        """This and what was told next, as one; of what was told twice the later."""
        ranges = {descriptor.id: descriptor for descriptor in (*self.ranges, *other.ranges)}
        return News(other.summary, other.roster or self.roster, tuple(ranges.values()), other.more)

    def joined_to(self, topology: Topology | None, cluster: str) -> Topology | None:
        """The topology a node comes to have; the same object when nothing in the news is newer.

        Args:
            topology: what it has, if anything.
            cluster: the cluster it belongs to.

        Raises:
            WireError: `bad_request`, when the parts are another cluster's, do not fit together, or leap.
        """
        with blame_peer():
            if self.roster is not None and self.roster.cluster != cluster:
                raise RingError(f"a roster of cluster {self.roster.cluster!r}; this node is of {cluster!r}")
            self._check_steps(topology)
            if topology is None:
                return Topology(self.roster, RangeMap(self.ranges)) if self.roster is not None else None
            newer = self.roster is not None and self.roster.epoch > topology.roster.epoch
            roster = self.roster if self.roster is not None and newer else topology.roster
            ranges = topology.ranges.join(self.ranges)
            if roster is topology.roster and ranges is topology.ranges:
                return topology
            return Topology(roster, ranges)

    def _check_steps(self, topology: Topology | None) -> None:
        """Raise `RingError` when an epoch is far above what `topology` has, or above the first one."""
        known = topology.ranges.epochs() if topology is not None else {}
        newest = max(known.values(), default=0)  # a range that is new to us was made from those we know
        steps = [(f"range {each.id}", each.epoch, known.get(each.id, newest)) for each in self.ranges]
        if self.roster is not None:
            steps.append(("the roster", self.roster.epoch, topology.roster.epoch if topology else 0))
        for what, epoch, before in steps:
            if epoch - before > limits.EPOCH_STEP:
                raise RingError(
                    f"{what} leaps from epoch {before} to {epoch}, by more than {limits.EPOCH_STEP} at once"
                )


def _to_wire(ranges: Iterable[RangeDescriptor]) -> list[dict[str, Any]]:
    return [descriptor.to_wire() for descriptor in ranges]
