"""One seat: what it promises, accepts, refuses, and must have on disk first."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from folkmoot.protocol import limits
from folkmoot.protocol.consensus.acceptor import Outcome, answer
from folkmoot.protocol.consensus.ballot import ZERO, Ballot
from folkmoot.protocol.consensus.configuration import Configuration
from folkmoot.protocol.consensus.messages import (
    Accept,
    Accepted,
    Ask,
    Outdated,
    Prepare,
    Query,
    Refused,
    State,
    Told,
    Unseated,
)
from folkmoot.protocol.consensus.value import Value

from tests.consensus.world import seat

SEAT = seat(1)
NOW = Configuration(3, [seat(number) for number in (1, 2, 3)])
BEFORE, AFTER = Configuration(2, NOW.seats), Configuration(4, NOW.seats)
ANN, BEN = b"ann" * 5 + b"-", b"ben" * 5 + b"-"
OLD, NEW = Value(1, b"old", [bytes(16)]), Value(2, b"new", [bytes(16)])


def prepare(ballot: Ballot, configuration: Configuration = NOW, to: bytes = SEAT.id) -> Prepare:
    return Prepare(to, configuration, "roster", ballot)


def accept(
    ballot: Ballot, value: Value = NEW, following: Ballot = ZERO, configuration: Configuration = NOW
) -> Accept:
    return Accept(SEAT.id, configuration, "roster", ballot, value, following)


KEPT = State(promised=Ballot(5, ANN), accepted=Ballot(4, BEN), value=OLD)


@pytest.mark.parametrize(
    ("ask", "outcome"),
    [
        pytest.param(
            prepare(Ballot(6, ANN)),
            Outcome(Told(Ballot(4, BEN), OLD), State(Ballot(6, ANN), Ballot(4, BEN), OLD)),
            id="a greater ballot is promised, and what was accepted is told",
        ),
        pytest.param(
            prepare(Ballot(5, BEN)),
            Outcome(Told(Ballot(4, BEN), OLD), State(Ballot(5, BEN), Ballot(4, BEN), OLD)),
            id="of one counter the greater proposer",
        ),
        pytest.param(
            prepare(Ballot(5, ANN)), Outcome(Refused(Ballot(5, ANN))), id="a ballot is promised once"
        ),
        pytest.param(prepare(Ballot(4, BEN)), Outcome(Refused(Ballot(5, ANN))), id="a lesser one never"),
        pytest.param(
            accept(Ballot(5, ANN)),
            Outcome(Accepted(), State(Ballot(5, ANN), Ballot(5, ANN), NEW)),
            id="what was promised is accepted",
        ),
        pytest.param(
            accept(Ballot(5, ANN), following=Ballot(6, ANN)),
            Outcome(Accepted(), State(Ballot(6, ANN), Ballot(5, ANN), NEW)),
            id="and the ballot to follow is promised with it",
        ),
        pytest.param(
            accept(Ballot(7, BEN)),
            Outcome(Accepted(), State(Ballot(7, BEN), Ballot(7, BEN), NEW)),
            id="a greater ballot that others promised is accepted",
        ),
        pytest.param(accept(Ballot(4, BEN)), Outcome(Refused(Ballot(5, ANN))), id="a lesser one is not"),
        pytest.param(
            Query(SEAT.id, NOW, "roster"), Outcome(Told(Ballot(4, BEN), OLD)), id="a query promises nothing"
        ),
        pytest.param(
            prepare(Ballot(9, ANN), to=seat(2).id), Outcome(Unseated(SEAT.id)), id="for another seat"
        ),
        pytest.param(
            prepare(Ballot(9, ANN), BEFORE), Outcome(Outdated(NOW)), id="under a configuration of before"
        ),
        pytest.param(
            prepare(Ballot(1, ANN), AFTER),
            Outcome(Refused(Ballot(5, ANN)), configuration=AFTER),
            id="a newer configuration is kept even when the ballot is refused",
        ),
        pytest.param(
            accept(Ballot(9, ANN), configuration=AFTER),
            Outcome(Accepted(), State(Ballot(9, ANN), Ballot(9, ANN), NEW), AFTER),
            id="and with what is accepted under it",
        ),
    ],
)
def test_answers(ask: Ask, outcome: Outcome) -> None:
    assert answer(SEAT.id, NOW, KEPT, ask) == outcome


def test_a_seat_that_has_heard_of_nothing() -> None:
    assert answer(SEAT.id, None, State(), prepare(Ballot(1, ANN))) == Outcome(
        Told(ZERO, None), State(Ballot(1, ANN)), NOW
    )


STEP = limits.BALLOT_STEP


@pytest.mark.parametrize("make", [prepare, accept])
def test_a_ballot_that_leaps_is_refused_and_one_in_reach_is_not(make: Callable[..., Ask]) -> None:
    leap, reach = make(Ballot(5 + STEP + 1, ANN)), make(Ballot(5 + STEP, ANN))
    assert answer(SEAT.id, NOW, KEPT, leap) == Outcome(Refused(KEPT.promised))
    assert answer(SEAT.id, NOW, KEPT, reach).state is not None


def test_an_accept_promises_no_more_than_the_next_ballot() -> None:
    outcome = answer(SEAT.id, NOW, KEPT, accept(Ballot(6, ANN), following=Ballot(10**9, ANN)))
    assert outcome.state is not None and outcome.state.promised == Ballot(7, ANN)


def test_a_configuration_that_leaps_or_is_another_of_the_same_number_is_not_followed() -> None:
    far = Configuration(NOW.number + limits.SEATS_STEP + 1, NOW.seats)
    other = Configuration(NOW.number, [SEAT])
    for configuration in (far, other):
        asked = prepare(Ballot(6, ANN), configuration)
        assert answer(SEAT.id, NOW, KEPT, asked) == Outcome(Outdated(NOW))


def test_a_seat_without_a_say_answers_nothing() -> None:
    others = Configuration(9, [seat(number) for number in (2, 3, 4)])
    assert answer(SEAT.id, NOW, KEPT, prepare(Ballot(6, ANN), others)) == Outcome(Unseated(SEAT.id))
