"""Machines that are lost for good in simulated clusters, and what an operator does all the while."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from folkmoot.node.simulation import run, steward
from folkmoot.node.simulation.determinism import run_repeatably
from folkmoot.node.simulation.disk_faults import bring_up, is_whole
from folkmoot.node.simulation.faults import FaultInjector, Hands
from folkmoot.node.simulation.losses import Losses
from folkmoot.node.simulation.ownership import seats_are_whole
from folkmoot.node.simulation.run import Plan, Report, simulate
from folkmoot.node.simulation.schedule import LOST, MOVES, Episode
from folkmoot.node.simulation.settling import come_to_rest, decide
from folkmoot.node.simulation.world import World

SETTLED_S = 40.0  # until there are so many seats that one may fail


def with_episodes(monkeypatch: pytest.MonkeyPatch, *episodes: Episode) -> Report:
    """What comes of a run in which just these happen."""
    monkeypatch.setattr(run, "schedule", lambda *args, **more: list(episodes))
    faults = tuple({episode.fault for episode in episodes})
    return simulate(Plan(1, nodes=5, minutes=0.7, faults=faults, people=4, pause_s=0.5))


def broken(report: Report) -> Sequence[object]:
    return [verdict for verdict in report.verdicts if not verdict.ok]


@pytest.mark.parametrize("number", [0, 2])
def test_another_takes_the_place_of_who_is_lost(number: int) -> None:
    """Of one that shares its region and of one that is alone in it; nothing of the dead one is left."""

    async def main() -> None:
        episode = Episode(LOST, SETTLED_S, SETTLED_S + 20, node=number)
        async with World.running("1", 5) as world, trio.open_nursery() as nursery:
            lost = world.nodes[number]
            hands = Hands(losses=Losses(world, nursery))
            await FaultInjector(world, [episode], hands).run()
            await decide(hands)
            await come_to_rest(world, hands)
            await bring_up(world, lost)
            successor = world.nodes[number]
            assert lost.lost and not lost.up, "who is lost never comes back"
            assert successor.host == lost.host and successor.member.region == lost.member.region
            assert successor.node_id != lost.node_id and successor.name != lost.name
            assert not world.ranges.of_node(lost.node_id) and world.ranges.of_node(successor.node_id)
            assert is_whole(world) and not world.errors
            nursery.cancel_scope.cancel()

    run_repeatably(main, 1)


def test_a_seat_on_another_disk_is_not_whole_before_it_is_replaced() -> None:
    async def main() -> None:
        async with World.running("1", 3) as world:
            await trio.sleep_until(SETTLED_S)
            engines = {node.node_id: node.disk.engine for node in world.nodes}
            assert seats_are_whole(engines)
            first, other, _ = world.nodes
            assert not seats_are_whole({**engines, first.node_id: other.disk.engine})
            del engines[first.node_id]
            assert not seats_are_whole(engines)

    run_repeatably(main, 1)


def test_nothing_is_lost_with_two_machines_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    report = with_episodes(
        monkeypatch, Episode(LOST, 16.0, 28.0, node=3), Episode(LOST, 36.0, 41.0, node=1), *CUT
    )
    assert not broken(report)
    assert report.coverage[LOST, "replace"]


def test_who_restarts_does_not_wait_for_who_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two others of some ranges restart before the dead one is replaced: each needs the other alone."""
    away = [Episode("crash", 16.5 + number / 100, 19.0, node=number) for number in (2, 3)]
    report = with_episodes(monkeypatch, Episode(LOST, 16.0, 28.0, node=1), *away)
    assert not broken(report)
    assert report.coverage[LOST, "replace"]


CUT = (Episode("partition", 18.0, 22.0, pairs=((0, 1), (1, 0), (0, 4), (4, 0))),)


@pytest.mark.parametrize("deed", steward.DEEDS)
def test_every_promise_holds_whatever_the_operator_does(deed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steward, "DEEDS", (deed,))
    report = with_episodes(
        monkeypatch, Episode(MOVES, 12.0, 24.0, node=0), Episode(MOVES, 20.0, 35.0, node=3), *CUT
    )
    assert not broken(report)
    assert report.coverage[MOVES, deed] >= 2
