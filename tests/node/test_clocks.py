"""Wall clocks that are far off: they decide what a gate lets in, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.node.harness import founded, settled
from tests.node.people import Author
from tests.waiting import until

MINUTE_US = 60_000_000
DAY_US = 24 * 60 * MINUTE_US


async def test_a_node_that_is_late_refuses_the_present_and_keeps_it_all_the_same(tmp_path: Path) -> None:
    async with founded(tmp_path) as town:
        late, author = town[2], Author(1)
        await late.stop()
        late.clock_off_us = -10 * MINUTE_US
        await town.start(late)
        record = author.post("now")
        async with town.client(late) as client:
            result = await client.put_one(record)
            assert (result["status"], result["error"]["name"]) == ("refused", "bad_request")
            assert "ahead of this node's clock" in result["error"]["message"]
            assert abs(result["error"]["details"]["node_time_us"] - record.stamp + 10 * MINUTE_US) < MINUTE_US
        async with town.client(town[0]) as client:
            await settled(client, record)
        assert late.cell(record) == town[0].cell(record), "only a gate looks at the clock"


@pytest.mark.parametrize("off_us", [-DAY_US, DAY_US], ids=["back", "ahead"])
async def test_a_node_whose_clock_jumped_while_it_was_away_comes_back(tmp_path: Path, off_us: int) -> None:
    """Its boot number and incarnation go on rising, whatever its clock says; hints are delivered by age."""
    async with founded(tmp_path) as town:
        jumped, author = town[1], Author(1)
        await jumped.stop()
        missed = author.post("missed")
        async with town.client(town[0]) as client:
            assert (await client.put_one(missed, "quorum"))["status"] == "stored"
        jumped.clock_off_us = off_us
        await town.start(jumped)
        await until(lambda: jumped.cell(missed) is not None, what="the missed post to arrive", within_s=20)
        jumped.clock_off_us = 0
        await town.restart(jumped)
        async with town.client(jumped) as client:
            assert (await settled(client, author.post("and again")))["achieved"]["level"] == "all"
