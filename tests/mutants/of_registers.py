"""Bugs of critical records: promises, ballots, quorums."""

from __future__ import annotations

from folkmoot.protocol.consensus import acceptor
from folkmoot.protocol.consensus.acceptor import Outcome
from folkmoot.protocol.consensus.configuration import Configuration
from folkmoot.protocol.consensus.messages import Accept, Ask, Prepare, Query, State

from tests.mutants.mutant import Plant, mutant


@mutant("a-promise-is-not-kept", "a seat answers a prepare and writes nothing down", "I8")
def a_promise_is_not_kept(plant: Plant) -> None:
    real = acceptor.answer

    def answer(seat: bytes, newest: Configuration | None, state: State, ask: Ask) -> Outcome:
        outcome = real(seat, newest, state, ask)
        return outcome._replace(state=None) if isinstance(ask, Prepare) else outcome

    plant.setattr(acceptor, "answer", answer)


@mutant("an-old-ballot-is-accepted", "a seat accepts whatever it has promised since", "I8")
def an_old_ballot_is_accepted(plant: Plant) -> None:
    real = acceptor.answer

    def answer(seat: bytes, newest: Configuration | None, state: State, ask: Ask) -> Outcome:
        if isinstance(ask, Accept):
            state = State(min(state.promised, ask.ballot), state.accepted, state.value)
        return real(seat, newest, state, ask)

    plant.setattr(acceptor, "answer", answer)


@mutant("what-was-accepted-is-forgotten", "a seat tells every proposer that it has accepted nothing", "I8")
def what_was_accepted_is_forgotten(plant: Plant) -> None:
    real = acceptor.answer

    def answer(seat: bytes, newest: Configuration | None, state: State, ask: Ask) -> Outcome:
        return real(seat, newest, state if isinstance(ask, Query) else State(), ask)

    plant.setattr(acceptor, "answer", answer)


@mutant("a-quorum-of-one", "one seat decides", "I8")
def a_quorum_of_one(plant: Plant) -> None:
    plant.setattr(Configuration, "is_quorum", lambda self, seats: len(seats) >= 1)
