"""What one datagram says: messages one after another, each a kind byte and its packed fields.

Fixed layouts keep an idle probe at 19 bytes and its acknowledgement at 3. Kinds have no length, so a new kind
is sent only once every member of the cluster understands it.

    ping           1  sequence u16, target 16          is the node at this address `target`, and alive?
    ping request   2  sequence u16, target 16          ping `target` for me
    ack            3  sequence u16                     it is
    nack           4  sequence u16                     I asked, and have no answer yet
    suspect        5  subject 16, incarnation u64, accuser 16
    dead           6  subject 16, incarnation u64, accuser 16
    left           7  subject 16, incarnation u64
    alive          8  subject 16, incarnation u64, length u16, description
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.gossip.members import Description
from folkmoot.protocol.limits import INCARNATION_MAX

_PING: Final = struct.Struct(">BH16s")
_ACK: Final = struct.Struct(">BH")
_ACCUSATION: Final = struct.Struct(">B16sQ16s")
_LEFT: Final = struct.Struct(">B16sQ")
_ALIVE: Final = struct.Struct(">B16sQH")


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you `target`, and alive?"""

    sequence: int
    target: bytes


@dataclass(frozen=True, slots=True)
class PingRequest:
    """Ping `target` for me and pass its answer on."""

    sequence: int
    target: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """The answer to a ping, or to a ping request by way of the relay."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Nack:
    """A relay's word that it lives and asked, but was not answered yet."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """`accuser` could not reach `subject` at that incarnation."""

    subject: bytes
    incarnation: int
    accuser: bytes


@dataclass(frozen=True, slots=True)
class Dead:
    """`subject` did not refute a suspicion in time, says `accuser`."""

    subject: bytes
    incarnation: int
    accuser: bytes


@dataclass(frozen=True, slots=True)
class Left:
    """`subject` says that it is gone; another's word of it is an accusation."""

    subject: bytes
    incarnation: int


@dataclass(frozen=True, slots=True)
class Alive:
    """`subject` lives and describes itself so, at that incarnation."""

    subject: bytes
    incarnation: int
    description: Description


Claim = Suspect | Dead | Left | Alive
Message = Ping | PingRequest | Ack | Nack | Claim


def encode(message: Message) -> bytes:
    """The bytes of one message."""
    match message:
        case Ping(sequence, target):
            return _PING.pack(1, sequence, target)
        case PingRequest(sequence, target):
            return _PING.pack(2, sequence, target)
        case Ack(sequence):
            return _ACK.pack(3, sequence)
        case Nack(sequence):
            return _ACK.pack(4, sequence)
        case Suspect(subject, incarnation, accuser):
            return _ACCUSATION.pack(5, subject, incarnation, accuser)
        case Dead(subject, incarnation, accuser):
            return _ACCUSATION.pack(6, subject, incarnation, accuser)
        case Left(subject, incarnation):
            return _LEFT.pack(7, subject, incarnation)
        case Alive(subject, incarnation, description):
            encoded = description.encode()
            return _ALIVE.pack(8, subject, incarnation, len(encoded)) + encoded


def decode(payload: bytes) -> tuple[Message, ...]:
    """Every message of one opened datagram.

    Raises:
        WireError: `bad_request` for an unknown kind or a cut message, and those of `Description.decode`.
    """
    messages: list[Message] = []
    offset = 0
    try:
        while offset < len(payload):
            message, offset = _decode_one(payload, offset)
            messages.append(message)
    except struct.error as error:
        raise WireError(BAD_REQUEST, f"a gossip message is cut short at byte {offset}") from error
    return tuple(messages)


def _decode_one(payload: bytes, offset: int) -> tuple[Message, int]:
    kind = payload[offset]
    if kind in (1, 2):
        _, sequence, target = _PING.unpack_from(payload, offset)
        message: Message = Ping(sequence, target) if kind == 1 else PingRequest(sequence, target)
        return message, offset + _PING.size
    if kind in (3, 4):
        _, sequence = _ACK.unpack_from(payload, offset)
        return (Ack(sequence) if kind == 3 else Nack(sequence)), offset + _ACK.size
    if kind in (5, 6):
        _, subject, incarnation, accuser = _ACCUSATION.unpack_from(payload, offset)
        _assert_incarnation(incarnation)
        accusation = Suspect if kind == 5 else Dead
        return accusation(subject, incarnation, accuser), offset + _ACCUSATION.size
    if kind == 7:
        _, subject, incarnation = _LEFT.unpack_from(payload, offset)
        _assert_incarnation(incarnation)
        return Left(subject, incarnation), offset + _LEFT.size
    if kind == 8:
        return _decode_alive(payload, offset)
    raise WireError(BAD_REQUEST, f"no gossip message has kind {kind}")


def _decode_alive(payload: bytes, offset: int) -> tuple[Alive, int]:
    _, subject, incarnation, length = _ALIVE.unpack_from(payload, offset)
    _assert_incarnation(incarnation)
    start = offset + _ALIVE.size
    if start + length > len(payload):
        raise WireError(BAD_REQUEST, "an alive message is shorter than its description says")
    return Alive(subject, incarnation, Description.decode(payload[start : start + length])), start + length


def _assert_incarnation(incarnation: int) -> None:
    if incarnation > INCARNATION_MAX:
        raise WireError(BAD_REQUEST, f"an incarnation is at most {INCARNATION_MAX}")
