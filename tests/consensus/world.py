"""Proposers and seats in a world where messages are lost, repeated, late and out of order, all by one seed.

Every proposer does one thing at a time: it reads a register, or sets it to something new if it still is what
the proposer saw last. What was asked and answered makes a history, which a single copy has to be able to
explain.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from folkmoot.node.simulation.checkers.linearizability import UNKNOWN, Operation, Order, linearize
from folkmoot.node.simulation.checkers.models import Call, Register
from folkmoot.protocol.consensus import acceptor
from folkmoot.protocol.consensus.ballot import Ballot
from folkmoot.protocol.consensus.configuration import Configuration, Seat
from folkmoot.protocol.consensus.messages import Answer, Ask, State
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
from folkmoot.protocol.consensus.value import Change, Changing, Value, keep, setting
from folkmoot.protocol.errors import CONFLICT, WireError

REGISTERS = ("roster", "handle")
ATTEMPTS = 4
PATIENCE = 40  # steps after which an attempt takes who has not answered for lost


def seat(number: int) -> Seat:
    return Seat(bytes((0x5E, number)) * 8, bytes((number,)) * 16)


@dataclass
class SeatOnDisk:
    """One acceptor's disk."""

    seat: Seat
    configuration: Configuration | None = None
    registers: dict[str, State] = field(default_factory=dict)

    def answer(self, ask: Ask) -> Answer:
        state = self.registers.get(ask.register, State())
        outcome = acceptor.answer(self.seat.id, self.configuration, state, ask)
        if outcome.state is not None:
            self.registers[ask.register] = outcome.state
        if outcome.configuration is not None:
            self.configuration = outcome.configuration
        return outcome.answer


def compare_and_set(version: int | None, body: bytes, request: bytes, *, terminal: bool = False) -> Change:
    """The change to `body`, if the register is at `version` (see `setting`)."""
    return Changing(setting(version, body), request, terminal=terminal)


def change_body(expected: bytes | None, body: bytes, request: bytes) -> Change:
    """To `body`, if the register holds `expected`: by content, so that a history tells all there is."""

    def change(value: Value | None) -> Value:
        if value is not None and value.made_by(request):
            return value
        if (None if value is None else value.body) != expected:
            raise WireError(CONFLICT, "something else is there")
        requests = [request, *(() if value is None else value.requests)]
        return Value(1 if value is None else value.version + 1, body, requests[:16])

    return change


@dataclass(eq=False)
class Attempted:
    """Something a proposer is doing, through all its attempts."""

    register: str
    call: Call
    change: Change
    called_at: int
    attempts: int = 0
    proposal: Proposal | None = None
    begun_at: int = 0
    answered: set[bytes] = field(default_factory=set)
    asked: dict[bytes, Ask] = field(default_factory=dict)


class Proposer:
    """One node that reads and changes registers."""

    def __init__(self, number: int, configuration: Configuration, random: Random) -> None:
        self.id = bytes((0xF0 + number,)) * 16
        self.configuration = configuration
        self.random = random
        self.counter = 0
        self.seen: dict[str, bytes | None] = dict.fromkeys(REGISTERS)
        self.leads: MutableMapping[str, Lead] = {}
        self.doing: Attempted | None = None

    def begin(self, now: int) -> None:
        """Decide on something to do."""
        register = self.random.choice(REGISTERS)
        request = self.random.randbytes(16)
        if self.random.random() < 0.35:
            self.doing = Attempted(register, Call("read"), keep, now)
            return
        expected = self.seen[register]
        change = change_body(expected, request, request)
        self.doing = Attempted(register, Call("cas", (expected, request)), change, now)

    def attempt(self, now: int) -> list[Effect]:
        """Begin an attempt at what is being done."""
        doing = self.doing
        assert doing is not None
        self.counter += 1
        lead = self.leads.pop(doing.register, None)
        doing.attempts += 1
        doing.begun_at = now
        doing.answered = set()
        ballot = Ballot(self.counter, self.id)
        doing.proposal = Proposal(doing.register, self.configuration, ballot, doing.change, lead)
        return doing.proposal.start()

    def forget(self) -> None:
        """Restart: nothing a proposer knows is on disk."""
        self.counter = 0
        self.leads.clear()
        self.doing = None


