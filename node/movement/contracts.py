"""What the parts that move ranges ask of others; see also `contracts`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.ring.roster import Roster
from folkmoot.protocol.ring.topology import Topology


class Holder(Protocol):
    """Who owns what, as this node knows it."""

    def current(self) -> Topology: ...

    async def wait_changed(self) -> None:
        """Wait until something newer is known."""
        ...


class RangeRegisters(Protocol):
    """See `node.registers.topology`."""

    async def change_range(
        self, range_id: int, change: Callable[[RangeDescriptor], RangeDescriptor]
    ) -> RangeDescriptor: ...


class RosterRegisters(Protocol):
    """See `node.registers.topology`."""

    async def read_ranges(self) -> None: ...

    async def change_roster(self, change: Callable[[Roster], Roster]) -> Roster: ...


class Fencing(Protocol):
    """See `node.movement.fences`."""

    async def ask(self, node_id: bytes, range_id: int, epoch: int) -> bool: ...


class Pass(Protocol):
    """How far a pass over a range is."""

    @property
    def state(self) -> Literal["running", "complete", "failed"]: ...

    @property
    def cells(self) -> int: ...

    @property
    def bytes(self) -> int: ...

    @property
    def blocks_done(self) -> int: ...

    @property
    def blocks(self) -> int: ...

    @property
    def reason(self) -> str | None: ...


class Copying(Protocol):
    """See `actors.copier`."""

    async def ask(self, node_id: bytes, range_id: int, epoch: int, session: bytes, donor: bytes) -> Pass: ...


class Liveness(Protocol):
    """Who is alive, by gossip."""

    def alive(self, node_id: bytes) -> bool: ...
