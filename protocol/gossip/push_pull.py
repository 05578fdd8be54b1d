"""The comparison of two whole views over TCP: a digest first, the views only when it differs.

    initiator                                responder
    Compare(digest)        ───────────▶
                           ◀───────────      Equal, and both are done; or View(members)
    (joins the view; if it knows more:)
    Exchange(members)      ───────────▶      (joins the view)
                           ◀───────────      Equal, or View(members) with what has changed since

A node that joins has nothing to compare and starts with Exchange, so that the seed learns of it at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from folkmoot.protocol import codec
from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.gossip.members import DIGEST_BYTES, Member, assert_node_id
from folkmoot.protocol.limits import GOSSIP_MEMBERS


@dataclass(frozen=True, slots=True)
class Compare:
    """Is your view's digest this one?"""

    node_id: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """Here is my view; what does yours say otherwise?"""

    node_id: bytes
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Equal:
    """Our views are the same."""

    node_id: bytes


@dataclass(frozen=True, slots=True)
class Whole:
    """They are not; here is mine."""

    node_id: bytes
    members: tuple[Member, ...]


Request = Compare | Exchange
Answer = Equal | Whole


def encode(message: Request | Answer) -> bytes:
    """The bytes of one request or answer."""
    match message:
        case Compare(node_id, digest):
            return codec.pack([1, node_id, digest])
        case Exchange(node_id, members):
            return codec.pack([2, node_id, [member.to_wire() for member in members]])
        case Equal(node_id):
            return codec.pack([3, node_id])
        case Whole(node_id, members):
            return codec.pack([4, node_id, [member.to_wire() for member in members]])


def decode_request(payload: bytes) -> Request:
    """Read what an initiator sent.

    Raises:
        WireError: `bad_request`, `too_large` or `not_canonical`.
    """
    match codec.unpack(payload):
        case [1, node_id, bytes(digest)] if len(digest) == DIGEST_BYTES:
            return Compare(assert_node_id(node_id), digest)
        case [2, node_id, list(rows)]:
            return Exchange(assert_node_id(node_id), _members(rows))
    raise WireError(BAD_REQUEST, "a push-pull request is [1, node id, digest] or [2, node id, members]")


def decode_answer(payload: bytes) -> Answer:
    """Read what a responder sent.

    Raises:
        WireError: `bad_request`, `too_large` or `not_canonical`.
    """
    match codec.unpack(payload):
        case [3, node_id]:
            return Equal(assert_node_id(node_id))
        case [4, node_id, list(rows)]:
            return Whole(assert_node_id(node_id), _members(rows))
    raise WireError(BAD_REQUEST, "a push-pull answer is [3, node id] or [4, node id, members]")


def _members(rows: list[Any]) -> tuple[Member, ...]:
    if len(rows) > GOSSIP_MEMBERS:
        raise WireError(TOO_LARGE, f"a view of {len(rows)} members; at most {GOSSIP_MEMBERS} fit")
    return tuple(Member.from_wire(row) for row in rows)
