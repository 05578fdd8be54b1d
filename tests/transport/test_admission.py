"""Who is let in: bounds and shares, without sockets."""

from __future__ import annotations

from collections import Counter

import pytest
from folkmoot.node.transport.admission import Admission, Visit, origin_of
from folkmoot.node.transport.errors import TooManyConnections
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

UNPROVEN, PROVEN = 6, 8
HOSTS = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2", "127.0.0.1", "::1")


def admission() -> Admission:
    return Admission(unproven_max=UNPROVEN, proven_max=PROVEN)


def test_the_oldest_of_an_address_makes_room_for_its_next() -> None:
    visits = [(entry := admission()).begin("192.0.2.1")]
    visits += [entry.begin("192.0.2.1") for _ in range(4)]
    assert [visit.turned_out for visit in visits] == [True, True, False, False, False]
    assert entry._unproven.count == UNPROVEN // 2


def test_when_all_is_full_the_most_crowded_address_makes_room() -> None:
    entry = admission()
    crowd = [entry.begin("192.0.2.1") for _ in range(3)]
    others = [entry.begin(f"192.0.2.{2 + number}") for number in range(3)]
    newcomer = entry.begin("198.51.100.1")
    assert [visit.turned_out for visit in crowd] == [True, False, False]
    assert not any(visit.turned_out for visit in [*others, newcomer])


def test_the_silent_take_no_room_from_those_who_spoke() -> None:
    entry = admission()
    for _ in range(PROVEN // 2):
        entry.begin("192.0.2.1").prove()
    for _ in range(50):
        entry.begin("192.0.2.1")
    entry.begin("192.0.2.2").prove()
    assert entry._proven.count == PROVEN // 2 + 1


def test_one_address_has_at_most_half_and_all_together_no_more_than_there_is() -> None:
    entry = admission()
    held = [entry.begin("192.0.2.1") for _ in range(3)]
    held += [entry.begin(host) for host in ("192.0.2.2", "192.0.2.3", "192.0.2.4")]
    for visit in held:
        visit.prove()
    extra = entry.begin("192.0.2.1")
    extra.prove()
    with pytest.raises(TooManyConnections, match=r"192\.0\.2\.1 has 4 connections"):
        entry.begin("192.0.2.1").prove()
    entry.begin("192.0.2.5").prove()
    with pytest.raises(TooManyConnections, match="there are 8 connections"):
        entry.begin("192.0.2.6").prove()
    extra.end()
    entry.begin("192.0.2.6").prove()


def test_a_network_of_ipv6_is_one_address() -> None:
    entry = admission()
    for number in range(4):
        entry.begin(f"2001:db8::{number:x}").prove()
    with pytest.raises(TooManyConnections, match=r"2001:db8::/64 has 4"):
        entry.begin("2001:db8::ffff:1").prove()
    entry.begin("2001:db8:0:1::1").prove()
    entry.begin("fe80::1%eth0").prove()
    entry.begin("::1").prove()


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: no bound is passed and nothing is counted that is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.admission = admission()
        self.waiting: list[tuple[str, Visit]] = []
        self.working: list[tuple[str, Visit]] = []

    @rule(host=st.sampled_from(HOSTS))
    def come(self, host: str) -> None:
        self.waiting.append((host, self.admission.begin(host)))

    @rule(data=st.data())
    def prove(self, data: st.DataObject) -> None:
        living = [each for each in self.waiting if not each[1].turned_out]
        if living:
            host, visit = data.draw(st.sampled_from(living))
            self.waiting.remove((host, visit))
            try:
                visit.prove()
            except TooManyConnections:
                visit.end()
            else:
                self.working.append((host, visit))

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if self.waiting or self.working:
            host, visit = data.draw(st.sampled_from(self.waiting + self.working))
            (self.working if (host, visit) in self.working else self.waiting).remove((host, visit))
            visit.end()
            visit.end()

    @invariant()
    def bounds_hold(self) -> None:
        living = [visit for _, visit in self.waiting if not visit.turned_out]
        assert self.admission._unproven.count == len(living) <= UNPROVEN
        assert self.admission._proven.count == len(self.working) <= PROVEN
        for visits, bound in ((living, UNPROVEN), ([visit for _, visit in self.working], PROVEN)):
            assert max(Counter(visit.origin for visit in visits).values(), default=0) <= bound // 2


TestAnyOrder = AnyOrder.TestCase


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::7", "2001:db8::/64"),
        ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
        ("::1", "::1"),
        ("a-simulated-host", "a-simulated-host"),
    ],
)
def test_a_network_of_addresses_is_one_origin(host: str, origin: str) -> None:
    """Connections and quotas are counted by it: who owns the network owns every address in it."""
    assert origin_of(host) == origin
