"""Bits that flip on a simulated disk: found by who reads, mended from the others, and missed when not."""

from __future__ import annotations

import pytest
import trio
from folkmoot.node.actors.mender import Mender
from folkmoot.node.simulation.bit_flips import BitFlips, damaged_cells, whole_cells
from folkmoot.node.simulation.determinism import run_repeatably
from folkmoot.node.simulation.everybody import Everybody
from folkmoot.node.simulation.history import History
from folkmoot.node.simulation.run import Plan, simulate
from folkmoot.node.simulation.world import World

from tests.simulation.test_planted_bugs import Plant

MENDED_S = 30.0


def plan(seed: int, *faults: str) -> Plan:
    return Plan(seed, nodes=3, minutes=0.7, faults=faults, people=5, pause_s=0.5, fault_gap_s=5.0)


def test_a_flipped_bit_is_found_and_mended() -> None:
    """Whole again with just what stood there, since nobody has written meanwhile."""

    async def main() -> None:
        async with World.running("flips", 3) as world, trio.open_nursery() as links:
            await world.wait_serving(world.nodes, 60.0)
            until_s = trio.current_time() + 10.0
            await Everybody(world, History(), 3, 0.5, links).live_and_settle(until_s)
            await trio.sleep_until(trio.current_time() + 10.0)
            node, flips = world.nodes[0], BitFlips(world, links)
            before = whole_cells(node.disk.engine)
            flipped = flips.flip(node)
            assert flipped and damaged_cells(node.disk.engine) == sorted(flipped)
            await flips.look(node)
            sums = {f"1 sums of range {each.id} were wrong and so on" for each in world.ranges.ranges}
            world.errors.extend(sums)
            hit = {f"1 sums of range {world.ranges.lookup(key).id} were wrong and so on" for key in flipped}
            assert set(world.unexpected_errors()) == sums - hit != set(), "no more is excused than was hit"
            world.errors.clear()
            assert node.disk.commits is not None
            damage = node.disk.commits.store.damage
            assert sorted(damage.keys) == sorted(flipped), "the auditor has met them all"
            with trio.fail_after(MENDED_S):
                while damaged_cells(node.disk.engine):  # noqa: ASYNC110 (virtual time)
                    await trio.sleep_until(trio.current_time() + 0.5)
            assert whole_cells(node.disk.engine) == before
            assert damage.mended_count == len(flipped)
            assert not world.errors
            links.cancel_scope.cancel()

    run_repeatably(main, 1)


@pytest.mark.parametrize("faults", [("flip",), ("flip", "crash", "partition", "eio")])
def test_every_promise_holds_while_bits_flip(faults: tuple[str, ...]) -> None:
    report = simulate(plan(2, *faults))
    assert report.ok, [verdict for verdict in report.verdicts if not verdict.ok]


def test_damage_that_stays_is_found_out(monkeypatch: Plant) -> None:
    async def leave_it(self: Mender, key: bytes) -> str:
        return "planted"

    monkeypatch.setattr(Mender, "_mend", leave_it)
    broken = {verdict.invariant for verdict in simulate(plan(2, "flip")).verdicts if not verdict.ok}
    assert {"I10", "I11"} <= broken
