"""What `folkmoot status` makes of what a node tells."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.cli.commands.status import _reasons, _text


def node(name: str, state: str = "alive", *, member: bool = True, ranges: int = 0) -> dict[str, Any]:
    return {
        "id": name * 8,
        "member": member,
        "name": name,
        "region": "eu",
        "state": state,
        "ranges": ranges,
        "address": "127.0.0.1:1",
    }


def status(*nodes: dict[str, Any], under: int = 0) -> dict[str, Any]:
    return {
        "cluster": "town",
        "epoch": 1,
        "nodes": list(nodes),
        "ranges": {"count": 64, "under_replicated": under},
        "node": {"store": {"damaged": 0}},
    }


@pytest.mark.parametrize("state", ["suspect", "dead", "left", "unknown"])
def test_a_member_is_missed_and_others_are_not(state: str) -> None:
    assert _reasons(status(node("a"), node("b", state))) == [f"b is {state}"]
    assert _reasons(status(node("a"), node("b", state, member=False))) == []


def test_who_holds_ranges_is_missed_whatever_the_roster_says() -> None:
    assert _reasons(status(node("a"), node("b", "dead", member=False, ranges=3))) == ["b is dead"]


def test_a_range_that_lacks_a_copy_is_a_reason() -> None:
    assert _reasons(status(node("a"), under=2)) == ["2 of 64 ranges lack a copy"]


def test_who_is_no_member_is_listed_as_such() -> None:
    told = status(node("a"), node("b", "left", member=False))
    told |= {"state": "healthy", "reasons": []}
    lines = _text(told)
    assert lines[0].endswith("HEALTHY")
    assert any("b" in line and "left (no member)" in line for line in lines)
    assert not any("a" in line and "alive (no member)" in line for line in lines)


def test_a_restored_node_says_so() -> None:
    told = status(node("a")) | {"state": "healthy", "reasons": []}
    assert "restored" not in "".join(_text(told))
    told["node"]["store"]["restored"] = {"node": "ab" * 16, "taken_us": 1_790_000_000_000_000}
    assert "restored from a backup of node abababab of 2026-09-21 14:13:20 UTC" in _text(told)[-1]
    assert _reasons(told) == []
