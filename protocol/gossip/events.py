"""What the membership core is told, and what it asks to be done: two closed unions.

The effects of one call are carried out in order, and a `PersistIncarnation` among them stands first: an
incarnation that was ever sent must still be known after a crash, or the node could come back below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from folkmoot.protocol.gossip.members import Endpoint, Member, MetaValue
from folkmoot.protocol.gossip.messages import Message
from folkmoot.protocol.gossip.push_pull import Answer, Request


@dataclass(frozen=True, slots=True)
class DatagramReceived:
    """A datagram from `source` was opened, sealed by `sender` or in its name by a holder of the key."""

    sender: bytes
    source: Endpoint
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class ConnectionReset:
    """A peer connection broke without goodbye: worth an immediate probe."""

    node_id: bytes


@dataclass(frozen=True, slots=True)
class ConnectionRefused:
    """Nobody listens on the peer's port: strong evidence that the process is gone."""

    node_id: bytes


@dataclass(frozen=True, slots=True)
class PushPullAsked:
    """A request of a peer proven to be the node it names; one `AnswerPushPull` is among the effects."""

    request: Request


@dataclass(frozen=True, slots=True)
class PushPullAnswered:
    """The answer to our request at `endpoint`, of a peer proven to be the node it names."""

    endpoint: Endpoint
    answer: Answer


@dataclass(frozen=True, slots=True)
class PushPullFailed:
    """Our request at `endpoint` got no answer."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class MetaUpdated:
    """This node has other small facts to spread."""

    meta: Mapping[str, MetaValue]


@dataclass(frozen=True, slots=True)
class RosterLearned:
    """The members of the cluster by agreement (node ids)."""

    roster: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class LeaveAsked:
    """This node is to say that it is gone, until it comes back at a later incarnation."""


Event = (
    DatagramReceived
    | ConnectionReset
    | ConnectionRefused
    | PushPullAsked
    | PushPullAnswered
    | PushPullFailed
    | MetaUpdated
    | RosterLearned
    | LeaveAsked
)


@dataclass(frozen=True, slots=True)
class PersistIncarnation:
    """Make `incarnation` durable before carrying out the effects after this one."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Seal `payload` (encoded messages) and send it; `node_id` is who is believed to be at `endpoint`."""

    node_id: bytes
    endpoint: Endpoint
    payload: bytes


@dataclass(frozen=True, slots=True)
class StartPushPull:
    """Ask over TCP and report the outcome; `node_id` is None for a seed, where anyone may answer."""

    node_id: bytes | None
    endpoint: Endpoint
    request: Request


@dataclass(frozen=True, slots=True)
class AnswerPushPull:
    """The answer to the `PushPullAsked` just handled."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class MemberChanged:
    """`member` is new (`before` is None), or its state, incarnation or description changed."""

    member: Member
    before: Member | None


@dataclass(frozen=True, slots=True)
class MemberForgotten:
    """`member` is known no longer: not on the roster, and in the way of another, or long gone."""

    member: Member


Effect = PersistIncarnation | SendDatagram | StartPushPull | AnswerPushPull | MemberChanged | MemberForgotten
