"""The two frames of reconciliation, each at most 64 KiB: what is asked, and what is answered.

A query lists ranges with the fingerprint the asker has of each; they ascend and do not overlap. A reply
answers a *prefix* of them, in order, each in one of three ways; what did not fit, or would be too much work
for one frame, stays unanswered and is asked again. Both are MessagePack:

    query = [version, [[start, end, count, digest], …]]
    reply = [version, [answer, …]]
    answer = [0]                                    the range is equal here
           | [1, [bound, …], [[count, digest], …]]  it is cut at these bounds, with these fingerprints
           | [2, through, [[key, hash], …]]         all its leaves from its start to before `through`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Final

from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.sync.fingerprint import DIGEST_BYTES, LEAF_BYTES, Fingerprint, Leaf
from msgspec import Meta, Struct

VERSION: Final = 1

# A key is one byte shorter than a bound may be: the bound just after a key is the key and a zero byte.
KEY_BYTES: Final = limits.STORE_KEY_BYTES - 1

_Bound = Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)]
_Key = Annotated[bytes, Meta(min_length=1, max_length=KEY_BYTES)]
_Hash = Annotated[bytes, Meta(min_length=LEAF_BYTES, max_length=LEAF_BYTES)]
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Digest = Annotated[bytes, Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES)]

# What each part takes on the wire at most, beside the bytes of its keys and bounds.
_FRAME_HEAD_BYTES = 8
_BOUND_HEAD_BYTES = 3
_PRINT_BYTES = 1 + 9 + 2 + DIGEST_BYTES
_LEAF_HEAD_BYTES = 1 + 3 + 2 + LEAF_BYTES
_ANSWER_HEAD_BYTES = 8

FRAME_ROOM_BYTES: Final = limits.SYNC_FRAME_BYTES - _FRAME_HEAD_BYTES


class Print(Struct, array_like=True, frozen=True):
    """A fingerprint as it travels: how many leaves, and the digest to compare."""

    count: _Count
    digest: _Digest

    @classmethod
    def of(cls, fingerprint: Fingerprint) -> Print:
        return cls(fingerprint.count, fingerprint.digest())

    def to_wire(self) -> list[Any]:
        return [self.count, self.digest]


class Asked(Struct, array_like=True, frozen=True):
    """One range of a query, with the asker's fingerprint of it."""

    start: _Bound
    end: _Bound
    count: _Count
    digest: _Digest

    @property
    def size_bytes(self) -> int:
        """An upper bound of its size on the wire."""
        return 1 + len(self.start) + len(self.end) + 2 * _BOUND_HEAD_BYTES + _PRINT_BYTES

    def is_equal(self, own: Fingerprint) -> bool:
        """Whether the asker's leaves and these are the same."""
        return self.count == own.count and self.digest == own.digest()

    def to_wire(self) -> list[Any]:
        return [self.start, self.end, self.count, self.digest]


class Equal(Struct, array_like=True, frozen=True, tag=0):
    """The replier's leaves are the same."""

    @property
    def size_bytes(self) -> int:
        return 2

    def to_wire(self) -> list[Any]:
        return [0]


class Split(Struct, array_like=True, frozen=True, tag=1):
    """The range cut into buckets: the bounds between them, and a fingerprint each."""

    bounds: Annotated[list[_Bound], Meta(min_length=1, max_length=limits.SYNC_BUCKETS - 1)]
    prints: Annotated[list[Print], Meta(min_length=2, max_length=limits.SYNC_BUCKETS)]

    @property
    def size_bytes(self) -> int:
        bounds = sum(map(len, self.bounds)) + len(self.bounds) * _BOUND_HEAD_BYTES
        return _ANSWER_HEAD_BYTES + bounds + len(self.prints) * _PRINT_BYTES

    def to_wire(self) -> list[Any]:
        return [1, self.bounds, [bucket.to_wire() for bucket in self.prints]]


class Leaves(Struct, array_like=True, frozen=True, tag=2):
    """The replier's leaves from the start of the range to before `through`."""

    through: _Bound
    leaves: Annotated[list[tuple[_Key, _Hash]], Meta(max_length=limits.SYNC_PAGE_ITEMS)]

    @property
    def size_bytes(self) -> int:
        head = _ANSWER_HEAD_BYTES + _BOUND_HEAD_BYTES + len(self.through)
        return head + sum(leaf_size_bytes(leaf) for leaf in self.leaves)

    def to_wire(self) -> list[Any]:
        return [2, self.through, self.leaves]


