"""The registrar: reads and changes registers, as one of as many proposers as there are nodes.

A change is attempted until it is decided or its time is up; attempts at one register take turns here, and
between nodes a pause that grows and is drawn keeps two from overtaking each other for ever. Whoever had the
last word keeps the lead and skips the first phase the next time. A read asks what was accepted last: when a
quorum tells the same, that is decided and nothing needs to be written; otherwise the read is a change that
changes nothing.

What is not decided in time ends in one of two errors. `no_quorum`: nothing was proposed, so nothing was
changed. `uncertain`: a value was proposed, and may yet be decided; asking again with the same request id
tells.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Protocol

import trio
from cachetools import LRUCache
from folkmoot.protocol import limits
from folkmoot.protocol.consensus.ballot import ZERO, Ballot
from folkmoot.protocol.consensus.configuration import SIZES, Configuration, Seat
from folkmoot.protocol.consensus.messages import Answer, Outdated, Query, Told
from folkmoot.protocol.consensus.proposer import (
    Decided,
    Effect,
    Lead,
    Lost,
    Overtaken,
    Proposal,
    Rejected,
    Send,
)
from folkmoot.protocol.consensus.value import Change, Changing, Make, Value, keep
from folkmoot.protocol.errors import NO_QUORUM, UNCERTAIN, WireError

log = logging.getLogger(__name__)

PAUSE_S = 0.02
PAUSE_MAX_S = 0.5
ANSWERS_MAX = 4 * SIZES[-1]  # two phases, and two sets of seats while they change


class OwnSeat(Protocol):
    """The seat of this node, and the configuration it knows."""

    @property
    def configuration(self) -> Configuration | None: ...

    @property
    def changed(self) -> trio.Event: ...

    async def learn(self, configuration: Configuration) -> bool: ...


class Seats(Protocol):
    """See `node.registers.seat_calls`."""

    async def ask(self, send: Send) -> Answer | None:
        """A seat's answer; None when there is none."""
        ...

    async def names_of(self, seat: Seat, configuration: Configuration) -> set[str] | None:
        """The registers one seat keeps; None when it does not say."""
        ...


@dataclass(frozen=True, slots=True)
class RegistrarStatistics:
    """What it has done since it began.

    Args:
        attempts: at changes, and reads that needed one.
        decided: of those.
        led: attempts that skipped the first phase.
        reads: answered without an attempt.
    """

    attempts: int
    decided: int
    led: int
    reads: int


