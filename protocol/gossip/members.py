"""What a node knows of another, and the one rule by which two such pieces of knowledge become one.

A member is two facts, each with an incarnation: how the node *describes* itself, and what is *claimed* of
its state. A node counts its own incarnations, and describes itself anew at each; so a description is the only
thing that raises what others know of it, and a claim is about an incarnation that was described, never a
later one. The later description wins, and of claims the later, then the graver. Both are maxima, so `join` is
associative, commutative and idempotent: views that have heard the same things, in any order and any number of
times, are equal.

Descriptions are passed on by everybody, and nothing in them proves that the node itself made them. What that
means for incarnations is decided where they are heard, in `claims`.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from folkmoot.protocol import codec
from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.host import HOST_FORM, is_host
from folkmoot.protocol.limits import GOSSIP_DESCRIPTION_BYTES, INCARNATION_MAX, NODE_ID_BYTES

DIGEST_BYTES: Final = 16
_PORT_MAX: Final = 2**16 - 1

MetaValue = int | str | bytes


class Endpoint(NamedTuple):
    """A host and a port, as numbers or names; what a transport dials."""

    host: str
    port: int


class State(enum.IntEnum):
    """What is claimed of a member; at one incarnation the greater claim stands.

    `LEFT` is a node's own goodbye. Like any claim it is about an incarnation: a node that comes back says so
    at a later one.
    """

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
"""An address nobody can be reached at."""


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

    def as_described(self) -> Member:
        """The same member, the claim about no later incarnation than the one it described itself at."""
        return replace(self, incarnation=min(self.incarnation, self.described))

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
            case [node_id, state, incarnation, described, bytes(description)] if (
                type(state) is type(incarnation) is type(described) is int
                and 0 <= state <= State.LEFT
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


def _claim_order(member: Member) -> tuple[int, State]:
    return member.incarnation, member.state


def _description_order(member: Member) -> tuple[int, bytes]:
    return member.described, member.description.encode()


def join(one: Member, other: Member) -> Member:
    """All that is known of a node, from two things known of it."""
    described = max(one, other, key=_description_order)
    claimed = max(one, other, key=_claim_order)
    return replace(described, state=claimed.state, incarnation=claimed.incarnation)


def digest(members: Iterable[Member]) -> bytes:
    """16 bytes that are equal for views in which the same nodes live, described and suspected alike.

    Who is gone is left out: nobody has to hear of that to see the same cluster, and views need not be equal
    in what they have forgotten.
    """
    rows = sorted((member.to_wire() for member in members if member.is_live), key=lambda row: row[0])
    hasher = hashlib.sha256()
    for row in rows:
        hasher.update(codec.pack(row))
    return hasher.digest()[:DIGEST_BYTES]
