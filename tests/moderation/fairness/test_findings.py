"""What a change of policy does to groups: what blocks it, what is only said, and what is neither."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from folkmoot.protocol.moderation.fairness.findings import worsened


@dataclass
class Counts:
    posts: int
    before: int
    after: int


@pytest.mark.parametrize(
    ("before", "after", "blocks"),
    [
        (20, 60, [True]),  # it makes the difference
        (60, 90, [True]),  # it makes it worse
        (60, 60, [False]),  # it was so before
        (60, 50, [False]),  # it makes it better, and not good
        (60, 20, []),
        (20, 22, []),
    ],
)
def test_what_makes_a_group_worse_off_blocks(before: int, after: int, blocks: list[bool]) -> None:
    groups = {"sw": Counts(1_000, before, after), "en": Counts(9_000, 180, 180), "": Counts(500, 10, 10)}
    found = list(worsened(groups))
    assert [each.blocks for each in found] == blocks
    for each in found:
        assert each.group == "sw" and f"{after / 10:.2f}%" in each.what and len(each.what) < 300


def test_the_worst_comes_first_and_one_group_alone_is_compared_with_nobody() -> None:
    groups = {"sw": Counts(1_000, 20, 60), "ha": Counts(1_000, 20, 120), "en": Counts(9_000, 180, 180)}
    assert [each.group for each in worsened(groups)] == ["ha", "sw"]
    assert list(worsened({"en": Counts(9_000, 0, 9_000)})) == []
    assert list(worsened({})) == []
