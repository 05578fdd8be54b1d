"""The acceptor: what one seat answers, and what it must have on disk before it does.

A pure function of the request and of what is on disk. Whoever carries it out reads, calls `answer`, and makes
what comes back durable before the answer leaves: *persist, then send*.
"""

from __future__ import annotations

from typing import NamedTuple

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


def answer(seat: bytes, newest: Configuration | None, state: State, ask: Ask) -> Outcome:
    """Answer one request.

    Args:
        seat: this seat's id (16 bytes).
        newest: the newest configuration this seat has heard of; None when of none.
        state: what this seat keeps of the register that is asked about.
        ask: the request.
    """
    if ask.seat != seat:
        return Outcome(Unseated(seat))
    if newest is not None and ask.configuration.number < newest.number:
        return Outcome(Outdated(newest))
    news = None if newest is not None and ask.configuration.number == newest.number else ask.configuration
    if isinstance(ask, Prepare):
        if ask.ballot <= state.promised:
            return Outcome(Refused(state.promised), configuration=news)
        promised = State(ask.ballot, state.accepted, state.value)
        return Outcome(Told(state.accepted, state.value), promised, news)
    if isinstance(ask, Accept):
        if ask.ballot < state.promised:
            return Outcome(Refused(state.promised), configuration=news)
        following = max(ask.ballot, ask.following)
        return Outcome(Accepted(), State(following, ask.ballot, ask.value), news)
    return Outcome(Told(state.accepted, state.value), configuration=news)
