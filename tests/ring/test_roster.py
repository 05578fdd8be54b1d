"""Rosters: what is refused, and that the bytes are the same from everyone."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.ring.errors import RingError
from folkmoot.protocol.ring.roster import Replicas, Roster, RosterNode, Standing

from tests.ring.samples import node, roster

GOOD = node("anna")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"node_id": b"short"}, "not 16 bytes"),
        ({"node_id": "0" * 16}, "not 16 bytes"),
        ({"name": ""}, "node name ''"),
        ({"name": "-anna"}, "node name"),
        ({"name": "a" * 64}, "node name"),
        ({"name": "anna\n"}, "node name"),
        ({"region": "EU"}, "region of node 'anna'"),
        ({"region": ""}, "region of node"),
        ({"capacity": 0.0}, "capacity of node 'anna' is 0.0"),
        ({"capacity": -1.0}, "capacity"),
        ({"capacity": 0.0004}, "steps of 0.001"),
        ({"capacity": 1000.001}, "capacity"),
        ({"capacity": float("nan")}, "capacity"),
        ({"capacity": float("inf")}, "capacity"),
        ({"service_account": b"\xed\x01"}, "service account"),
    ],
)
def test_a_node_of_the_wrong_form_is_refused(change: dict[str, Any], sentence: str) -> None:
    fields = {
        name: getattr(GOOD, name) for name in ("node_id", "name", "region", "capacity", "service_account")
    }
    with pytest.raises(RingError, match=sentence):
        RosterNode(**(fields | change))


@pytest.mark.parametrize("capacity", [0.001, 0.1, 0.3, 1, 2.675, 999.999, 1000])
def test_capacities_survive_the_wire_exactly(capacity: float) -> None:
    whole = Roster(1, "demo", (node("anna", capacity=capacity),))
    assert Roster.from_wire(codec.unpack(codec.pack(whole.to_wire()))) == whole


@pytest.mark.parametrize("standing", ["member", "leaving", "dead"])
@pytest.mark.parametrize("replicas", [None, 1, 16, {"eu": 1, "us": 2}])
def test_standings_and_replicas_survive_the_wire(standing: Standing, replicas: Replicas | None) -> None:
    whole = Roster(3, "demo", (node("anna"), replace(node("bert"), standing=standing)), replicas)
    assert Roster.from_wire(codec.unpack(codec.pack(whole.to_wire()))) == whole


def test_who_says_nothing_new_says_it_in_the_bytes_of_before() -> None:
    assert roster({"eu": 1}).to_wire().keys() == {"cluster", "epoch", "nodes"}
    assert GOOD.to_wire().keys() == {"capacity", "id", "name", "region", "service"}


@pytest.mark.parametrize("replicas", [0, 17, {}, {"eu": 0}, {"eu": 17}, {"eu": -1, "us": 2}, {"EU": 1}])
def test_replicas_that_make_no_sense_are_refused(replicas: Replicas) -> None:
    with pytest.raises(RingError, match="replicas"):
        Roster(1, "demo", (GOOD,), replicas)


def test_only_members_in_good_standing_are_given_ranges() -> None:
    leaving = replace(node("bert"), standing="leaving")
    assert Roster(1, "demo", (GOOD, leaving)).in_good_standing().nodes == (GOOD,)
    with pytest.raises(RingError, match="a roster of 0 nodes"):
        Roster(1, "demo", (leaving,)).in_good_standing()


def test_the_order_in_which_founders_are_listed_does_not_matter() -> None:
    nodes = list(roster({"eu": 3, "us": 3}).nodes)
    shuffled = Random(7).sample(nodes, len(nodes))
    assert nodes != shuffled
    one, other = Roster(1, "demo", tuple(nodes)), Roster(1, "demo", tuple(shuffled))
    assert one == other
    assert one.canonical() == other.canonical()
    assert one.digest() == other.digest() != roster({"eu": 3, "us": 2}).digest()


def test_members_are_found_by_id_and_by_region() -> None:
    members = roster({"us": 1, "eu": 2})
    anna = members.nodes[0]
    assert members.get(anna.node_id) is anna
    assert anna.node_id in members
    assert members.get(b"?" * 16) is None
    assert {region: len(nodes) for region, nodes in members.regions().items()} == {"eu": 2, "us": 1}


@pytest.mark.parametrize(
    ("epoch", "cluster", "nodes", "sentence"),
    [
        (0, "demo", (GOOD,), "epochs begin at 1"),
        (1, "De mo", (GOOD,), "the cluster 'De mo'"),
        (1, "demo", (), "a roster of 0 nodes"),
        (1, "demo", (GOOD, GOOD), "2 nodes called anna"),
        (
            1,
            "demo",
            (GOOD, RosterNode(GOOD.node_id, "bert", "eu", 1.0, GOOD.service_account)),
            "2 nodes with id",
        ),
        (1, "demo", tuple(node(f"n{number}") for number in range(257)), "a roster of 257 nodes"),
    ],
)
def test_a_roster_that_cannot_be_is_refused(
    epoch: int, cluster: str, nodes: tuple[RosterNode, ...], sentence: str
) -> None:
    with pytest.raises(RingError, match=sentence):
        Roster(epoch, cluster, nodes)


def _wire(**change: Any) -> dict[str, Any]:
    return Roster(1, "demo", (GOOD,)).to_wire() | change


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        _wire(epoch=0),
        _wire(epoch=True),
        _wire(epoch="1"),
        _wire(epoch=2**63),
        _wire(cluster="no spaces"),
        _wire(nodes=[]),
        _wire(nodes=[None]),
        _wire(nodes=[GOOD.to_wire()] * 2),
        _wire(nodes=[GOOD.to_wire()] * 257),
        _wire(nodes=[GOOD.to_wire() | {"capacity": 1.0}]),
        _wire(nodes=[GOOD.to_wire() | {"id": GOOD.node_id.hex()}]),
        _wire(nodes=[GOOD.to_wire() | {"service": b""}]),
    ],
)
def test_a_peers_nonsense_is_a_bad_request(value: Any) -> None:
    with pytest.raises(WireError) as caught:
        Roster.from_wire(value)
    assert caught.value.kind is BAD_REQUEST


def test_unknown_keys_are_ignored() -> None:
    assert Roster.from_wire(_wire(motto="hear ye")) == Roster(1, "demo", (GOOD,))
