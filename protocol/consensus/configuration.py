"""Configurations: which seats decide, by number.

Seats change in two steps. A *joint* configuration has the seats of before and those to come, and needs a
majority of each; once every register has been rewritten under it, the next configuration has the new seats
alone. Nobody acts on a configuration that is not decided, and an acceptor that has heard of one refuses all
with lower numbers: so the seats of before can decide nothing once the joint ones can, and by the time the new
ones decide alone, a majority of them has every value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Final, Self

import msgspec
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.ring.levels import majority
from msgspec import Meta, Struct

SIZES: Final = (1, 3, 5)
"""How many seats a configuration may have: with fewer than three a second one would only get in the way."""
REGISTER: Final = "seats"
"""The register that holds, decided under one configuration, the one that follows it."""

NodeId = Annotated[bytes, Meta(min_length=limits.NODE_ID_BYTES, max_length=limits.NODE_ID_BYTES)]
SeatId = Annotated[bytes, Meta(min_length=limits.SEAT_ID_BYTES, max_length=limits.SEAT_ID_BYTES)]
Seats = Annotated[list["Seat"], Meta(max_length=SIZES[-1])]


class Seat(Struct, frozen=True):
    """One acceptor.

    Args:
        id: drawn when its store was made (16 bytes): a store that is made anew is another seat.
        node: whose store it is (16 bytes).
    """

    id: SeatId
    node: NodeId


class Configuration(Struct, frozen=True):
    """The seats, at one number.

    Args:
        number: from 1; each configuration's is one more than that of the one before.
        seats: of this configuration, or, while it is joint, of the one before.
        coming: while it is joint, the seats to come; else empty.
    """

    number: Annotated[int, Meta(ge=1, le=limits.CONFIGURATION_MAX)]
    seats: Seats
    coming: Seats = msgspec.field(default_factory=list)

    @classmethod
    def first(cls, seat: Seat) -> Self:
        """The configuration a cluster begins with."""
        return cls(1, [seat])

    @classmethod
    def from_wire(cls, value: Any) -> Configuration:
        """Check and take what a peer or the store gave.

        Raises:
            WireError: `bad_request`.
        """
        configuration = codec.shaped(value, Configuration, "a configuration of seats")
        configuration.check()
        return configuration

    def check(self) -> None:
        """Raise `WireError`, `bad_request`, unless its seats are sets of seats."""
        for seats in (self.seats, self.coming):
            _check(seats)
        _check_apart(self.seats, self.coming)
        if not self.seats:
            raise WireError(BAD_REQUEST, "a configuration without seats")

    @classmethod
    def decode(cls, data: bytes) -> Configuration:
        """The inverse of `encode`.

        Raises:
            WireError: `bad_request`.
        """
        return cls.from_wire(codec.unpack(data))

    def encode(self) -> bytes:
        """As the register of seats holds it."""
        return codec.pack(self.to_wire())

    def to_wire(self) -> dict[str, Any]:
        """As a map for messages and the store."""
        plain: dict[str, Any] = msgspec.to_builtins(self, builtin_types=(bytes,))
        return plain

    @property
    def joint(self) -> bool:
        """Whether it is on the way from one set of seats to another."""
        return bool(self.coming)

    @property
    def all_seats(self) -> list[Seat]:
        """Every seat that has a say, each once."""
        return list(dict.fromkeys([*self.seats, *self.coming]))

    @property
    def ballot_floor(self) -> int:
        """The counter that ballots under this configuration are above.

        Of two nodes that recover on two sides of a partition the one with the greater number so has the
        greater ballots, too: when the sides meet, what the other decided about a register does not come back
        over what this one did.
        """
        return min(self.number // limits.SEATS_RECOVERY_STEP, limits.BALLOT_STEP // 2)

    @property
    def may_fail(self) -> int:
        """How many seats may be lost, whichever they are, while registers can still be changed."""
        return min((len(group) - 1) // 2 for group in self._groups)

    def joined_by(self, coming: Sequence[Seat]) -> Configuration:
        """The joint configuration on the way to `coming`.

        Raises:
            WireError: `bad_request`, when this one is joint itself or `coming` is no set of seats.
        """
        if self.joint:
            raise WireError(BAD_REQUEST, f"configuration {self.number} is on its way to other seats already")
        if not coming:
            raise WireError(BAD_REQUEST, "a configuration without seats")
        _check(coming)
        _check_apart(self.seats, coming)
        return Configuration(self.number + 1, self.seats, list(coming))

    def settled(self) -> Configuration:
        """The configuration after a joint one: the seats that were to come, alone."""
        assert self.joint, "only a joint configuration has seats to come"
        return Configuration(self.number + 1, self.coming)

    def is_quorum(self, seats: AbstractSet[bytes]) -> bool:
        """Whether these seats (by id) can decide."""
        return all(sum(seat.id in seats for seat in group) >= majority(len(group)) for group in self._groups)

    def can_do_without(self, seats: Iterable[bytes]) -> bool:
        """Whether a quorum is left without these seats (by id)."""
        return self.is_quorum({seat.id for seat in self.all_seats} - set(seats))

    @property
    def _groups(self) -> list[list[Seat]]:
        return [self.seats, self.coming] if self.coming else [self.seats]


def recovery_number(known: int, node: bytes) -> int:
    """The number of the configuration that one node makes alone, after most seats were lost.

    It is far above the number known, so that nobody who still acts on that one, or on what follows it, is
    followed any more. How far is the node's own: two nodes that recover on two sides of a partition make two
    numbers, with room for the changes after them, so that the lesser gives way once they meet.

    Args:
        known: the newest number known to the node; 0 for none.
        node: its id (16 bytes).
    """
    own = int.from_bytes(hashlib.blake2b(node, digest_size=limits.SEATS_RECOVERY_BITS // 8).digest())
    return known + limits.SEATS_RECOVERY_STEP * (1 + own)


def _check(seats: Sequence[Seat]) -> None:
    if seats and len(seats) not in SIZES:
        raise WireError(BAD_REQUEST, f"{len(seats)} seats; there are {', '.join(map(str, SIZES))}")
    if len({seat.node for seat in seats}) != len(seats) or len({seat.id for seat in seats}) != len(seats):
        raise WireError(BAD_REQUEST, "two seats of one node, or one seat twice")


def _check_apart(seats: Sequence[Seat], coming: Sequence[Seat]) -> None:
    """Raise unless a seat id means one seat in both sets: its answer counts for both."""
    nodes = {seat.id: seat.node for seat in seats}
    if any(nodes.get(seat.id, seat.node) != seat.node for seat in coming):
        raise WireError(BAD_REQUEST, "one seat at two nodes")
