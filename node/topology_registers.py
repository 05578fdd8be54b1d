"""The topology in registers: the roster is one, and so is each range's descriptor.

A register that holds nothing stands for what the founders computed: it is written when the part changes for
the first time. A change makes the epoch one more, is decided, and is then adopted here; gossip's summary
takes the news around, and whoever hears of it reads the register before it believes a word (`decided`).

This is where everything that moves ownership comes in: `change_range` and `change_roster` take a function
from the part as it is to the part as it should be, and a request id under which it is done once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from folkmoot.node.seat_change import each_of
from folkmoot.protocol import codec
from folkmoot.protocol.consensus.value import Make, Value
from folkmoot.protocol.errors import BAD_REQUEST, NOT_FOUND, WireError
from folkmoot.protocol.limits import REGISTER_TIMEOUT_S
from folkmoot.protocol.ring.errors import blame_peer
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.ring.roster import Roster
from folkmoot.protocol.ring.topology import News, Topology

ROSTER: Final = "roster"
RANGE: Final = "range/"
READ_TIMEOUT_S: Final = 2.0  # what waits for the topology can be told sooner that it is not to be had


class Registers(Protocol):
    """See `actors.registrar`."""

    async def change(self, name: str, make: Make, request: bytes | None = None) -> Value | None: ...

    async def read(self, name: str, *, timeout_s: float) -> Value | None: ...


class Holder(Protocol):
    """Keeps the topology, and takes what is newer."""

    def current(self) -> Topology: ...

    async def adopt(self, news: News) -> bool: ...


def range_register(range_id: int) -> str:
    """The name of a range's register."""
    return f"{RANGE}{range_id}"


class TopologyRegisters:
    """See the module.

    Args:
        registers: reads and changes them.
    """

    _holder: Holder

    def __init__(self, registers: Registers) -> None:
        self._registers = registers

    def follow(self, holder: Holder) -> None:
        """Say, before anything is changed, who keeps the topology."""
        self._holder = holder

    async def change_range(
        self,
        range_id: int,
        change: Callable[[RangeDescriptor], RangeDescriptor],
        request: bytes | None = None,
    ) -> RangeDescriptor:
        """Change the descriptor of one range, and adopt what was decided.

        Args:
            range_id: which.
            change: the descriptor as it should be, its epoch one more; the same one when nothing is to be
                done. Called once an attempt; must not wait. May raise `WireError` to refuse what it is given.
            request: names this change (16 bytes): under the same one it is made once.

        Raises:
            WireError: `not_found`; `bad_request`, when the epoch is not the next; what `change` raises;
                `no_quorum`; `uncertain`.
        """

        def make(value: Value | None) -> bytes | None:
            present = self._range(range_id, value)
            after = change(present)
            if after == present:
                return None
            if (after.id, after.epoch) != (range_id, present.epoch + 1):
                raise WireError(BAD_REQUEST, f"range {range_id} goes from epoch {present.epoch} to the next")
            return codec.pack(after.to_wire())

        value = await self._registers.change(range_register(range_id), make, request)
        decided = self._range(range_id, value)
        await self._holder.adopt(News(self._holder.current().summary, None, (decided,), False))
        return decided

    async def change_roster(self, change: Callable[[Roster], Roster], request: bytes | None = None) -> Roster:
        """Change the roster, and adopt what was decided; as `change_range`."""

        def make(value: Value | None) -> bytes | None:
            present = self._roster(value)
            after = change(present)
            if after == present:
                return None
            if (after.cluster, after.epoch) != (present.cluster, present.epoch + 1):
                raise WireError(BAD_REQUEST, f"the roster goes from epoch {present.epoch} to the next")
            return codec.pack(after.to_wire())

        decided = self._roster(await self._registers.change(ROSTER, make, request))
        await self._holder.adopt(News(self._holder.current().summary, decided, (), False))
        return decided

    async def read_ranges(self) -> None:
        """Read the register of every range, so that what was being decided is, and adopt what they hold.

        Raises:
            WireError: `no_quorum`.
        """
        known = self._holder.current()
        ids = {range_register(descriptor.id): descriptor.id for descriptor in known.ranges.ranges}
        found: list[RangeDescriptor] = []

        async def read(name: str) -> None:
            value = await self._registers.read(name, timeout_s=REGISTER_TIMEOUT_S)
            found.append(self._range(ids[name], value))

        await each_of(list(ids), read)
        await self._holder.adopt(News(known.summary, None, tuple(found), False))

    async def decided(self, known: Topology, news: News) -> News:
        """What registers say of the parts that a peer calls newer; what they do not hold is left out.

        Args:
            known: what this node has.
            news: what the peer told.

        Raises:
            WireError: `no_quorum`: nothing can be believed for now.
        """
        epochs = known.ranges.epochs()
        newer = [each.id for each in news.ranges if each.epoch > epochs.get(each.id, 0)]
        found: dict[int, RangeDescriptor] = {}
        roster: Roster | None = None
        if news.roster is not None and news.roster.epoch > known.roster.epoch:
            value = await self._registers.read(ROSTER, timeout_s=READ_TIMEOUT_S)
            roster = None if value is None else _roster_of(value)

        async def read(name: str) -> None:
            value = await self._registers.read(name, timeout_s=READ_TIMEOUT_S)
            if value is not None:
                descriptor = _range_of(value)
                found[descriptor.id] = descriptor

        await each_of([range_register(each) for each in newer], read)
        return News(news.summary, roster, tuple(found[each] for each in newer if each in found), news.more)

    def _range(self, range_id: int, value: Value | None) -> RangeDescriptor:
        """The descriptor as it is: what the register holds or, before it holds any, what was founded."""
        known = self._holder.current().ranges.get(range_id)
        held = None if value is None else _range_of(value)
        if held is not None and (known is None or held.epoch >= known.epoch):
            return held
        if known is None:
            raise WireError(NOT_FOUND, f"there is no range {range_id}")
        return known

    def _roster(self, value: Value | None) -> Roster:
        known = self._holder.current().roster
        held = None if value is None else _roster_of(value)
        return known if held is None or held.epoch < known.epoch else held


def _range_of(value: Value) -> RangeDescriptor:
    return RangeDescriptor.from_wire(codec.unpack(value.body))


def _roster_of(value: Value) -> Roster:
    with blame_peer():
        return Roster.from_wire(codec.unpack(value.body))
