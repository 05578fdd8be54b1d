"""The join of views, and what a description may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.gossip.members import NOWHERE, Description, Endpoint, Member, State, digest, join
from folkmoot.protocol.host import is_host
from hypothesis import given
from hypothesis import strategies as st

from tests.gossip.strategies import descriptions, members
from tests.gossip.world import description, node_id


def of_one_node(count: int) -> st.SearchStrategy[list[Member]]:
    same = members.map(lambda member: replace(member, node_id=node_id("x")))
    return st.lists(same, min_size=count, max_size=count)


@given(of_one_node(3))
def test_join_is_associative_commutative_and_idempotent(known: Sequence[Member]) -> None:
    one, two, three = known
    assert join(one, two) == join(two, one)
    assert join(join(one, two), three) == join(one, join(two, three))
    assert join(one, one) == one
    assert join(one, join(one, two)) == join(one, two)


A, B = description("a"), description("b")


@pytest.mark.parametrize(
    ("held", "heard", "state", "incarnation"),
    [
        pytest.param((State.ALIVE, 3), (State.SUSPECT, 3), State.SUSPECT, 3, id="accused"),
        pytest.param((State.ALIVE, 3), (State.SUSPECT, 2), State.ALIVE, 3, id="an outdated accusation"),
        pytest.param((State.SUSPECT, 3), (State.ALIVE, 3), State.SUSPECT, 3, id="a stale alive"),
        pytest.param((State.SUSPECT, 3), (State.ALIVE, 4), State.ALIVE, 4, id="refuted"),
        pytest.param((State.DEAD, 3), (State.SUSPECT, 3), State.DEAD, 3, id="dead stays dead"),
        pytest.param((State.DEAD, 3), (State.ALIVE, 4), State.ALIVE, 4, id="returned"),
        pytest.param((State.ALIVE, 3), (State.LEFT, 3), State.LEFT, 3, id="said goodbye"),
        pytest.param((State.DEAD, 3), (State.LEFT, 3), State.LEFT, 3, id="who left is not merely dead"),
        pytest.param((State.LEFT, 3), (State.ALIVE, 3), State.LEFT, 3, id="left, and then a stale alive"),
        pytest.param((State.LEFT, 3), (State.ALIVE, 4), State.ALIVE, 4, id="came back"),
        pytest.param((State.ALIVE, 9), (State.LEFT, 3), State.ALIVE, 9, id="an outdated goodbye"),
    ],
)
def test_which_claim_stands(
    held: tuple[State, int], heard: tuple[State, int], state: State, incarnation: int
) -> None:
    known, claimed = (Member(node_id("x"), A, at, said, at) for said, at in (held, heard))
    joined = join(known, claimed)
    assert (joined.state, joined.incarnation) == (state, incarnation)


def test_the_later_description_stands_whatever_is_claimed() -> None:
    accused = Member(node_id("x"), A, 1, State.SUSPECT, 7)
    joined = join(accused, Member.alive(node_id("x"), B, 5))
    assert joined == Member(node_id("x"), B, 5, State.SUSPECT, 7)


@given(st.lists(members, max_size=5))
def test_a_digest_does_not_depend_on_order(known: list[Member]) -> None:
    distinct = list({member.node_id: member for member in known}.values())
    assert digest(distinct) == digest(distinct[::-1])


def test_a_digest_is_of_those_who_are_here() -> None:
    here = Member.alive(node_id("x"), A, 2)
    digests = {state: digest([here.claimed(state, 2)]) for state in State}
    assert digests[State.DEAD] == digests[State.LEFT] == digest([])
    assert len({*digests.values(), digest([Member.alive(node_id("x"), B, 2)])}) == 4


def test_a_claim_is_about_an_incarnation_that_was_described() -> None:
    accused = Member(node_id("x"), A, 3, State.SUSPECT, 2**63 - 1)
    assert accused.as_described() == Member(node_id("x"), A, 3, State.SUSPECT, 3)
    assert Member.alive(node_id("x"), A, 3).as_described() == Member.alive(node_id("x"), A, 3)


@given(members)
def test_a_member_survives_the_wire(member: Member) -> None:
    assert Member.from_wire(codec.unpack(codec.pack(member.to_wire()))) == member


@given(descriptions)
def test_a_description_survives_the_wire(given_description: Description) -> None:
    assert Description.decode(given_description.encode()) == given_description


def test_a_description_that_gossip_cannot_carry_is_refused_with_its_size() -> None:
    with pytest.raises(WireError, match="at most 512") as caught:
        replace(A, meta={"much": b"x" * 600}).encode()
    assert caught.value.kind.name == "too_large"


@pytest.mark.parametrize(
    "value",
    [
        ["name", "region", ["host", 1], ["host", 1], ["host", 1]],
        ["name", "region", ["host", 1], ["host", 1], ["host", 65_536], {}],
        ["name", "region", ["host", 1], ["host", 1], ["host", -1], {}],
        ["name", "region", ["host", 1], ["host", 1], ["host", True], {}],
        ["name", "region", ["host", 1], ["host", 1], [b"host", 1], {}],
        ["name", b"region", ["host", 1], ["host", 1], ["host", 1], {}],
        ["name", "region", ["host", 1], ["host", 1], ["host", 1], {"epochs": [1]}],
        {"name": "name"},
        7,
    ],
)
def test_what_is_not_a_description_is_refused(value: object) -> None:
    with pytest.raises(WireError):
        Description.decode(codec.encode_canonical(value))


HOSTS = [
    "a",
    "node.example",
    "node.example.",
    "folkmoot_node_1",
    "xn--bcher-kva.example",
    "192.0.2.1",
    "::1",
    "2001:db8::7",
    "::ffff:192.0.2.1",
    "fe80::1%eth0",
    "a" * 63 + ".example",
]
NO_HOSTS = [
    "",
    ".",
    "nodes..example",
    ".example",
    "node.example..",
    "-a",
    "a-",
    "a" * 64 + ".example",
    "a\0b",
    "a b",
    "a\n",
    "a/b",
    "bücher.example",
    "[::1]",
    "1:2",
    "::1::",
    ":::",
    "fe80::1%\0",
    "fe80::1%",
]


@pytest.mark.parametrize(
    ("host", "good"), [(host, True) for host in HOSTS] + [(host, False) for host in NO_HOSTS]
)
def test_what_a_host_may_be_called(host: str, good: bool) -> None:
    there = Endpoint(host, 7)
    told = replace(A, peer=there, datagram=there, client=there).encode()
    assert is_host(host) is good
    if good:
        assert Description.decode(told).peer == there
    else:
        with pytest.raises(WireError, match="a host name or an IP address") as caught:
            Description.decode(told)
        assert caught.value.kind.name == "bad_request"


def test_how_long_the_name_of_a_host_may_be() -> None:
    assert is_host(".".join(["a" * 50] * 4 + ["a" * 49]))
    assert not is_host(".".join(["a" * 50] * 5))


@given(st.text(max_size=300))
def test_what_is_a_host_makes_no_resolver_choke(text: str) -> None:
    if is_host(text):
        text.encode("idna")
        assert text.isascii() and "\0" not in text


def test_a_node_may_be_nowhere() -> None:
    nowhere = Description("", "", NOWHERE, NOWHERE, NOWHERE, {})
    assert Description.decode(nowhere.encode()) == nowhere


def test_endpoints_compare_like_any_address() -> None:
    assert Endpoint("::1", 7) == ("::1", 7)
