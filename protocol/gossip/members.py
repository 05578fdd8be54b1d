"""What a node knows of the others, and the one rule by which two such views become one.

A member is two independent facts, each with the incarnation it was said at: how the node *describes* itself
(only the node can, by raising its incarnation) and what is *claimed* of its state (anyone can). The later
description wins; of claims, `left` beats everything, then the higher incarnation, then the graver state. Both
are maxima, so `join` is associative, commutative and idempotent: views that have heard the same things, in
any order and any number of times, are equal.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from folkmoot.protocol import codec
from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.host import HOST_FORM, is_host
from folkmoot.protocol.limits import GOSSIP_DESCRIPTION_BYTES, GOSSIP_MEMBERS, NODE_ID_BYTES

INCARNATION_MAX: Final = 2**63 - 1
DIGEST_BYTES: Final = 16
_PORT_MAX: Final = 2**16 - 1

MetaValue = int | str | bytes


class Endpoint(NamedTuple):
    """A host and a port, as numbers or names; what a transport dials."""

    host: str
    port: int


class State(enum.IntEnum):
    """What is claimed of a member; at one incarnation the greater claim stands."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


@dataclass(frozen=True, slots=True)
class Description:
    """What a node says of itself.

    Args:
        name: the operator's label; not an identity.
        region: where it stands.
        peer: its TCP port for peers.
        datagram: its gossip port.
        client: its port for clients.
        meta: small facts that others should notice quickly, such as epochs; treated as immutable.
    """

    name: str
    region: str
    peer: Endpoint
    datagram: Endpoint
    client: Endpoint
    meta: Mapping[str, MetaValue]

    def encode(self) -> bytes:
        """Its canonical bytes, which also decide between two descriptions of one incarnation.

        Raises:
            WireError: `too_large`, beyond `GOSSIP_DESCRIPTION_BYTES`.
        """
        addresses = [list(endpoint) for endpoint in (self.peer, self.datagram, self.client)]
        value = [self.name, self.region, *addresses, dict(self.meta)]
        encoded = codec.encode_canonical(value)
        if len(encoded) > GOSSIP_DESCRIPTION_BYTES:
            raise WireError(
                TOO_LARGE,
                f"the node's name, region, addresses and meta take {len(encoded)} bytes; "
                f"gossip carries at most {GOSSIP_DESCRIPTION_BYTES}: shorten them",
            )
        return encoded

    @classmethod
    def decode(cls, data: bytes) -> Description:
        """Read a description a peer sent.

        Raises:
            WireError: `too_large`, `not_canonical` or `bad_request`.
        """
        if len(data) > GOSSIP_DESCRIPTION_BYTES:
            raise WireError(TOO_LARGE, f"a description of {len(data)} bytes")
        match codec.decode_canonical(data):
            case [str(name), str(region), peer, datagram, client, dict(meta)]:
                pass
            case _:
                raise WireError(BAD_REQUEST, "a description is [name, region, peer, datagram, client, meta]")
        if not all(isinstance(value, int | str | bytes) for value in meta.values()):
            raise WireError(BAD_REQUEST, "a description's meta holds only numbers, text and bytes")
        return cls(name, region, _endpoint(peer), _endpoint(datagram), _endpoint(client), meta)


NOWHERE: Final = Endpoint("", 0)
NOBODY: Final = Description("", "", NOWHERE, NOWHERE, NOWHERE, {})
"""The description of a node of which only its leaving is known."""


def _endpoint(value: Any) -> Endpoint:
    match value:
        case [str(host), int(port)] if not isinstance(port, bool) and 0 <= port <= _PORT_MAX:
            endpoint = Endpoint(host, port)
            if endpoint == NOWHERE or is_host(host):
                return endpoint
    raise WireError(BAD_REQUEST, f"an address is [host, port], its host {HOST_FORM}")


def assert_node_id(value: Any) -> bytes:
    """`value`, if it has the form of a node id.

    Raises:
        WireError: `bad_request`.
    """
    if type(value) is not bytes or len(value) != NODE_ID_BYTES:
        raise WireError(BAD_REQUEST, f"a node id is {NODE_ID_BYTES} bytes")
    return value


