"""The topology in registers: the roster is one, and so is each range's descriptor.

A register that holds nothing stands for what the founders computed: it is written when the part changes for
the first time. A change makes the epoch one more, is decided, and is then adopted here; gossip's summary
takes the news around, and whoever hears of it reads the register before it believes a word (`decided`).

This is where everything that moves ownership comes in: `change_range` and `change_roster` take a function
from the part as it is to the part as it should be, and a request id under which it is done once. The one
change that concerns two registers is `split_range`; why it is safe is said in `protocol.ring.splitting`.

What a descriptor links to is read with it, so that no node ever knows of a part of a split alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from folkmoot.node.registers.seat_change import each_of
from folkmoot.protocol import codec
from folkmoot.protocol.consensus.value import Make, Value
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, NOT_FOUND, WireError
from folkmoot.protocol.limits import REGISTER_TIMEOUT_S, TOPOLOGY_SPLIT_BYTES
from folkmoot.protocol.ring import splitting
from folkmoot.protocol.ring.driving import is_joint
from folkmoot.protocol.ring.errors import RingError, blame_peer
from folkmoot.protocol.ring.ranges import RangeDescriptor
from folkmoot.protocol.ring.roster import Roster
from folkmoot.protocol.ring.splitting import Reservation
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
            if splitting.changed_bounds(present, after):
                raise WireError(BAD_REQUEST, f"the bounds of range {range_id} change only when it is split")
            return codec.pack(after.to_wire())

        value = await self._registers.change(range_register(range_id), make, request)
        decided = self._range(range_id, value)
        await self._adopt([decided])
        return decided

    async def split_range(
        self, before: RangeDescriptor, at: bytes
    ) -> tuple[RangeDescriptor, RangeDescriptor]:
        """Split a range, and adopt what was decided.

        A split of the same range that somebody else began and has not ended is ended instead, at the bound
        that was meant there.

        Args:
            before: the range, as it is to be split.
            at: the first key of the right part; see `splitting.check_bound`.

        Returns:
            The two parts.

        Raises:
            WireError: `bad_request`, when the bound is none; `conflict`, when the range is moving or has
                changed meanwhile, or there can be no more ranges; `no_quorum`; `uncertain`.
        """
        present = self._range(
            before.id, await self._registers.read(range_register(before.id), timeout_s=REGISTER_TIMEOUT_S)
        )
        await self._adopt([present])
        if present != before:
            raise _changed(before, present)
        reservation = await self._reserve(before, at)
        with blame_peer():
            left = splitting.left_part(before, reservation)
        self._check_room(left, reservation.descriptor)

        def make(value: Value | None) -> bytes | None:
            return codec.pack(left.to_wire()) if self._range(before.id, value) == before else None

        decided = self._range(before.id, await self._registers.change(range_register(before.id), make))
        await self._adopt([decided])
        if decided != left:
            raise _changed(before, decided)
        return left, reservation.descriptor

    async def _reserve(self, parent: RangeDescriptor, at: bytes) -> Reservation:
        """Have an id and a bound for the right part of a range: ours, or what somebody else reserved for it.

        Raises:
            WireError: see `split_range`.
        """
        check_split(parent, at)
        for range_id in splitting.free_ids(self._holder.current().ranges):
            wanted = splitting.reserve(parent, at, range_id)

            def make(value: Value | None, wanted: Reservation = wanted) -> bytes | None:
                held = None if value is None else Reservation.from_wire(codec.unpack(value.body))
                ranges = self._holder.current().ranges
                is_free = value is None or (held is not None and splitting.may_replace(held, ranges))
                return codec.pack(wanted.to_wire()) if is_free else None

            value = await self._registers.change(range_register(range_id), make)
            held = None if value is None else Reservation.from_wire(codec.unpack(value.body))
            if held is not None and splitting.is_for(held, parent):
                return held
        raise WireError(CONFLICT, f"range {parent.id} is not split: there are as many ranges as can be")

    def _check_room(self, *parts: RangeDescriptor) -> None:
        """Raise `WireError` when a topology with two parts more could not be kept by everybody for long."""
        known = self._holder.current()
        try:
            size = len(Topology(known.roster, known.ranges.join(parts)).encode())
        except RingError as error:
            raise WireError(CONFLICT, f"not split: {error}") from error
        if size > TOPOLOGY_SPLIT_BYTES:
            raise WireError(
                CONFLICT,
                f"not split: the ranges would take {size} bytes; at most {TOPOLOGY_SPLIT_BYTES} are told",
            )

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
        await self._adopt(await self._known_ranges())

    async def read_all(self) -> None:
        """`read_ranges`, and the roster with them: for a node that has forgotten what it knew.

        Raises:
            WireError: `no_quorum`; `bad_request`, when what was read does not fit, because a node has
                left between the readings.
        """
        found = await self._known_ranges()
        value = await self._registers.read(ROSTER, timeout_s=REGISTER_TIMEOUT_S)
        await self._adopt(found, self._roster(value))

    async def _known_ranges(self) -> list[RangeDescriptor]:
        """Every range that is known here, as its register has it."""
        known = self._holder.current()
        ids = {range_register(descriptor.id): descriptor.id for descriptor in known.ranges.ranges}
        found: list[RangeDescriptor] = []

        async def read(name: str) -> None:
            value = await self._registers.read(name, timeout_s=REGISTER_TIMEOUT_S)
            found.append(self._range(ids[name], value))

        await each_of(list(ids), read)
        return found

    async def decided(self, known: Topology, news: News) -> News:
        """What registers say of the parts that a peer calls newer, and of what those link to.

        What they do not hold is left out.

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
        await self._read_linked(found)
        return News(news.summary, roster, tuple(found.values()), news.more)

    async def _adopt(self, decided: Iterable[RangeDescriptor], roster: Roster | None = None) -> None:
        """Adopt what was decided, with all that it links to."""
        found = {descriptor.id: descriptor for descriptor in decided}
        await self._read_linked(found)
        await self._holder.adopt(News(self._holder.current().summary, roster, tuple(found.values()), False))

    async def _read_linked(self, found: dict[int, RangeDescriptor]) -> None:
        """Read the ranges without which those found cannot be used, and add them.

        Raises:
            WireError: `no_quorum`.
        """

        async def read(name: str) -> None:
            value = await self._registers.read(name, timeout_s=READ_TIMEOUT_S)
            if value is None:
                raise WireError(NOT_FOUND, f"{name} is linked to and holds nothing")
            descriptor = _range_of(value)
            found[descriptor.id] = descriptor

        while missing := splitting.lacking(self._holder.current().ranges, found):
            await each_of([range_register(each) for each in missing], read)

    def _range(self, range_id: int, value: Value | None) -> RangeDescriptor:
        """The descriptor as it is: what the register holds or, before it holds any, what was founded.

        A reservation is no range before a split has made it one, which whoever asks for it knows of then.
        """
        known = self._holder.current().ranges.get(range_id)
        held = None if value is None else _range_of(value)
        if (
            known is None
            and value is not None
            and Reservation.from_wire(codec.unpack(value.body)) is not None
        ):
            held = None
        if held is not None and (known is None or held.epoch >= known.epoch):
            return held
        if known is None:
            raise WireError(NOT_FOUND, f"there is no range {range_id}")
        return known

    def _roster(self, value: Value | None) -> Roster:
        known = self._holder.current().roster
        held = None if value is None else _roster_of(value)
        return known if held is None or held.epoch < known.epoch else held


def check_split(parent: RangeDescriptor, at: bytes) -> None:
    """See that a range can be split before `at`.

    Raises:
        WireError: `conflict`, when it is moving; `bad_request`, when `at` is no bound within it.
    """
    if is_joint(parent):
        raise WireError(CONFLICT, f"range {parent.id} is moving: it can be split when that is done")
    with blame_peer():
        splitting.check_bound(parent, at)


def _changed(before: RangeDescriptor, present: RangeDescriptor) -> WireError:
    return WireError(
        CONFLICT,
        f"range {before.id} was to be split at epoch {before.epoch} and is at {present.epoch}",
        details={"range": before.id, "epoch": present.epoch},
    )


def _range_of(value: Value) -> RangeDescriptor:
    return RangeDescriptor.from_wire(codec.unpack(value.body))


def _roster_of(value: Value) -> Roster:
    with blame_peer():
        return Roster.from_wire(codec.unpack(value.body))
