"""One attempt: which answers belong to which phase, and how far a seat's word reaches."""

from __future__ import annotations

from typing import Any

from folkmoot.protocol import limits
from folkmoot.protocol.consensus.ballot import ZERO, Ballot
from folkmoot.protocol.consensus.configuration import Configuration
from folkmoot.protocol.consensus.messages import Accept, Accepted, Outdated, Prepare, Refused, Told
from folkmoot.protocol.consensus.proposer import Decided, Effect, Lost, Overtaken, Proposal, Send

from tests.consensus.world import compare_and_set, seat

NOW = Configuration(1, [seat(number) for number in (1, 2, 3)])
ANN, BEN = b"ann" * 5 + b"-", b"ben" * 5 + b"-"
CHANGE = compare_and_set(0, b"new", bytes(16))


def sends(effects: list[Effect]) -> list[Send]:
    assert all(isinstance(effect, Send) for effect in effects), effects
    return [effect for effect in effects if isinstance(effect, Send)]


def begun() -> tuple[Proposal, list[Send]]:
    proposal = Proposal("roster", NOW, Ballot(5, ANN), CHANGE)
    prepares = sends(proposal.start())
    assert all(isinstance(each.ask, Prepare) for each in prepares)
    return proposal, prepares


def accepting() -> tuple[Proposal, list[Send], list[Send]]:
    """An attempt that two of three seats have promised."""
    proposal, prepares = begun()
    assert proposal.handle(prepares[0], Told(ZERO, None)) == []
    accepts = sends(proposal.handle(prepares[1], Told(ZERO, None)))
    assert all(isinstance(each.ask, Accept) for each in accepts)
    return proposal, prepares, accepts


def test_a_late_refusal_of_the_first_phase_fails_nothing_of_the_second() -> None:
    proposal, prepares, accepts = accepting()
    assert proposal.handle(prepares[2], Refused(Ballot(9, BEN))) == []
    assert proposal.handle(prepares[2], None) == []
    assert proposal.handle(accepts[2], None) == [], "one of three may fail; the late answers did not count"
    assert proposal.handle(accepts[0], Accepted()) == []
    [decided] = proposal.handle(accepts[1], Accepted())
    assert isinstance(decided, Decided) and decided.value is not None and decided.value.body == b"new"


def test_failures_of_the_second_phase_end_it() -> None:
    proposal, _, accepts = accepting()
    assert proposal.handle(accepts[0], Refused(Ballot(9, BEN))) == []
    assert proposal.handle(accepts[1], None) == [Lost(Ballot(9, BEN))]


def test_news_of_a_later_configuration_counts_whenever_it_comes() -> None:
    proposal, prepares, _ = accepting()
    later = Configuration(2, NOW.seats)
    assert proposal.handle(prepares[2], Outdated(later)) == [Overtaken(later)]


def test_a_seat_that_claims_to_have_promised_the_last_ballot_takes_nobody_there() -> None:
    proposal, prepares = begun()
    last: Any = Ballot(limits.BALLOT_MAX, BEN)
    assert proposal.handle(prepares[0], Refused(last)) == []
    [lost] = proposal.handle(prepares[1], None)
    assert isinstance(lost, Lost)
    following = lost.promised.next_of(ANN)
    assert not following.leaps_from(Ballot(5, ANN)), (
        "honest seats, which are at 5, still promise what follows"
    )
