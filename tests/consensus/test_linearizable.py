"""Registers are linearizable whatever happens to messages and proposers; and what breaks that is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from folkmoot.node.simulation.checkers.linearizability import UNKNOWN
from folkmoot.protocol.consensus import acceptor, proposer
from folkmoot.protocol.consensus.acceptor import Outcome
from folkmoot.protocol.consensus.configuration import Configuration
from folkmoot.protocol.consensus.messages import Accept, Accepted, Ask, Prepare, State, Told
from folkmoot.protocol.consensus.proposer import Effect, Lead, Proposal, Rejected
from folkmoot.protocol.consensus.value import Value

from tests.consensus.world import Proposer, World

SEEDS = range(150)
STEPS = 1500


def lived(seed: int, seats: int = 3) -> World:
    world = World(seed, seats)
    world.run(STEPS)
    return world


@pytest.mark.parametrize("seats", [1, 3, 5])
def test_every_history_has_an_order(seats: int) -> None:
    known = unknown = 0
    for seed in SEEDS:
        world = lived(seed, seats)
        for order in world.orders():
            assert order.linearizable, f"seed {seed}: {order.blocked}"
        for operations in world.history.values():
            known += sum(each.result is True for each in operations)
            unknown += sum(each.result is UNKNOWN for each in operations)
    assert known > 5 * len(SEEDS) and unknown > len(SEEDS), "much was done, and much was in doubt"


def first_broken() -> int | None:
    """The first seed whose history has no order."""
    for seed in SEEDS:
        if any(order.linearizable is False for order in lived(seed).orders()):
            return seed
    return None


real_answer = acceptor.answer


def forgets_promises(seat: bytes, newest: Configuration | None, state: State, ask: Ask) -> Outcome:
    """A promise that is not on disk."""
    outcome = real_answer(seat, newest, state, ask)
    return outcome._replace(state=None) if isinstance(ask, Prepare) else outcome


def accepts_whatever_it_promised(
    seat: bytes, newest: Configuration | None, state: State, ask: Ask
) -> Outcome:
    if isinstance(ask, Accept):
        return Outcome(Accepted(), State(max(state.promised, ask.following), ask.ballot, ask.value))
    return real_answer(seat, newest, state, ask)


def tells_nothing_of_what_it_accepted(
    seat: bytes, newest: Configuration | None, state: State, ask: Ask
) -> Outcome:
    outcome = real_answer(seat, newest, state, ask)
    if isinstance(outcome.answer, Told):
        return outcome._replace(answer=Told(State().accepted, None))
    return outcome


@pytest.mark.parametrize(
    "broken",
    [forgets_promises, accepts_whatever_it_promised, tells_nothing_of_what_it_accepted],
)
def test_a_broken_acceptor_is_found(broken: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "answer", broken)
    assert first_broken() is not None


def test_a_quorum_that_meets_no_other_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Configuration, "is_quorum", lambda self, seats: len(seats) >= 1)
    assert first_broken() is not None


def test_a_proposer_that_goes_on_from_an_older_value_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def greatest(*values: Any, key: Callable[[Any], Any] | None = None) -> Any:
        return max(values) if key is None else values[-1]

    monkeypatch.setattr(proposer, "max", greatest, raising=False)
    assert first_broken() is not None


def test_a_refusal_by_what_is_not_decided_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Proposal._accept

    def accept(self: Proposal, present: Value | None) -> list[Effect]:
        effects = real(self, present)
        if self._rejection is None:
            return effects
        return self._end(Rejected(self._rejection, Lead(self._ballot, present, 0)))

    monkeypatch.setattr(Proposal, "_accept", accept)
    assert first_broken() is not None


class Reused(dict[str, Lead]):
    """Leads that stay when they are taken."""

    def pop(self, key: str, default: Any = None) -> Any:
        return self.get(key, default)


def test_a_lead_that_is_used_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Proposer.begin

    def begin(self: Proposer, now: int) -> None:
        if not isinstance(self.leads, Reused):
            self.leads = Reused()
        real(self, now)

    monkeypatch.setattr(Proposer, "begin", begin)
    assert first_broken() is not None
