"""Plans: they lead to what placement wants, change no more than they must, and go on from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from folkmoot.protocol.ring.movement import Add, Drop, Move, Propose, next_step
from folkmoot.protocol.ring.placement import place
from folkmoot.protocol.ring.plan import Plan, changes_of, plan
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap
from folkmoot.protocol.ring.roster import Replicas, Roster, Standing
from folkmoot.protocol.ring.roster_changes import with_standing
from folkmoot.protocol.ring.topology import Topology
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ring.samples import descriptor, node, node_id, numbered, roster, slot

EVEN = {"ap": 1, "eu": 1, "us": 1}


def founded(counts: Mapping[str, int], replicas: Replicas) -> Topology:
    return Topology.bootstrap("demo", roster(counts).nodes, replicas)


def changed(
    topology: Topology,
    *,
    joined: Mapping[str, int] | None = None,
    standings: Mapping[str, Standing] | None = None,
    replicas: Replicas | None = None,
) -> Topology:
    """The topology once its roster was changed."""
    nodes = [
        replace(each, standing=(standings or {}).get(each.name, each.standing))
        for each in topology.roster.nodes
    ]
    nodes += [
        node(f"new-{region}-{number}", region)
        for region, count in (joined or {}).items()
        for number in range(count)
    ]
    members = Roster(topology.roster.epoch + 1, "demo", tuple(nodes), replicas)
    return Topology(members, topology.ranges)


def carried_out(
    now: RangeDescriptor, members: Roster, replicas: Replicas, steps: int = 100
) -> RangeDescriptor:
    """A range once it is as wanted: planned anew after each change, with all done that steps ask for.

    Or after so many steps; it takes fewer than a hundred.
    """
    wanted = place(members.in_good_standing(), replicas, now.id)
    last = now.epoch + steps
    while now.epoch < last and (changes := changes_of(now, wanted, members)):
        everybody = set(now.nodes())
        step = next_step(changes[0], now, fenced=everybody, copied=everybody)
        assert isinstance(step, Propose), step
        now = step.descriptor
        assert steps < 100 or now.epoch < last, "the plan never ends"
    return now


def all_carried_out(topology: Topology, replicas: Replicas) -> Topology:
    counts = replicas if topology.roster.replicas is None else topology.roster.replicas
    done = [carried_out(each, topology.roster, counts) for each in topology.ranges.ranges]
    return Topology(topology.roster, RangeMap(tuple(done)))


def test_a_cluster_as_founded_needs_nothing() -> None:
    assert plan(founded(EVEN, EVEN)) == Plan({})
    assert plan(changed(founded(EVEN, EVEN), replicas=EVEN)) == Plan({})


def test_a_node_that_joins_is_given_what_it_wins_and_nothing_else_moves() -> None:
    after = changed(founded({"ap": 1, "eu": 2, "us": 1}, EVEN), joined={"eu": 1}, replicas=EVEN)
    [new] = [each.node_id for each in after.roster.nodes if each.name == "new-eu-0"]
    moves = [change for each in plan(after).changes.values() for change in each]
    assert 10 < len(moves) < 35, "about a third of the 64 ranges"
    assert all(isinstance(move, Move) and move.recipient == new for move in moves)


@pytest.mark.parametrize("standing", ["drained", "leaving", "dead"])
def test_a_node_that_goes_gives_up_all_and_a_dead_one_is_not_copied_from(standing: Standing) -> None:
    after = changed(founded({"ap": 1, "eu": 2, "us": 1}, EVEN), standings={"eu-0": standing}, replicas=EVEN)
    [gone] = [each.node_id for each in after.roster.nodes if each.name == "eu-0"]
    moves = [change for each in plan(after).changes.values() for change in each]
    assert moves
    assert all(
        isinstance(move, Move) and (move.donor, move.donor_is_dead) == (gone, standing == "dead")
        for move in moves
    )
    assert not all_carried_out(after, EVEN).ranges.of_node(gone)


def test_what_blocks_a_plan_is_told() -> None:
    before = founded(EVEN, EVEN)
    found = plan(changed(before, standings={"eu-0": "leaving"}, replicas=EVEN))
    assert found.changes == {}
    assert "region 'eu' lacks 1 of the 1 nodes" in found.blocked[0]
    everybody: dict[str, Standing] = dict.fromkeys(("ap-0", "eu-0", "us-0"), "leaving")
    assert plan(changed(before, standings=everybody, replicas=EVEN)).blocked


@pytest.mark.parametrize(
    ("founders", "joined", "standings", "goal", "slots"),
    [
        pytest.param(1, 0, {}, 3, 1, id="one node has one copy"),
        pytest.param(1, 1, {}, 3, 2, id="two have two"),
        pytest.param(1, 3, {}, 3, 3, id="four have as many as were asked for"),
        pytest.param(2, 0, {"eu-0": "dead"}, 3, None, id="no fewer because one died"),
        pytest.param(2, 0, {"eu-0": "leaving"}, 1, 1, id="fewer when that is asked for"),
    ],
)
def test_a_total_grows_with_the_cluster_and_shrinks_only_when_told(
    founders: int, joined: int, standings: Mapping[str, Standing], goal: int, slots: int | None
) -> None:
    after = changed(
        founded({"eu": founders}, founders), joined={"eu": joined}, standings=standings, replicas=goal
    )
    if slots is None:
        assert plan(after).blocked
        return
    done = carried_out_as_planned(after)
    assert {len(each.slots) for each in done.ranges.ranges} == {slots}


def carried_out_as_planned(topology: Topology) -> Topology:
    """The topology once every change that `plan` asks for is made."""
    for _ in range(100 * len(topology.ranges.ranges)):
        found = plan(topology)
        assert not found.blocked
        if not found.changes:
            return topology
        [(range_id, changes), *_] = found.changes.items()
        now = topology.ranges.get(range_id)
        assert now is not None
        everybody = set(now.nodes())
        step = next_step(changes[0], now, fenced=everybody, copied=everybody)
        assert isinstance(step, Propose), step
        topology = Topology(topology.roster, topology.ranges.replace(step.descriptor))
    raise AssertionError("the plan never ends")


def test_a_region_comes_and_goes() -> None:
    before = founded({"eu": 3}, {"eu": 2})
    wider = all_carried_out(changed(before, joined={"sa": 1}, replicas={"eu": 2, "sa": 1}), 2)
    assert {len(each.slots) for each in wider.ranges.ranges} == {3}
    narrower = Topology(replace(wider.roster, epoch=3, replicas={"sa": 1}), wider.ranges)
    done = all_carried_out(narrower, 2)
    assert {tuple(slot.region for slot in each.slots) for each in done.ranges.ranges} == {("sa",)}


def test_no_slot_is_dropped_before_the_others_are_there() -> None:
    now = descriptor(0, 3, b"", b"", slot("eu", 1), slot("us", 2))
    wanted = (slot("eu", 1), slot("ap", 4))
    assert changes_of(now, wanted, numbered(4)) == (Add(0, "ap", node_id(4)),)
    added = replace(now, slots=(*now.slots, slot("ap", 4)))
    assert changes_of(added, wanted, numbered(4)) == (Drop(0, node_id(2)),)


@pytest.mark.parametrize(
    ("slots", "wanted", "change"),
    [
        pytest.param((1, 3), (3,), Move(0, node_id(1), node_id(3)), id="on"),
        pytest.param((3, 1), (3,), Move(0, node_id(1), node_id(3)), id="reads have moved"),
        pytest.param((1, 3), (1,), Move(0, node_id(3), node_id(1)), id="back"),
        pytest.param((1, 3), (5,), Move(0, node_id(3), node_id(1)), id="both unwanted: back, and then away"),
        pytest.param((3, 1), (5,), Move(0, node_id(1), node_id(3)), id="both unwanted: on, and then away"),
    ],
)
def test_what_is_under_way_is_gone_on_with(
    slots: tuple[int, ...], wanted: tuple[int, ...], change: Move
) -> None:
    now = descriptor(0, 3, b"", b"", slot("eu", *slots))
    assert changes_of(now, (slot("eu", *wanted),), numbered(6))[0] == change


def test_of_two_that_are_unwanted_a_dead_one_is_not_kept() -> None:
    members = with_standing(numbered(6), node_id(1), "dead")
    for nodes in ((1, 3), (3, 1)):
        now = descriptor(0, 3, b"", b"", slot("eu", *nodes))
        change = changes_of(now, (slot("eu", 5),), members)[0]
        assert change == Move(0, node_id(1), node_id(3), donor_is_dead=True)


def test_who_was_to_be_one_more_is_so_where_it_stands_though_its_host_is_to_go() -> None:
    now = descriptor(0, 3, b"", b"", slot("eu", 1, 2), slot("eu", 3))
    wanted = (slot("eu", 3), slot("us", 2))
    assert changes_of(now, wanted, numbered(4)) == (Add(0, "us", node_id(2)),)


@st.composite
def changes_of_mind(draw: st.DrawFn) -> tuple[Topology, list[tuple[dict[str, int], int]]]:
    """A cluster as founded, and how many copies it is to have next, each with so many steps on the way."""
    counts = {"ap": 1, "eu": 2, "us": 2}
    wishes = st.fixed_dictionaries({region: st.integers(0, count) for region, count in counts.items()})
    steps = st.tuples(wishes.filter(lambda wish: any(wish.values())), st.integers(0, 12))
    return founded(counts, EVEN), draw(st.lists(steps, min_size=1, max_size=5))


@settings(max_examples=50)
@given(changes_of_mind())
def test_a_plan_ends_however_often_it_was_changed_on_the_way(
    case: tuple[Topology, list[tuple[dict[str, int], int]]],
) -> None:
    """And every slot is where its node stands."""
    before, wishes = case
    for now in before.ranges.ranges[:8]:
        for wish, steps in wishes:
            now = carried_out(now, before.roster, wish, steps)
        now = carried_out(now, before.roster, wishes[-1][0])
        assert set(now.slots) == set(place(before.roster, wishes[-1][0], now.id))


@st.composite
def changing_clusters(draw: st.DrawFn) -> tuple[Topology, Topology, Replicas]:
    """A cluster as founded, the same with another roster, and the replicas that both can give."""
    regions = ["ap", "eu", "us"][: draw(st.integers(1, 3))]
    counts = {region: draw(st.integers(1, 3)) for region in regions}
    replicas = {region: draw(st.integers(1, counts[region])) for region in regions}
    joined = {region: draw(st.integers(0, 2)) for region in regions}
    standings: dict[str, Standing] = {}
    for region in regions:
        alone = sum(replicas.values()) == 1  # the only replica cannot be dead
        spare = counts[region] + joined[region] - replicas[region]
        for number in range(min(spare, counts[region])):
            standings[f"{region}-{number}"] = draw(
                st.sampled_from(["member", "leaving", "leaving" if alone else "dead"])
            )
    before = founded(counts, replicas)
    return before, changed(before, joined=joined, standings=standings), replicas


@settings(max_examples=30)
@given(changing_clusters())
def test_a_plan_carried_out_is_what_placement_wants(case: tuple[Topology, Topology, Replicas]) -> None:
    """And a move takes three changes, two when the donor is dead; nothing else changes."""
    before, after, replicas = case
    dead = {each.node_id for each in after.roster.nodes if each.standing == "dead"}
    for was in before.ranges.ranges[:12]:
        now = carried_out(was, after.roster, replicas)
        wanted = place(after.roster.in_good_standing(), replicas, now.id)
        assert set(now.slots) == set(wanted)
        gone = [slot.reader for slot in was.slots if slot not in wanted]
        assert now.epoch - was.epoch == sum(2 if node_id in dead else 3 for node_id in gone)
