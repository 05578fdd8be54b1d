"""What plans say they come to, against what then moves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.movement.estimates import CELL_S, CHANGE_S, METHOD, Size, eta
from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.ring.movement import Add, Change, Drop, Move

from tests.node.harness import founded
from tests.node.moving import ask, settled_plan, with_newcomer
from tests.node.people import Author
from tests.registers.seats import seated

A, B, C = (bytes([number]) * 16 for number in (1, 2, 3))
NOTHING: Mapping[str, Mapping[str, Any]] = {"a": {"done": 0, "cells": 0, "busy_s": 0.0}}
MOVED: Mapping[str, Mapping[str, Any]] = {
    "a": {"done": 10, "cells": 1000, "busy_s": 15.0},
    "b": {"done": 10, "cells": 3000, "busy_s": 25.0},
}


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
        pytest.param([Add(9, "eu", B)], MOVED, (2.0, False), id="of unknown size"),
    ],
)
def test_a_plan_takes_as_long_as_the_node_with_most_to_do(
    changes: list[Change], progress: Mapping[str, Mapping[str, Any]], expected: tuple[float, bool]
) -> None:
    sizes = {1: Size(10, 2000), 2: Size(10, 2000), 3: Size(100_000, 20_000_000)}
    assert eta(changes, sizes, progress) == expected


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
        mine = [owner.id for owner in first.parts.topology.current().ranges.of_node(first.id)]
        answer = await first.parts.movement.estimates.answer(town[1].id, {"ranges": [*range(64), 4711]})
        assert sorted(range_id for range_id, _, _ in answer["sizes"]) == sorted(mine)
        with pytest.raises(WireError) as caught:
            await first.parts.movement.estimates.answer(town[1].id, {"ranges": [0] * (limits.RANGES + 1)})
        assert caught.value.kind is BAD_REQUEST and METHOD in caught.value.message
