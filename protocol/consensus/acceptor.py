"""The acceptor: what one seat answers, and what it must have on disk before it does.

A pure function of the request and of what is on disk. Whoever carries it out reads, calls `answer`, and makes
what comes back durable before the answer leaves: *persist, then send*.
"""

from __future__ import annotations

from typing import NamedTuple

from folkmoot.protocol import limits
from folkmoot.protocol.consensus.configuration import Configuration
from folkmoot.protocol.consensus.messages import (
    Accept,
    Accepted,
    Answer,
    Ask,
    Outdated,
    Prepare,
    Refused,
    State,
    Told,
    Unseated,
)


class Outcome(NamedTuple):
    """What to write, and then to answer.

    Args:
        answer: to the proposer.
        state: the register's new state; None when it does not change.
        configuration: the newest configuration heard of; None when that does not change.
    """

    answer: Answer
    state: State | None = None
    configuration: Configuration | None = None


def follows(configuration: Configuration, newest: Configuration) -> bool:
    """Whether a seat that has heard of `newest` acts on `configuration`: the same, or a later one.

    Of two with one number one cannot have been decided, and a number that leaps is not believed: as with
    epochs, one request could otherwise use up all numbers there are.
    """
    ahead = configuration.number - newest.number
    return configuration == newest or 0 < ahead <= limits.SEATS_STEP


def answer(seat: bytes, newest: Configuration | None, state: State, ask: Ask) -> Outcome:
    """Answer one request.

    Args:
        seat: this seat's id (16 bytes).
        newest: the newest configuration this seat has heard of; None when of none.
        state: what this seat keeps of the register that is asked about.
        ask: the request.
    """
    if ask.seat != seat or all(each.id != seat for each in ask.configuration.all_seats):
        return Outcome(Unseated(seat))
    if newest is not None and not follows(ask.configuration, newest):
        return Outcome(Outdated(newest))
    news = ask.configuration if ask.configuration != newest else None
    if isinstance(ask, Prepare):
        if ask.ballot <= state.promised or ask.ballot.leaps_from(state.promised):
            return Outcome(Refused(state.promised), configuration=news)
        promised = State(ask.ballot, state.accepted, state.value)
        return Outcome(Told(state.accepted, state.value), promised, news)
    if isinstance(ask, Accept):
        if ask.ballot < state.promised or ask.ballot.leaps_from(state.promised):
            return Outcome(Refused(state.promised), configuration=news)
        following = max(ask.ballot, min(ask.following, ask.ballot.next_of(ask.following.proposer)))
        return Outcome(Accepted(), State(following, ask.ballot, ask.value), news)
    return Outcome(Told(state.accepted, state.value), configuration=news)
