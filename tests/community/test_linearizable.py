"""Roles are decided one after the other, whatever happens to messages; and what breaks that is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from folkmoot.node.simulation.checkers.linearizability import UNKNOWN, Order, linearize
from folkmoot.node.simulation.checkers.models import Call
from folkmoot.protocol.community.roles import granted, revoked
from folkmoot.protocol.community.value import REGISTER, Community
from folkmoot.protocol.consensus.value import Changing, Value, keep
from folkmoot.protocol.errors import WireError

from tests.community.people import account, community, somebody
from tests.consensus.world import Attempted, Proposer, World

SEEDS = range(60)
STEPS = 500
PEOPLE = 3
FOUNDED = community(_1=("operator",), _2=("operator",), _3=("operator",))

Rule = Callable[[Community], Community]


def community_of(body: bytes | None) -> Community:
    return FOUNDED if body is None else Community.decode(body)


def made_by(rule: Rule) -> Callable[[Value | None], bytes | None]:
    """The register's change under a rule."""

    def make(value: Value | None) -> bytes | None:
        before = community_of(None if value is None else value.body)
        after = rule(before)
        return None if after == before else after.encode()

    return make


class Operator(Proposer):
    """Somebody who demotes the others, or makes them operators again."""

    make = staticmethod(made_by)

    def begin(self, now: int) -> None:
        """Decide on something to do."""
        if self.random.random() < 0.3:
            self.doing = Attempted(REGISTER, Call("read"), keep, now)
            return
        by, whom = (self.random.randint(1, PEOPLE) for _ in range(2))
        change = self.random.choice([granted, revoked, revoked])
        member = somebody(by)

        def rule(present: Community) -> Community:
            return change(present, account(whom), "operator", member, now, "")

        request = self.random.randbytes(16)
        self.doing = Attempted(REGISTER, Call("change", rule), Changing(self.make(rule), request), now)


class Model:
    """One copy of the register."""

    initial = None

    def step(self, state: Any, call: Call, result: Any) -> tuple[bool, Any]:
        """See `linearizability.Model`."""
        if call.name == "read":
            return result is UNKNOWN or result == state, state
        try:
            after = call.argument(community_of(state))
        except WireError:
            return result is not True, state
        return result is not False, state if after == community_of(state) else after.encode()


class Council(World):
    """A world in which operators work on one community."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        configuration = self.proposers[0].configuration
        self.proposers = [Operator(number, configuration, self.random) for number in range(PEOPLE)]
        self.history = {REGISTER: []}

    def order(self) -> Order:
        self.run(STEPS)
        return linearize(self.history[REGISTER], Model())


def test_every_history_has_an_order_and_somebody_is_always_an_operator() -> None:
    changed = refused = 0
    for seed in SEEDS:
        order = (council := Council(seed)).order()
        assert order.linearizable, f"seed {seed}: {order.blocked}"
        for each in council.history[REGISTER]:
            changed += each.result is True
            refused += each.result is False
            if each.call.name == "read":
                present = community_of(each.result)
                assert any("operator" in holder.roles for holder in present.holders)
    assert changed > 3 * len(SEEDS) and refused > len(SEEDS), "much was done, and much was refused"


def test_roles_that_are_judged_by_what_was_true_before_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_what_it_saw(rule: Rule) -> Callable[[Value | None], bytes | None]:
        kept: list[bytes | None] = []

        def make(value: Value | None) -> bytes | None:
            kept[1:] = [made_by(rule)(value)]
            return kept[0]

        return make

    monkeypatch.setattr(Operator, "make", staticmethod(by_what_it_saw))
    assert any(Council(seed).order().linearizable is False for seed in SEEDS)