Answer = Equal | Split | Leaves

LEAVES_ROOM_BYTES: Final = FRAME_ROOM_BYTES - _ANSWER_HEAD_BYTES - _BOUND_HEAD_BYTES - limits.STORE_KEY_BYTES


class _Query(Struct, array_like=True):
    version: int
    ranges: Annotated[list[Asked], Meta(min_length=1, max_length=limits.SYNC_FRAME_RANGES)]


class _Reply(Struct, array_like=True):
    version: int
    answers: Annotated[list[Answer], Meta(min_length=1, max_length=limits.SYNC_FRAME_RANGES)]


@dataclass(frozen=True, slots=True)
class Interval:
    """A range of keys: from `start`, to before `end`; an empty `end` is the end of the key space."""

    start: bytes
    end: bytes

    def holds(self, start: bytes, end: bytes) -> bool:
        """Whether the non-empty range from `start` to before `end` lies within."""
        ordered = end == b"" or start < end
        return ordered and self.start <= start and (self.end == b"" or (end != b"" and end <= self.end))

    def holds_key(self, key: bytes) -> bool:
        """Whether `key` lies within."""
        return self.start <= key and (self.end == b"" or key < self.end)


def leaf_size_bytes(leaf: Leaf) -> int:
    """An upper bound of one leaf's size on the wire."""
    return _LEAF_HEAD_BYTES + len(leaf[0])


def encode(parts: Sequence[Asked] | Sequence[Answer]) -> bytes:
    """The frame of a query or of a reply."""
    frame = codec.pack([VERSION, [part.to_wire() for part in parts]])
    assert len(frame) <= limits.SYNC_FRAME_BYTES, "sizes are bounded from above before a frame is made"
    return frame


def decode_query(frame: object, within: Interval) -> list[Asked]:
    """Check and take a query about the keys in `within`.

    Raises:
        WireError: `bad_request` or `too_large`.
    """
    query = codec.shaped(_unpack(frame), _Query, "a reconciliation query")
    _check_version(query.version)
    for asked in query.ranges:
        if not within.holds(asked.start, asked.end):
            raise WireError(BAD_REQUEST, "a reconciliation query asks about keys outside its range")
    for left, right in pairwise(query.ranges):
        if left.end == b"" or left.end > right.start:
            raise WireError(BAD_REQUEST, "the ranges of a reconciliation query overlap or do not ascend")
    return query.ranges


def decode_reply(frame: object, asked: Sequence[Interval]) -> list[Answer]:
    """Check and take the reply to a query about the ranges `asked`.

    Raises:
        WireError: `bad_request` or `too_large`.
    """
    reply = codec.shaped(_unpack(frame), _Reply, "a reconciliation reply")
    _check_version(reply.version)
    if len(reply.answers) > len(asked):
        raise WireError(BAD_REQUEST, "a reconciliation reply answers more than was asked")
    for answer, part in zip(reply.answers, asked, strict=False):
        if isinstance(answer, Split):
            _check_split(answer, part)
        elif isinstance(answer, Leaves):
            _check_leaves(answer, part)
    return reply.answers


def _unpack(frame: object) -> Any:
    if type(frame) is not bytes:
        raise WireError(BAD_REQUEST, "a reconciliation frame is bytes")
    if len(frame) > limits.SYNC_FRAME_BYTES:
        raise WireError(TOO_LARGE, f"a reconciliation frame of {len(frame)} bytes")
    return codec.unpack(frame)


def _check_version(version: int) -> None:
    if version != VERSION:
        raise WireError(BAD_REQUEST, f"reconciliation version {version}; this node knows {VERSION}")


def _check_split(answer: Split, part: Interval) -> None:
    ascending = all(left < right for left, right in pairwise([part.start, *answer.bounds]))
    if not ascending or not part.holds_key(answer.bounds[-1]) or len(answer.prints) != len(answer.bounds) + 1:
        raise WireError(BAD_REQUEST, "a reconciliation reply cuts a range outside it or out of order")


def _check_leaves(answer: Leaves, part: Interval) -> None:
    if not part.holds(part.start, answer.through):
        raise WireError(BAD_REQUEST, "a reconciliation reply lists leaves to a bound outside the range")
    listed = Interval(part.start, answer.through)
    keys = [key for key, _ in answer.leaves]
    if not all(map(listed.holds_key, keys)) or not all(left < right for left, right in pairwise(keys)):
        raise WireError(BAD_REQUEST, "a reconciliation reply lists leaves outside the range or out of order")
