"""What plans say they come to, against what then moves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.movement.estimates import CELL_S, CHANGE_S, METHOD, Size, eta, handed_on
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.ring.movement import Add, Change, Drop, Move
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.protocol.ring.topology import Topology

from tests.node.harness import Town, founded
from tests.node.moving import ask, settled_plan, with_newcomer
from tests.node.people import Author
from tests.registers.seats import seated
from tests.ring.samples import descriptor, node_id, numbered, slot

A, B, C = (bytes([number]) * 16 for number in (1, 2, 3))
NOTHING: Mapping[str, Mapping[str, Any]] = {"a": {"done": 0, "cells": 0, "busy_s": 0.0}}
MOVED: Mapping[str, Mapping[str, Any]] = {
    "a": {"done": 10, "cells": 1000, "busy_s": 15.0},
    "b": {"done": 10, "cells": 3000, "busy_s": 25.0},
}
SOON: Mapping[str, Mapping[str, Any]] = {"a": {"done": 100, "cells": 100, "busy_s": 0.02}}


@pytest.mark.parametrize(
    ("changes", "progress", "expected"),
    [
        pytest.param([], NOTHING, (0.0, True), id="nothing to do"),
        pytest.param([Move(1, A, B), Move(2, A, B)], NOTHING, (2 * CHANGE_S, True), id="assumed"),
        pytest.param([Move(3, A, B)], NOTHING, (100_000 * CELL_S, True), id="assumed, large"),
        pytest.param([Move(1, A, B), Move(2, A, B)], MOVED, (4.0, False), id="by changes"),
        pytest.param([Move(3, A, B)], MOVED, (1000.0, False), id="by cells"),
        pytest.param([Move(1, A, B), Move(2, A, C)], MOVED, (2.0, False), id="side by side"),
        pytest.param([Drop(3, A)], MOVED, (2.0, False), id="nothing is copied for a drop"),
        pytest.param([Move(1, A, B)], SOON, (0.1, False), id="next to no time is not none"),
        pytest.param([Add(9, "eu", B)], MOVED, (2.0, False), id="of unknown size"),
    ],
)
def test_a_plan_takes_as_long_as_the_node_with_most_to_do(
    changes: list[Change], progress: Mapping[str, Mapping[str, Any]], expected: tuple[float, bool]
) -> None:
    sizes = {1: Size(10, 2000), 2: Size(10, 2000), 3: Size(100_000, 20_000_000)}
    assert eta(changes, sizes, progress) == expected


def test_what_is_handed_on_before_a_drop_takes_its_time() -> None:
    drops = [Drop(1, A), Drop(2, A)]
    assert eta(drops, {}, MOVED) == (4.0, False)
    assert eta(drops, {}, MOVED, {drops[0]: 1, drops[1]: 3}) == (12.0, False)


def test_each_drop_is_handed_on_from_what_the_one_before_it_left() -> None:
    """Of the three that are left of four slots two must take it, so that no majority misses it; a majority is
    both of the two that are left of three; the last one takes it from the last but one."""
    slots = [slot("eu", number) for number in (1, 2, 3, 4)]
    ranges = RangeMap((descriptor(0, 1, b"", b"", *slots),))
    first, second, third = (Drop(0, node_id(number)) for number in (1, 2, 3))
    handed = handed_on([first, second, third, Add(0, "eu", node_id(4))], Topology(numbered(4), ranges))
    assert handed == {first: 2, second: 0, third: 1}


async def test_a_plan_says_how_often_copies_are_handed_on(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3, replicas=2) as town:
        await seated(town, 3)
        assert await _replicas(town) == {"asked": 2, "for_now": 2}
        planned = (await ask(town, town[0], "ring.replicas", replicas=1, dry_run=True))["plan"]
        assert planned["handed"] == planned["count"] == 64, "of two copies each may have what the other lacks"
        assert planned["cells"] == 0 and planned["eta_assumed"]
        assert planned["eta_s"] >= 2 * CHANGE_S * max(each["gives"] for each in planned["nodes"].values())
        before = sum(node.parts.movement.copier.statistics().complete for node in town.running())
        await ask(town, town[0], "ring.replicas", replicas=1)
        await settled_plan(town)
        passes = sum(node.parts.movement.copier.statistics().complete for node in town.running()) - before
        assert passes >= planned["handed"], "a pass may be made again"
        assert await _replicas(town) == {"asked": 1, "for_now": 1}
        await ask(town, town[0], "ring.replicas", replicas=5)
        assert await _replicas(town) == {"asked": 5, "for_now": 3}
        await ask(town, town[0], "ring.replicas", replicas={"eu": 1})
        assert await _replicas(town) == {"asked": {"eu": 1}, "for_now": {"eu": 1}}


async def _replicas(town: Town) -> Any:
    """What a node says of how many copies there are to be."""
    return (await ask(town, town[0], "cluster.status"))["replicas"]


async def test_a_plan_says_how_much_is_then_copied(tmp_path: Path) -> None:
    async with founded(tmp_path / "town", nodes=3) as town:
        await seated(town, 3)
        async with town.client(town[0]) as client:
            for number in range(60):
                assert (await client.put_one(Author(number + 1).post()))["status"] == "stored"
        late = await with_newcomer(town, tmp_path / "late")
        planned = (await ask(town, town[1], "node.join", node=late.id, dry_run=True))["plan"]
        assert planned["cells"] > 10 and planned["unknown"] == 0 and planned["eta_assumed"]
        assert 200 * planned["cells"] < planned["bytes"] < 2000 * planned["cells"]
        await ask(town, town[0], "node.join", node=late.id)
        await settled_plan(town)
        copied = late.parts.movement.mover.statistics()
        assert 0 < copied.cells <= planned["cells"], "repair may have brought some"
        assert copied.cell_bytes / copied.cells == pytest.approx(planned["bytes"] / planned["cells"], rel=0.5)
        back = (await ask(town, town[1], "node.drain", node=late.id, dry_run=True))["plan"]
        assert (back["cells"], back["unknown"], back["eta_assumed"]) == (planned["cells"], 0, False)
        assert back["eta_s"] > 0
        settled = (await ask(town, town[1], "ring.plan"))["plan"]
        assert (settled["cells"], settled["bytes"], settled["eta_s"]) == (0, 0, 0)


async def test_sizes_are_told_of_ranges_that_are_held_and_of_no_others(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=2, replicas=1) as town:
        first = town[0]
        mine = [owner.id for owner in first.ranges.of_node(first.id)]
        answer = await first.parts.movement.estimates.answer(town[1].id, {"ranges": [*range(64), 4711]})
        assert sorted(range_id for range_id, _, _ in answer["sizes"]) == sorted(mine)
        with pytest.raises(WireError) as caught:
            await first.parts.movement.estimates.answer(town[1].id, {"ranges": [0] * (limits.RANGES + 1)})
        assert caught.value.kind is BAD_REQUEST and METHOD in caught.value.message