class Registrar:
    """See the module. `run` must be running.

    Args:
        node_id: this node's, under which it proposes (16 bytes).
        seats: asks seats.
        random: draws pauses and request ids.
    """

    _own: OwnSeat

    def __init__(self, node_id: bytes, seats: Seats, random: Random) -> None:
        self._node_id = node_id
        self._seats = seats
        self._random = random
        self._counter = 0
        self._leads: LRUCache[str, Lead] = LRUCache(limits.REGISTER_LEADS)
        self._turns: dict[str, tuple[trio.Lock, int]] = {}
        self._nursery: trio.Nursery | None = None
        self._attempts = self._decided = self._led = self._reads = 0

    def follow(self, own: OwnSeat) -> None:
        """Say, before it runs, where this node's own seat is."""
        self._own = own

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the requests to seats until cancelled: one that comes late is still of use there."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None  # it takes no more tasks, though registers may still be asked for

    def statistics(self) -> RegistrarStatistics:
        return RegistrarStatistics(self._attempts, self._decided, self._led, self._reads)

    async def change(
        self,
        name: str,
        make: Make,
        request: bytes | None = None,
        *,
        terminal: bool = False,
        timeout_s: float = limits.REGISTER_TIMEOUT_S,
    ) -> Value | None:
        """Change a register, once, however often that has to be tried.

        Args:
            name: the register's.
            make: makes the next body of the present value; called once an attempt, and must not wait.
            request: names this change (16 bytes), for whoever may have to ask again; drawn by default.
            terminal: whether nothing may follow.
            timeout_s: for all of it.

        Returns:
            What the register holds: the version that was made, or a later one when a request is asked again.

        Raises:
            WireError: `conflict` or what else `make` raises, decided; `no_quorum`; `uncertain`.
        """
        if request is None:
            request = self._random.randbytes(limits.REQUEST_ID_BYTES)
        return await self._decide(name, Changing(make, request, terminal=terminal), timeout_s)

    async def read(self, name: str, *, timeout_s: float = limits.REGISTER_TIMEOUT_S) -> Value | None:
        """What a register holds now; None when nothing was ever decided.

        Raises:
            WireError: `no_quorum`.
        """
        ends = trio.current_time() + timeout_s
        configuration = await self._configuration(ends)
        told = await self._query(name, configuration, ends)
        if told is not None:
            self._reads += 1
            return told.value
        return await self.rewrite(name, timeout_s=max(0.0, ends - trio.current_time()))

    async def rewrite(self, name: str, *, timeout_s: float = limits.REGISTER_TIMEOUT_S) -> Value | None:
        """Have a quorum of today's seats accept what a register holds, whatever it is.

        Raises:
            WireError: `no_quorum`.
        """
        return await self._decide(name, keep, timeout_s)

    async def names(self, configuration: Configuration) -> list[str]:
        """The registers that the seats of before keep, of a joint configuration that they act on already.

        Raises:
            WireError: `no_quorum`, when fewer than a majority of them say.
        """
        before = Configuration(configuration.number, configuration.seats)
        answered: set[bytes] = set()
        names: set[str] = set()
        for seat in before.seats:
            told = await self._seats.names_of(seat, configuration)
            if told is not None:
                answered.add(seat.id)
                names |= told
        if not before.is_quorum(answered):
            raise _no_quorum("the list of registers", configuration)
        return sorted(names)

    # Deciding.

    async def _decide(self, name: str, change: Change, timeout_s: float) -> Value | None:
        """Attempt until it is decided."""
        ends = trio.current_time() + timeout_s
        attempts = 0
        configuration: Configuration | None = None
        with trio.move_on_at(ends):
            async with self._turn(name):
                while True:
                    configuration = await self._configuration(ends)
                    attempts += 1
                    proposal = self._propose(name, configuration, change)
                    match await self._attempt(proposal):
                        case Decided(value, lead):
                            self._lead(name, lead)
                            return value
                        case Rejected(error, lead):
                            self._lead(name, lead)
                            raise error
                        case Overtaken(newer):
                            if not await self._own.learn(newer):
                                await self._pause(attempts)
                        case Lost(promised):
                            self._counter = max(self._counter, promised.counter)
                            await self._pause(attempts)
        if isinstance(change, Changing) and change.proposed:
            raise WireError(
                UNCERTAIN,
                f"too few seats answered in time, and the change to register {name!r} may yet be decided: "
                "ask for the same again, under the same request id where there is one; it is not done twice",
                details={"register": name, "request": change.request},
            )
        raise _no_quorum(f"register {name!r}", configuration or self._own.configuration)

    def _propose(self, name: str, configuration: Configuration, change: Change) -> Proposal:
        """The next attempt. A lead is taken out before it is used: it is good for one."""
        lead = self._leads.pop(name, None)
        self._counter = max(self._counter, configuration.ballot_floor) + 1
        self._attempts += 1
        self._led += lead is not None and lead.configuration == configuration.number
        return Proposal(name, configuration, Ballot(self._counter, self._node_id), change, lead)

    async def _attempt(self, proposal: Proposal) -> Effect:
        """Carry one attempt out; its last effect."""
        answers, heard = trio.open_memory_channel[tuple[Send, Answer | None]](ANSWERS_MAX)
        effects = proposal.start()
        with heard:
            while True:
                for effect in effects:
                    if not isinstance(effect, Send):
                        return effect
                    self._start(effect, answers.clone())
                sent, answer = await heard.receive()
                effects = proposal.handle(sent, answer)

    def _lead(self, name: str, lead: Lead) -> None:
        self._decided += 1
        self._counter = max(self._counter, lead.ballot.counter)
        self._leads[name] = lead

    async def _pause(self, attempts: int) -> None:
        longest = min(PAUSE_S * 2**attempts, PAUSE_MAX_S)
        await trio.sleep(self._random.uniform(0.3, 1.0) * longest)

    async def _configuration(self, ends: float) -> Configuration:
        """The configuration to act on; waited for until `ends` on trio's clock, by a node that knows none."""
        with trio.move_on_at(ends):
            while (configuration := self._own.configuration) is None:
                await self._own.changed.wait()
            return configuration
        raise WireError(NO_QUORUM, "this node has not learned yet which seats there are", retry_after_ms=500)

    @asynccontextmanager
    async def _turn(self, name: str) -> AsyncIterator[None]:
        """One at a time: two attempts of one node at one register could only overtake each other."""
        lock, waiting = self._turns.get(name, (trio.Lock(), 0))
        self._turns[name] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._turns.pop(name)
            if waiting > 1:
                self._turns[name] = (lock, waiting - 1)

    # Asking seats.

    async def _query(self, name: str, configuration: Configuration, ends: float) -> Told | None:
        """What a quorum tells alike; None when they do not."""
        answers, heard = trio.open_memory_channel[tuple[Send, Answer | None]](ANSWERS_MAX)
        told: dict[bytes, Told] = {}
        with trio.move_on_at(ends), heard:
            for seat in configuration.all_seats:
                send = Send(seat, Query(seat.id, configuration, name))
                self._start(send, answers.clone())
            for _ in configuration.all_seats:
                sent, answer = await heard.receive()
                if isinstance(answer, Outdated) and answer.configuration.number > configuration.number:
                    await self._own.learn(answer.configuration)
                    return None
                if isinstance(answer, Told):
                    told[sent.seat.id] = answer
                newest = max((each.ballot for each in told.values()), default=ZERO)
                alike = {seat for seat, each in told.items() if each.ballot == newest}
                if configuration.is_quorum(alike):
                    return told[min(alike)]
        return None

    def _start(self, send: Send, answers: trio.MemorySendChannel[tuple[Send, Answer | None]]) -> None:
        """Have a task ask a seat; nobody is asked any more once the node ends."""
        if self._nursery is None:
            answers.close()
        else:
            self._nursery.start_soon(self._ask_and_tell, send, answers)

    async def _ask_and_tell(
        self, send: Send, answers: trio.MemorySendChannel[tuple[Send, Answer | None]]
    ) -> None:
        """Ask a seat, and tell whoever still waits for it."""
        with answers:
            answer = await self._seats.ask(send)
            try:
                answers.send_nowait((send, answer))
            except trio.BrokenResourceError:
                log.debug("an answer of seat %s came late", send.seat.id.hex()[:8])


def _no_quorum(what: str, configuration: Configuration | None) -> WireError:
    """The error of whoever cannot reach enough seats."""
    if configuration is None:
        return WireError(NO_QUORUM, "this node has not learned yet which seats there are", retry_after_ms=500)
    return WireError(
        NO_QUORUM,
        f"{what}: too few of the {len(configuration.all_seats)} seats of configuration "
        f"{configuration.number} answer; see `folkmoot seats show`, and when most of them are lost for good, "
        "`folkmoot seats recover --help`",
        retry_after_ms=1000,
        details={"configuration": configuration.number, "seats": [s.node for s in configuration.all_seats]},
    )
