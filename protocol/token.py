"""Session tokens: what a client carries so that any node shows it at least what it has seen.

A token lists cells with the clock the client has seen of each; a node may answer from a replica only when
the replica's clock of that cell covers it. Clocks only grow, so one comparison a cell gives read your
writes, monotonic reads, monotonic writes and writes follow reads, with no state on any node.

A token is bounded: past 128 (cell, dot) pairs the fullest lane of the key space gives up its pairs for one
flag, "read this lane at quorum", which a quorum-acknowledged write satisfies without being named.

Source: D. Terry et al., "Session Guarantees for Weakly Consistent Replicated Data" (1994).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from folkmoot.protocol import codec
from folkmoot.protocol.crdt import clock as clocks
from folkmoot.protocol.crdt.clock import Clock
from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import lane_of, parse_key
from folkmoot.protocol.limits import (
    ACCOUNT_BYTES,
    LANES,
    STAMP_AHEAD_US,
    STAMP_MAX,
    STORE_KEY_BYTES,
    TOKEN_BYTES,
    TOKEN_PAIRS,
)
from msgspec import Meta, Struct

VERSION: Final = 1

_LANE_BYTES: Final = LANES // 8
_Key = Annotated[bytes, Meta(max_length=STORE_KEY_BYTES)]
_Device = Annotated[bytes, Meta(min_length=ACCOUNT_BYTES, max_length=ACCOUNT_BYTES)]
_Stamp = Annotated[int, Meta(ge=0, le=STAMP_MAX)]


class _WireToken(Struct, array_like=True, forbid_unknown_fields=True):
    version: int
    lanes: Annotated[bytes, Meta(min_length=_LANE_BYTES, max_length=_LANE_BYTES)]
    pairs: Annotated[list[tuple[_Key, _Device, _Stamp]], Meta(max_length=TOKEN_PAIRS)]


@dataclass(frozen=True, slots=True)
class Token:
    """What a session has seen.

    Args:
        cells: cell key → the clock seen there (device of 34 bytes → stamp); 128 pairs at most, none of a
            lane in `lanes`.
        lanes: the lanes (0–63) to be read at quorum.
    """

    cells: Mapping[bytes, Clock] = field(default_factory=dict)
    lanes: frozenset[int] = frozenset()

    @classmethod
    def of(cls, pairs: Iterable[tuple[bytes, Clock]]) -> Token:
        """The token of a session that has seen these clocks at these keys."""
        seen: dict[bytes, Clock] = {}
        for key, clock in pairs:
            seen[key] = clocks.join(seen[key], clock) if key in seen else dict(clock)
        return _bounded(seen, frozenset())

    def join(self, other: Token) -> Token:
        """The token of a session that has seen what either has."""
        if not self.cells and not self.lanes:
            return other
        seen = dict(self.cells)
        for key, clock in other.cells.items():
            seen[key] = clocks.join(seen[key], clock) if key in seen else clock
        return _bounded(seen, self.lanes | other.lanes)

    def covered_by(self, key: bytes, clock: Clock) -> bool:
        """Whether a replica with `clock` at `key` has all this session has seen there."""
        return clocks.dominates(clock, self.cells.get(key, {}))

    def at_quorum(self, key: bytes) -> bool:
        """Whether `key` must be read at quorum, because what was seen near it is no longer listed."""
        return lane_of(key) in self.lanes

    def without(self, confirmed: Iterable[tuple[bytes, Clock]]) -> Token:
        """This token without what every slot has confirmed: the pairs that these clocks, by key, cover."""
        cells = dict(self.cells)
        for key, known in confirmed:
            kept = {
                device: stamp
                for device, stamp in cells.get(key, {}).items()
                if not clocks.covers(known, device, stamp)
            }
            if kept:
                cells[key] = kept
            else:
                cells.pop(key, None)
        return Token(cells, self.lanes)

    def encode(self) -> bytes:
        """The opaque bytes a client is given: equal tokens, equal bytes."""
        flags = sum(1 << lane for lane in self.lanes)
        pairs = sorted(
            (key, device, stamp) for key, clock in self.cells.items() for device, stamp in clock.items()
        )
        return codec.pack([VERSION, flags.to_bytes(_LANE_BYTES, "big"), pairs])

    @classmethod
    def decode(cls, data: object, now_ms: int | None = None) -> Token:
        """Take a token a client brought back.

        Args:
            data: as it came.
            now_ms: this node's clock: nobody can have seen what will be written twice as far ahead as any
                node accepts; None to believe it.

        Raises:
            WireError: `bad_request` or `too_large`, when it is not one this cluster could have given.
        """
        if type(data) is not bytes:
            raise WireError(BAD_REQUEST, "the token is not bytes")
        if len(data) > TOKEN_BYTES:
            raise WireError(TOO_LARGE, f"a token of {len(data)} bytes; tokens have at most {TOKEN_BYTES}")
        wire = codec.shaped(codec.unpack(data), _WireToken, "the token")
        if wire.version != VERSION:
            raise WireError(BAD_REQUEST, f"a token of version {wire.version}; this node knows {VERSION}")
        flags = int.from_bytes(wire.lanes, "big")
        token = cls(_seen(wire.pairs), frozenset(lane for lane in range(LANES) if flags >> lane & 1))
        if token.encode() != data or not token.lanes.isdisjoint(map(lane_of, token.cells)):
            raise WireError(BAD_REQUEST, "the token is not in the form nodes give out")
        latest_us = None if now_ms is None else now_ms * 1000 + 2 * STAMP_AHEAD_US
        if latest_us is not None and any(stamp > latest_us for _, _, stamp in wire.pairs):
            raise WireError(BAD_REQUEST, "the token names a state that nobody can have written yet")
        return token


def _seen(pairs: Iterable[tuple[bytes, bytes, int]]) -> Mapping[bytes, Clock]:
    """The clocks that (key, device, stamp) add up to, by key."""
    seen: dict[bytes, dict[bytes, int]] = {}
    for key, device, stamp in pairs:
        if not is_account(device):
            raise WireError(BAD_REQUEST, "the token names a device that is not 34 bytes of an Ed25519 key")
        clock = seen.get(key)
        if clock is None:
            parse_key(key)
            clock = seen[key] = {}
        clock[device] = stamp
    return seen


def _bounded(seen: Mapping[bytes, Clock], lanes: frozenset[int]) -> Token:
    """Drop what flagged lanes make superfluous; flag the fullest lanes while there are too many pairs."""
    if not lanes and all(seen.values()) and sum(map(len, seen.values())) <= TOKEN_PAIRS:
        return Token(seen)
    pairs = Counter[int]()
    for key, clock in seen.items():
        pairs[lane_of(key)] += len(clock)
    kept = sum(count for lane, count in pairs.items() if lane not in lanes)
    for lane, count in sorted(pairs.items(), key=lambda entry: (-entry[1], entry[0])):
        if kept <= TOKEN_PAIRS:
            break
        if lane not in lanes:
            lanes |= {lane}
            kept -= count
    return Token({key: clock for key, clock in seen.items() if clock and lane_of(key) not in lanes}, lanes)