class World:
    """See the module.

    Args:
        seed: decides everything.
        seats: how many.
        proposers: how many.
    """

    def __init__(self, seed: int, seats: int = 3, proposers: int = 3) -> None:
        self.random = Random(seed)
        self.seats = [SeatOnDisk(seat(number)) for number in range(1, seats + 1)]
        configuration = Configuration(1, [each.seat for each in self.seats])
        self.proposers = [Proposer(number, configuration, self.random) for number in range(proposers)]
        self.travelling: list[Callable[[], None]] = []
        self.history: dict[str, list[Operation]] = {register: [] for register in REGISTERS}
        self.now = 0

    def run(self, steps: int) -> None:
        for self.now in range(1, steps + 1):
            self.step()
        for proposer in self.proposers:
            self.give_up(proposer)

    def step(self) -> None:
        """One thing happens."""
        choice = self.random.random()
        if choice < 0.79 and self.travelling:
            self.travel()
        elif choice < 0.98:
            self.prompt(self.random.choice(self.proposers))
        elif choice < 0.99:
            proposer = self.random.choice(self.proposers)
            self.give_up(proposer)
            proposer.forget()
        else:
            self.travelling = [each for each in self.travelling if self.random.random() < 0.5]

    def travel(self) -> None:
        """A message arrives; now and then it is lost, or arrives again later."""
        at = self.random.randrange(len(self.travelling))
        fate = self.random.random()
        deliver = self.travelling[at] if fate < 0.1 else self.travelling.pop(at)
        if fate < 0.92:
            deliver()

    def prompt(self, proposer: Proposer) -> None:
        """A proposer begins something, or loses patience."""
        doing = proposer.doing
        if doing is None:
            proposer.begin(self.now)
            self.carry_out(proposer, proposer.attempt(self.now))
        elif doing.proposal is not None and self.now - doing.begun_at > PATIENCE:
            for each in proposer.configuration.all_seats:
                if each.id not in doing.answered and proposer.doing is doing:
                    ask = doing.asked[each.id]
                    self.carry_out(proposer, doing.proposal.handle(Send(each, ask), None))

    def carry_out(self, proposer: Proposer, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(to, ask):
                    self.send(proposer, to, ask)
                case Decided(value, lead):
                    self.decided(proposer, value, lead)
                case Rejected(_, lead):
                    proposer.counter = max(proposer.counter, lead.ballot.counter)
                    self.end(proposer, result=False)
                case Lost(promised):
                    proposer.counter = max(proposer.counter, promised.counter)
                    self.again(proposer)
                case Overtaken(configuration):
                    proposer.configuration = configuration
                    self.again(proposer)

    def send(self, proposer: Proposer, to: Seat, ask: Ask) -> None:
        doing = proposer.doing
        assert doing is not None
        doing.asked[to.id] = ask
        proposal = doing.proposal
        [disk] = [each for each in self.seats if each.seat.node == to.node]

        def arrive() -> None:
            answer = disk.answer(ask)

            def back() -> None:
                if proposer.doing is doing and doing.proposal is proposal and proposal is not None:
                    doing.answered.add(to.id)
                    self.carry_out(proposer, proposal.handle(Send(to, ask), answer))

            self.travelling.append(back)

        self.travelling.append(arrive)

    def decided(self, proposer: Proposer, value: Value | None, lead: Lead) -> None:
        doing = proposer.doing
        assert doing is not None
        body = None if value is None else value.body
        proposer.seen[doing.register] = body
        if self.random.random() < 0.7:
            proposer.leads[doing.register] = lead
        proposer.counter = max(proposer.counter, lead.ballot.counter)
        self.end(proposer, result=body if doing.call.name == "read" else True)

    def again(self, proposer: Proposer) -> None:
        doing = proposer.doing
        assert doing is not None
        if doing.attempts < ATTEMPTS:
            self.carry_out(proposer, proposer.attempt(self.now))
        else:
            self.give_up(proposer)

    def give_up(self, proposer: Proposer) -> None:
        """Nobody will hear what became of it."""
        if proposer.doing is not None:
            self.end(proposer, result=UNKNOWN)

    def end(self, proposer: Proposer, *, result: Any) -> None:
        doing, proposer.doing = proposer.doing, None
        assert doing is not None
        if result is False and doing.attempts > 1:
            result = UNKNOWN  # an earlier attempt may have been carried out, and something else after it
        if result is UNKNOWN and doing.call.name == "read":
            return
        self.history[doing.register].append(
            Operation(proposer.id, doing.call, result, 2 * doing.called_at, 2 * self.now + 1)
        )

    def orders(self) -> list[Order]:
        """Of each register, the order in which it all may have happened."""
        return [linearize(operations, Register()) for operations in self.history.values()]