@dataclass(frozen=True, slots=True)
class Member:
    """One node as another one knows it.

    Args:
        node_id: 16 bytes.
        description: what it last said of itself.
        described: the incarnation at which it said so.
        state: what is claimed of it.
        incarnation: the incarnation the claim is about.
    """

    node_id: bytes
    description: Description
    described: int
    state: State
    incarnation: int

    @classmethod
    def alive(cls, node_id: bytes, description: Description, incarnation: int) -> Member:
        """A member as it announces itself."""
        return cls(node_id, description, incarnation, State.ALIVE, incarnation)

    @property
    def name(self) -> str:
        """The operator's label for it."""
        return self.description.name

    @property
    def region(self) -> str:
        """Where it stands."""
        return self.description.region

    @property
    def peer(self) -> Endpoint:
        """Its TCP port for peers."""
        return self.description.peer

    @property
    def datagram(self) -> Endpoint:
        """Its gossip port."""
        return self.description.datagram

    @property
    def client(self) -> Endpoint:
        """Its port for clients."""
        return self.description.client

    @property
    def meta(self) -> Mapping[str, MetaValue]:
        """The small facts it spreads, such as epochs."""
        return self.description.meta

    @property
    def is_live(self) -> bool:
        """Whether it may still answer: alive, or only suspected."""
        return self.state <= State.SUSPECT

    def claimed(self, state: State, incarnation: int) -> Member:
        """The same member with another claim about it."""
        return replace(self, state=state, incarnation=incarnation)

    def to_wire(self) -> list[Any]:
        """Its row in a view sent to a peer."""
        return [self.node_id, int(self.state), self.incarnation, self.described, self.description.encode()]

    @classmethod
    def from_wire(cls, row: Any) -> Member:
        """Read one row of a view.

        Raises:
            WireError: `bad_request` and those of `Description.decode`.
        """
        match row:
            case [node_id, int(state), int(incarnation), int(described), bytes(description)] if (
                0 <= state <= State.LEFT
                and 0 <= incarnation <= INCARNATION_MAX
                and 0 <= described <= INCARNATION_MAX
            ):
                return cls(
                    assert_node_id(node_id),
                    Description.decode(description),
                    described,
                    State(state),
                    incarnation,
                )
        raise WireError(BAD_REQUEST, "a member is [node id, state, incarnation, described, description]")


def _claim_order(member: Member) -> tuple[bool, int, State]:
    return member.state is State.LEFT, member.incarnation, member.state


def _description_order(member: Member) -> tuple[int, bytes]:
    return member.described, member.description.encode()


def join(one: Member, other: Member) -> Member:
    """All that is known of a node, from two things known of it."""
    described = max(one, other, key=_description_order)
    claimed = max(one, other, key=_claim_order)
    return replace(described, state=claimed.state, incarnation=claimed.incarnation)


def digest(members: Iterable[Member]) -> bytes:
    """16 bytes that are equal for equal views."""
    rows = sorted((member.to_wire() for member in members), key=lambda row: row[0])
    hasher = hashlib.sha256()
    for row in rows:
        hasher.update(codec.pack(row))
    return hasher.digest()[:DIGEST_BYTES]


class View:
    """Every member a node has heard of, itself included. Nobody is ever removed; at most 1,024 fit.

    Args:
        own: the node whose view this is.
    """

    def __init__(self, own: Member) -> None:
        self._members = {own.node_id: own}

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __getitem__(self, node_id: bytes) -> Member:
        return self._members[node_id]

    def get(self, node_id: bytes) -> Member | None:
        """What is known of a node, if anything."""
        return self._members.get(node_id)

    def join(self, member: Member) -> bool:
        """Take in what is known of one node; False when it was nothing new (or the view is full)."""
        known = self._members.get(member.node_id)
        if known is None and len(self._members) >= GOSSIP_MEMBERS:
            return False
        joined = member if known is None else join(known, member)
        if joined == known:
            return False
        self._members[member.node_id] = joined
        return True

    def digest(self) -> bytes:
        """See `digest`."""
        return digest(self._members.values())

    def live_count(self) -> int:
        """Members that may answer, this node included; the n of the formulas."""
        return sum(member.is_live for member in self._members.values())
