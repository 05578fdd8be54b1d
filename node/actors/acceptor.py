"""The acceptor: this node's seat, and what this node knows of the configuration of seats.

Every node has a seat's id, drawn with its store; whether the seat has a say is what configurations tell. What
it promises and accepts is read, decided on and written in one commit of the urgent lane, and answered after
its fsync. So are the configurations it hears of: it refuses all that are older.

**A store that went back is another seat.** A seat counts what it keeps, and tells the count with each answer.
Whoever asks names the greatest count it was told; a seat that is behind it has been restored from an older
copy, has forgotten promises, and gives itself a new id before it answers anyone: what it still has it had
accepted rightly, so that stays. At a start it asks the other nodes for that count before it answers at all.
It does the same when peers remember more of the disk than is on it (`actors.standing`), whatever was told of
the seat. A register that is damaged is a promise lost as well. But a seat without which nothing can be
decided at all answers nothing about that register, and goes on with the others, until an operator gives up
what it held.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.commits import Commits
from folkmoot.protocol import codec, limits
from folkmoot.protocol.consensus import acceptor, wire
from folkmoot.protocol.consensus.configuration import Configuration, Seat
from folkmoot.protocol.consensus.messages import Answer, Ask, Query, Unseated
from folkmoot.protocol.consensus.wire import AskResult, SeatRecord
from folkmoot.protocol.errors import NO_QUORUM, STALE_TOPOLOGY, WireError
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import Admission, WriteTransaction

log = logging.getLogger(__name__)

_RECORD: Final = "seat"
LOOK_EVERY_S: Final = 30.0

Handler = Callable[[bytes, Any], Awaitable[dict[str, Any]]]


class Acceptor:
    """See the module. Nothing is asked of it before `open` has returned.

    Args:
        node_id: this node's (16 bytes).
        commits: its store.
        random: draws the seat's id.
        seen_of: what this node's proposers were told last by a seat (id): see the module.
        announce: told the number of each newer configuration, to be spread.
    """

    _record: SeatRecord

    def __init__(
        self,
        node_id: bytes,
        commits: Commits,
        random: Random,
        seen_of: Callable[[bytes], int],
        announce: Callable[[int], None],
    ) -> None:
        self._node_id = node_id
        self._commits = commits
        self._random = random
        self._seen_of = seen_of
        self._announce = announce
        self._damaged: set[str] = set()
        self._seen_damaged: frozenset[str] = frozenset()
        self._look_again_s = 0.0
        self._proven = trio.Event()
        self._changed = trio.Event()

    async def open(self, *, forget: bool) -> None:
        """Read what the seat kept, or draw a seat for a new store.

        Args:
            forget: whether the operator wants the cluster founded again: a new seat that knows nothing.
        """
        kept = read_seat(self._commits.store)
        if kept is None or forget:
            fresh = SeatRecord(self._draw(), 0, None)

            def job(transaction: WriteTransaction) -> None:
                transaction.registers.clear()
                transaction.meta_put(_RECORD, wire.encode_record(fresh))

            await self._commits.run(job, Admission.ESSENTIAL, urgent=True)
            self._record = fresh
        else:
            self._record = kept
        if self._record.configuration is not None:
            self._announce(self._record.configuration.number)

    # What the rest of the node asks.

    @property
    def seat(self) -> Seat:
        """This node's seat, whether or not it has a say."""
        return Seat(self._record.id, self._node_id)

    @property
    def configuration(self) -> Configuration | None:
        """The newest configuration this node has heard of."""
        return self._record.configuration

    @property
    def sequence(self) -> int:
        """How often the seat has kept something; never goes back."""
        return self._record.sequence

    @property
    def changed(self) -> trio.Event:
        """Set when there is a newer configuration than now."""
        return self._changed

    @property
    def damaged(self) -> bool:
        """Whether it answers nothing about some register, which only an operator can have it forget.

        One that nobody has asked about since it was damaged is looked for.
        """
        return bool(self._damaged or self._commits.store.damaged_registers())

    def status(self) -> dict[str, Any]:
        """How many registers are damaged here, and whether no other seat could decide in this one's place.

        Whoever asks often is told what was the case within the last half minute.
        """
        now_s = trio.current_time()
        if now_s >= self._look_again_s:
            self._look_again_s = now_s + LOOK_EVERY_S
            self._seen_damaged = frozenset(self._commits.store.damaged_registers())
        return {"damaged": len(self._seen_damaged | self._damaged), "needed": self._record.is_needed}

    def prove(self) -> None:
        """What others were told of this seat has been asked; from now on it answers."""
        self._proven.set()

    async def learn(self, configuration: Configuration) -> bool:
        """Take a configuration that is decided, if it is newer: durable first, then acted upon.

        Returns:
            Whether it is known now, or a later one; one whose number leaps is not believed.
        """
        newest = self._record.configuration
        if newest is not None and configuration.number > newest.number + limits.SEATS_STEP:
            log.warning(
                "configuration %d of seats is not believed: %d is known", configuration.number, newest.number
            )
            return False

        def job(transaction: WriteTransaction) -> SeatRecord:
            record = _record_of(transaction)
            if record.configuration is not None and configuration.number <= record.configuration.number:
                return record
            record = SeatRecord(record.id, record.sequence, configuration)
            transaction.meta_put(_RECORD, wire.encode_record(record))
            return record

        self._know(await self._commits.run(job, Admission.ESSENTIAL, urgent=True))
        return True

    async def answer(self, ask: Ask, seen: int = 0) -> AskResult:
        """Answer a proposer, here or elsewhere, once what the answer says is on disk.

        Args:
            ask: the request.
            seen: the greatest sequence the asker was told by this seat.

        Raises:
            WireError: `stale_topology`, when this node holds no such seat; with the configuration it knows.
            WireError: `no_quorum`, when what it kept of the register is damaged and no other seat can decide.
            StorageError: it could not be written.
        """
        await self._proven.wait()
        seat = self._record.id
        await self.went_back(seen if ask.seat == seat else 0)
        try:
            if isinstance(ask, Query) and ask.configuration == self._record.configuration:
                return self._answered(self._tell(ask))
            answered, record = await self._commits.run(
                partial(_carry_out, ask), Admission.ESSENTIAL, urgent=True
            )
        except StoreCorrupt:
            if self._record.is_needed:
                raise self._lost(ask.register) from None
            log.exception("what the seat kept of a register is damaged: it is another seat from now on")
            await self._give_up(seat, ask.register)
            answered, record = Unseated(self._record.id), self._record
        self._know(record)
        return self._answered(answered)

    def names(self, asked: wire.NamesParams) -> list[str]:
        """A page of the names of registers the seat keeps.

        Raises:
            WireError: `stale_topology`, when it is another seat, or acts on another configuration.
        """
        if asked.seat != self._record.id or asked.configuration != self._record.configuration:
            raise self._unseated(asked.seat)
        return self._commits.store.register_names(asked.after, limits.REGISTER_NAMES)

    async def went_back(self, seen: int) -> None:
        """Become another seat if this one has once told a greater sequence than it is at."""
        lost = self._record
        if seen > lost.sequence and await self._give_up(lost.id):
            log.error(
                "this node's store is older than what its seat has promised (%d of %d): it is another seat "
                "from now on, and the old one is lost",
                lost.sequence,
                seen,
            )

    async def give_up(self) -> None:
        """Become another seat, because peers remember more of this disk than it has."""
        await self._give_up(self._record.id)

    async def forget_damaged(self) -> None:
        """Give up what is damaged, by an operator's consent; what is whole stays."""
        known = self._record

        def job(transaction: WriteTransaction) -> list[str]:
            try:
                _record_of(transaction)
            except StoreCorrupt:
                transaction.meta_put(_RECORD, wire.encode_record(known))
            return transaction.registers.drop_damaged()

        for name in await self._commits.run(job, Admission.ESSENTIAL, urgent=True):
            log.warning("what the seat kept of register %r was damaged, and is given up", name)
        self._damaged.clear()
        self._look_again_s = 0.0

    # What peers ask.

    def methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {wire.ASK: self._asked, wire.NAMES: self._asked_names, wire.SEAT: self._asked_seat}

    async def _asked(self, node_id: bytes, params: Any) -> dict[str, Any]:
        asked = wire.read_ask(params)
        with trio.move_on_after(limits.REGISTER_ASK_TIMEOUT_S):
            return wire.plain(await self.answer(asked.ask, asked.seen))
        raise self._unseated(asked.ask.seat)

    async def _asked_names(self, node_id: bytes, params: Any) -> dict[str, Any]:
        return wire.plain(wire.NamesResult(self.names(wire.read_names(params))))

    async def _asked_seat(self, node_id: bytes, params: Any) -> dict[str, Any]:
        theirs = codec.shaped(params, wire.SeatParams, wire.SEAT).seat
        seen = 0 if theirs is None else self._seen_of(theirs)
        return wire.plain(wire.SeatResult(self._record.id, self._record.configuration, seen))

    def _tell(self, ask: Query) -> Answer:
        state = wire.decode_state(self._commits.store.register(ask.register))
        return acceptor.answer(self._record.id, self._record.configuration, state, ask).answer

    def _answered(self, answer: Answer) -> AskResult:
        if isinstance(answer, Unseated):
            raise self._unseated(answer.seat)
        return AskResult(answer, self._record.sequence)

    def _unseated(self, seat: bytes) -> WireError:
        """The refusal of a node that does not hold the seat it was asked for."""
        newest = self._record.configuration
        known = "none" if newest is None else str(newest.number)
        return WireError(
            STALE_TOPOLOGY,
            f"this node does not hold the seat it was asked for, or not yet; it knows configuration {known}",
            retry_after_ms=500,
            details={
                "seat": self._record.id,
                "configuration": None if newest is None else newest.to_wire(),
            },
        )

    def _draw(self) -> bytes:
        """The id of a new seat."""
        return self._random.randbytes(limits.SEAT_ID_BYTES)

    def _lost(self, register: str) -> WireError:
        """The refusal of the only seat whose memory of a register is damaged."""
        if register not in self._damaged:
            self._damaged.add(register)
            log.error(
                "what the seat kept of register %r is damaged, and no other seat has it: nothing is decided "
                "about it any more, until what it held is given up for what this node knows otherwise "
                "(`folkmoot seats recover --accept-loss`)",
                register,
            )
        return WireError(NO_QUORUM, f"what the only seat kept of register {register!r} is damaged")

    async def _give_up(self, lost: bytes, damaged: str | None = None) -> bool:
        """Be a new seat instead of one that is lost, once, however many tasks find that it is.

        The store decides which of them does it: were each to draw a seat, what is on disk and what this node
        takes itself for could be two.

        Args:
            lost: the seat's id.
            damaged: a register that goes. What is whole was kept rightly, and may be all that is left when
                most seats are lost.

        Returns:
            Whether it was done here, and not by another task.
        """
        fresh, known = self._draw(), self._record

        def job(transaction: WriteTransaction) -> SeatRecord:
            try:
                record = _record_of(transaction)
            except StoreCorrupt:
                record = known
            if record.id != lost:
                return record
            if damaged is not None:
                transaction.registers.drop(damaged)
            record = SeatRecord(fresh, 0, record.configuration)
            transaction.meta_put(_RECORD, wire.encode_record(record))
            return record

        record = await self._commits.run(job, Admission.ESSENTIAL, urgent=True)
        if self._record.id == lost:
            self._record = SeatRecord(record.id, record.sequence, self._record.configuration)
        self._know(record)
        return record.id == fresh

    def _know(self, record: SeatRecord) -> None:
        """Take in what a commit left; commits end in their order, but tasks may hear of them in another."""
        if record.id != self._record.id:
            return
        before, after = self._record.configuration, record.configuration
        newer = after is not None and (before is None or before.number < after.number)
        sequence = max(self._record.sequence, record.sequence)
        self._record = SeatRecord(record.id, sequence, after if newer else before)
        if newer and after is not None:
            self._announce(after.number)
            self._changed.set()
            self._changed = trio.Event()


def read_seat(store: Store) -> SeatRecord | None:
    """What a store keeps of its seat; None when none was drawn.

    Raises:
        StoreCorrupt: it is damaged.
    """
    kept = store.meta_get(_RECORD)
    return None if kept is None else wire.decode_record(kept)


def _record_of(transaction: WriteTransaction) -> SeatRecord:
    kept = transaction.meta_get(_RECORD)
    assert kept is not None, "a seat is drawn before anything is asked of it"
    return wire.decode_record(kept)


def _carry_out(ask: Ask, transaction: WriteTransaction) -> tuple[Answer, SeatRecord]:
    """One request, in one transaction: read, decide, write."""
    record = _record_of(transaction)
    state = wire.decode_state(transaction.registers.get(ask.register))
    outcome = acceptor.answer(record.id, record.configuration, state, ask)
    if outcome.state is None and outcome.configuration is None:
        return outcome.answer, record
    grown = record.sequence + (outcome.state is not None)
    record = SeatRecord(record.id, grown, outcome.configuration or record.configuration)
    if outcome.state is not None:
        transaction.registers.put(ask.register, wire.encode_state(outcome.state))
    transaction.meta_put(_RECORD, wire.encode_record(record))
    return outcome.answer, record
