"""The proposer: one attempt to change a register, as a state machine that is fed answers.

    preparing ──quorum has promised──▶ accepting ──quorum has accepted──▶ decided
        │                                  │
        └──── refused / outdated / no quorum left ────▶ lost, or outdated

An attempt that is lost may still be decided later: somebody else's attempt finds what it left and completes
it. So a change carries its request's id, and whoever tries again does so under the same id. The next attempt
takes a greater ballot, after a pause that grows and is not the same for two proposers: the driver's business.

Accepts carry a promise for the proposer's next ballot. Who was decided last so holds a *lead*: it knows the
value, and may begin one further attempt, one only, by accepting. A lead that somebody else has overtaken is
refused by some of every quorum.

Ballots are not kept on disk. One that was used before is refused by whoever promised it, which is some of
every quorum; so a proposer that comes back and counts from the beginning loses attempts, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from folkmoot.protocol import limits
from folkmoot.protocol.consensus.ballot import ZERO, Ballot
from folkmoot.protocol.consensus.configuration import Configuration, Seat
from folkmoot.protocol.consensus.messages import (
    Accept,
    Accepted,
    Answer,
    Ask,
    Outdated,
    Prepare,
    Refused,
    Told,
    Unseated,
)
from folkmoot.protocol.consensus.value import Change, Value
from folkmoot.protocol.errors import WireError


class Lead(NamedTuple):
    """What a proposer knows after an attempt was decided.

    Args:
        ballot: promised to it already by the quorum that accepted.
        value: what was decided.
        configuration: the number under which.
    """

    ballot: Ballot
    value: Value | None
    configuration: int


class Send(NamedTuple):
    """Ask a seat something, and feed the answer back with `handle`."""

    seat: Seat
    ask: Ask


class Decided(NamedTuple):
    """The value is decided; `lead` may begin the next attempt."""

    value: Value | None
    lead: Lead


class Lost(NamedTuple):
    """This attempt comes to nothing that is known here; try again with a ballot above `promised`."""

    promised: Ballot


class Overtaken(NamedTuple):
    """There is a newer configuration: try again under it."""

    configuration: Configuration


class Rejected(NamedTuple):
    """The change may not be made to what the register holds, and that is decided."""

    error: WireError
    lead: Lead


Effect = Send | Decided | Lost | Overtaken | Rejected


class Proposal:
    """One attempt; see the module. Its last effect is one of `Decided`, `Lost`, `Overtaken` and `Rejected`.

    Args:
        register: its name.
        configuration: decided, and the newest known here.
        ballot: this attempt's own, and above all that this proposer has used.
        change: makes the next value.
        lead: of this proposer's last attempt at this register, if it had the last word.
    """

    def __init__(
        self,
        register: str,
        configuration: Configuration,
        ballot: Ballot,
        change: Change,
        lead: Lead | None = None,
    ) -> None:
        self._register = register
        self._configuration = configuration
        self._ballot = ballot
        self._change = change
        self._lead = lead if lead is not None and lead.configuration == configuration.number else None
        self._promised: set[bytes] = set()
        self._accepted: set[bytes] = set()
        self._failed: set[bytes] = set()
        self._newest: tuple[Ballot, Value | None] = (ZERO, None)
        self._greatest = ballot
        self._accepting = False
        self._value: Value | None = None
        self._rejection: WireError | None = None
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether the last effect was given."""
        return self._ended

    def start(self) -> list[Effect]:
        """Begin."""
        if self._lead is not None:
            self._ballot = self._lead.ballot
            return self._accept(self._lead.value)
        return self._to_all(lambda seat: Prepare(seat.id, self._configuration, self._register, self._ballot))

    def handle(self, sent: Send, answer: Answer | None) -> list[Effect]:
        """Take in a seat's answer to what was sent; None when it failed, or did not answer in time.

        Answers to an earlier phase, and whatever comes after the end, have no effect; but that there is a
        newer configuration is news whenever it comes.
        """
        if self._ended:
            return []
        seat = sent.seat
        if isinstance(answer, Outdated) and answer.configuration.number > self._configuration.number:
            return self._end(Overtaken(answer.configuration))
        if isinstance(sent.ask, Accept) != self._accepting:
            return []
        match answer:
            case Told() if not self._accepting:
                return self._promise(seat, answer)
            case Accepted() if self._accepting:
                return self._acceptance(seat)
            case Refused(promised):
                self._greatest = max(self._greatest, self._within_reach(promised))
                return self._failure(seat)
            case None | Unseated() | Outdated():
                return self._failure(seat)
            case _:
                return []

    def _promise(self, seat: Seat, told: Told) -> list[Effect]:
        self._promised.add(seat.id)
        self._newest = max(self._newest, (told.ballot, told.value), key=lambda each: each[0])
        if not self._configuration.is_quorum(self._promised):
            return []
        return self._accept(self._newest[1])

    def _accept(self, present: Value | None) -> list[Effect]:
        """Apply the change to the present value, and propose the outcome.

        Where the change may not be made, the present value is proposed as it is before that is said: it may
        have been accepted by few and be gone with the next attempt, and nobody must have been told of it.
        """
        try:
            self._value = self._change(present)
        except WireError as error:
            self._value, self._rejection = present, error
        self._accepting = True
        self._failed.clear()
        following = self._ballot.next_of(self._ballot.proposer)
        return self._to_all(
            lambda seat: Accept(
                seat.id, self._configuration, self._register, self._ballot, self._value, following
            )
        )

    def _acceptance(self, seat: Seat) -> list[Effect]:
        self._accepted.add(seat.id)
        if not self._configuration.is_quorum(self._accepted):
            return []
        following = self._ballot.next_of(self._ballot.proposer)
        lead = Lead(following, self._value, self._configuration.number)
        if self._rejection is not None:
            return self._end(Rejected(self._rejection, lead))
        return self._end(Decided(self._value, lead))

    def _within_reach(self, promised: Ballot) -> Ballot:
        """What a seat says it promised, but no further away than other seats would let a ballot leap."""
        return min(promised, Ballot(self._ballot.counter + limits.BALLOT_STEP - 1, promised.proposer))

    def _failure(self, seat: Seat) -> list[Effect]:
        done = self._accepted if self._accepting else self._promised
        if seat.id in done:
            return []
        self._failed.add(seat.id)
        if self._configuration.can_do_without(self._failed):
            return []
        return self._end(Lost(self._greatest))

    def _end(self, effect: Effect) -> list[Effect]:
        self._ended = True
        return [effect]

    def _to_all(self, ask: Callable[[Seat], Ask]) -> list[Effect]:
        return [Send(seat, ask(seat)) for seat in self._configuration.all_seats]
