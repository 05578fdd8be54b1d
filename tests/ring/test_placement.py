"""Placement: the same from everyone, fair by capacity, and moving no more than it must."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
from folkmoot.protocol.ring.errors import PlacementError
from folkmoot.protocol.ring.placement import bootstrap_map, place, score
from folkmoot.protocol.ring.roster import Replicas, Roster
from hypothesis import given
from hypothesis import strategies as st

from tests.ring.samples import node, roster

RANGES = range(2_000)

REGION_COUNTS = st.dictionaries(st.sampled_from(["ap", "eu", "us", "sa"]), st.integers(1, 4), min_size=1)


@st.composite
def placeable(draw: st.DrawFn) -> tuple[Roster, Replicas]:
    """A roster, and replicas it can give."""
    regions = draw(REGION_COUNTS)
    members = roster(regions)
    if draw(st.booleans()):
        return members, draw(st.integers(1, len(members.nodes)))
    counts = {region: draw(st.integers(0, count)) for region, count in regions.items()}
    return members, counts if any(counts.values()) else dict(regions)


def holders(members: Roster, replicas: Replicas, range_id: int) -> set[bytes]:
    """The nodes of a range."""
    return {slot.reader for slot in place(members, replicas, range_id)}


@given(placeable(), st.integers(0, 10_000))
def test_slots_are_different_nodes_in_the_regions_asked_for(
    case: tuple[Roster, Replicas], range_id: int
) -> None:
    members, replicas = case
    slots = place(members, replicas, range_id)
    assert len({slot.reader for slot in slots}) == len(slots)
    for slot in slots:
        found = members.get(slot.reader)
        assert found is not None
        assert found.region == slot.region
    counts = Counter(slot.region for slot in slots)
    if isinstance(replicas, int):
        assert counts.total() == replicas
        there = {region: len(nodes) for region, nodes in members.regions().items()}
        fullest = max(counts.values())
        assert all(counts[region] >= min(fullest - 1, count) for region, count in there.items())
    else:
        assert counts == Counter({region: count for region, count in replicas.items() if count})


@given(placeable())
def test_the_order_of_founders_does_not_matter(case: tuple[Roster, Replicas]) -> None:
    members, replicas = case
    shuffled = Roster(1, "demo", tuple(reversed(members.nodes)))
    assert bootstrap_map(members, replicas).digest() == bootstrap_map(shuffled, replicas).digest()


@given(placeable(), st.sampled_from(["ap", "eu", "us", "new"]), st.integers(0, 10_000))
def test_a_node_that_comes_takes_slots_and_moves_no_other(
    case: tuple[Roster, Replicas], region: str, range_id: int
) -> None:
    members, replicas = case
    newcomer = node("newcomer", region)
    grown = Roster(2, "demo", (*members.nodes, newcomer))
    before, after = holders(members, replicas, range_id), holders(grown, replicas, range_id)
    if isinstance(replicas, int):
        # Its region weighs more now and may win a slot from another region, never the reverse.
        regions = {found.node_id: found.region for found in grown.nodes}
        assert {regions[taken] for taken in after - before} <= {region}
        assert len(after - before) <= 1
    else:
        assert after - before <= {newcomer.node_id}


@given(placeable(), st.integers(0, 10_000), st.data())
def test_a_node_that_goes_gives_up_only_its_own(
    case: tuple[Roster, Replicas], range_id: int, data: st.DataObject
) -> None:
    members, replicas = case
    leaver = data.draw(st.sampled_from(members.nodes))
    rest = tuple(found for found in members.nodes if found is not leaver)
    if not rest:
        return
    try:
        after = holders(Roster(2, "demo", rest), replicas, range_id)
    except PlacementError:
        return
    before = holders(members, replicas, range_id)
    assert len(after - before) <= 1
    if not isinstance(replicas, int):
        assert before - after <= {leaver.node_id}


def shares(members: Roster, replicas: Replicas) -> Mapping[str, float]:
    """The fraction of all slots each node holds, by name."""
    held = Counter(holder for range_id in RANGES for holder in holders(members, replicas, range_id))
    return {found.name: held[found.node_id] / held.total() for found in members.nodes}


def tolerance(fraction: float, draws: int) -> float:
    """Four standard deviations of a binomial share: all but 1 in 16,000 cases of mere chance."""
    return 4 * math.sqrt(fraction * (1 - fraction) / draws)


@pytest.mark.parametrize("replicas", [{"eu": 1}, 1])
@pytest.mark.parametrize("capacities", [[1, 1], [1] * 8, [1, 2, 3, 4], [0.5, 0.5, 10]])
def test_each_node_holds_its_capacitys_share(replicas: Replicas, capacities: list[float]) -> None:
    nodes = tuple(node(f"n{at}", "eu", capacity) for at, capacity in enumerate(capacities))
    found = shares(Roster(1, "demo", nodes), replicas)
    for member in nodes:
        fair = member.capacity / sum(capacities)
        assert abs(found[member.name] - fair) < tolerance(fair, len(RANGES)), member.name


def test_a_plain_number_below_the_number_of_regions_uses_them_all() -> None:
    found = shares(roster({"ap": 2, "eu": 2, "us": 2}), 1)
    assert all(abs(share - 1 / 6) < tolerance(1 / 6, len(RANGES)) for share in found.values())


def test_replicas_never_leave_out_a_region_a_plain_number_can_reach() -> None:
    members = roster({"ap": 1, "eu": 5, "us": 5})
    assert all({slot.region for slot in place(members, 3, at)} == {"ap", "eu", "us"} for at in RANGES)


def test_doubling_a_capacity_moves_slots_only_to_that_node() -> None:
    members = roster({"eu": 6})
    favoured = replace(members.nodes[2], capacity=2.0)
    heavier = Roster(
        2, "demo", (favoured, *(found for found in members.nodes if found.name != favoured.name))
    )
    moved = 0
    for range_id in RANGES:
        gained = holders(heavier, {"eu": 2}, range_id) - holders(members, {"eu": 2}, range_id)
        assert gained <= {favoured.node_id}
        moved += len(gained)
    assert moved > 0


def test_slots_come_by_region_and_then_by_rank() -> None:
    members = roster({"us": 3, "eu": 3})
    slots = place(members, {"us": 2, "eu": 3}, 5)
    assert [slot.region for slot in slots] == ["eu", "eu", "eu", "us", "us"]
    assert slots[3:] == place(members, {"us": 2}, 5)
    assert slots[3:4] == place(members, {"us": 1}, 5)


def test_the_first_placement_never_changes() -> None:
    # A founder of another version must compute the same map: this digest is part of the protocol.
    digest = bootstrap_map(roster({"ap": 2, "eu": 3, "us": 2}), {"ap": 1, "eu": 1, "us": 1}).digest()
    assert digest.hex() == "e430d20003bcc7c9951b0eb0285d0b0aeecdabf21208b9ac7f4ce34e68b94142"


@pytest.mark.parametrize(
    ("regions", "replicas", "sentence"),
    [
        ({"eu": 1}, {"eu": 2}, "region 'eu' lacks 1 of the 2 nodes asked for: add nodes there"),
        ({"eu": 1}, {"eu": 1, "mars": 2}, "region 'mars' lacks 2 of the 2"),
        ({"eu": 1, "us": 1}, {"eu": 3, "us": 2}, "'eu' lacks 2 of the 3 .*; region 'us' lacks 1 of the 2"),
        ({"eu": 1, "us": 1}, 3, "replicas = 3, and the roster has 2 nodes: add a node"),
        ({"eu": 1}, 0, "add up to 0"),
        ({"eu": 1}, -1, "add up to 0"),
        ({"eu": 1}, {}, "add up to 0"),
        ({"eu": 3, "us": 1}, {"eu": 3, "us": -1}, "add up to 2"),
        ({"eu": 20}, 17, "add up to 17, not 1 to 16"),
    ],
)
def test_what_cannot_be_placed_is_said_in_a_sentence(
    regions: Mapping[str, int], replicas: Replicas, sentence: str
) -> None:
    with pytest.raises(PlacementError, match=sentence):
        bootstrap_map(roster(regions), replicas)


@given(st.integers(0, 2**63 - 1), st.binary(max_size=16), st.floats(0.001, 1000))
def test_scores_are_finite_and_positive(range_id: int, candidate: bytes, weight: float) -> None:
    assert 0 < score(b"", range_id, candidate, weight) < math.inf
