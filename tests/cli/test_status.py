"""What `folkmoot status` makes of what a node tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.commands.status import _reasons, _text
from folkmoot.node.data_directory import DataDirectory, Ready


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
        "replicas": {"asked": {"eu": 1, "ap": 2}, "for_now": {"eu": 1, "ap": 2}},
        "seats": seats("a"),
        "node": {
            "store": {"damaged": 0, "live_bytes": 89, "room_bytes": 100},
            "clock": {"ahead_ms": 3.0, "peers": 2, "strays": False},
            "gate": {"outdated": False},
        },
    }


def seats(*names: str, silent: tuple[str, ...] = (), may_fail: int = 0) -> dict[str, Any]:
    states = {name: "dead" if name in silent else "alive" for name in names}
    holders = [
        {"id": name * 8, "name": name, "region": "eu", "state": state, "coming": False}
        for name, state in states.items()
    ]
    return {
        "configuration": 3,
        "count": len(names),
        "may_fail": may_fail,
        "changing": False,
        "holders": holders,
    }


@pytest.mark.parametrize("state", ["suspect", "dead", "left", "unknown"])
def test_a_member_is_missed_and_others_are_not(state: str) -> None:
    assert _reasons(status(node("a"), node("b", state))) == [f"b is {state}"]
    assert _reasons(status(node("a"), node("b", state, member=False))) == []


@pytest.mark.parametrize(
    ("ranges", "reason"),
    [
        (3, "b was given up for dead, and 3 of its ranges are still being replaced"),
        (0, "b was given up for dead and is replaced: folkmoot node decommission b forgets it"),
    ],
)
def test_who_was_given_up_is_told_from_who_is_merely_dead(ranges: int, reason: str) -> None:
    given_up = node("b", "dead", ranges=ranges) | {"roster": "dead"}
    assert _reasons(status(node("a"), given_up)) == [reason]


def test_who_holds_ranges_is_missed_whatever_the_roster_says() -> None:
    assert _reasons(status(node("a"), node("b", "dead", member=False, ranges=3))) == ["b is dead"]


def test_seats_are_told_and_missed_once_too_many_are_silent() -> None:
    told = status(node("a")) | {"seats": seats("a", "b", "c", silent=("b",), may_fail=1)}
    assert _reasons(told) == []
    lines = _text(told | {"state": "healthy", "reasons": []})
    assert lines[1] == "seats: 3 (a in eu, b in eu, dead, c in eu); 1 of them may fail"
    told |= {"seats": seats("a", "b", "c", silent=("b", "c"), may_fail=1)}
    assert _reasons(told) == ["2 of 3 seats are silent, and 1 may be"]


def test_seats_that_could_be_spread_better_are_told_and_are_no_failure() -> None:
    other = node("d") | {"region": "us"}
    told = status(node("a"), node("b"), other) | {"seats": seats("a", "b", "c", may_fail=1)}
    told |= {"state": "healthy", "reasons": []}
    assert _reasons(told) == []
    assert _text(told)[2].startswith(
        "3 of 3 seats are in eu, and nothing can be changed while that region is"
    )
    for unfit in ({"state": "dead"}, {"member": False}, {"roster": "leaving"}, {"region": "eu"}):
        told["nodes"][2] = other | unfit
        assert not any("seats are in" in line for line in _text(told)), unfit


def test_a_range_that_lacks_a_copy_is_a_reason() -> None:
    assert _reasons(status(node("a"), under=2)) == ["2 of 64 ranges lack a copy"]


def test_what_is_wrong_with_the_disk_comes_with_what_to_do() -> None:
    told = status(node("a"))
    told["node"]["store"] |= {"damaged": 3, "live_bytes": 90}
    damaged, full = _reasons(told)
    assert damaged.startswith("3 cells are damaged") and "folkmoot store verify" in damaged
    assert "no room for clients' writes" in full and "store.disk_cap" in full


def test_a_policy_file_that_is_not_followed_is_a_reason() -> None:
    told = status(node("a"))
    told["node"]["gate"]["outdated"] = True
    [reason] = _reasons(told)
    assert "policy" in reason and "folkmoot config check" in reason


def test_lists_that_were_not_taken_are_a_reason() -> None:
    told = status(node("a"))
    told["node"]["media"] = {"screening": {"outdated": False}}
    assert _reasons(told) == []
    told["node"]["media"]["screening"]["outdated"] = True
    (reason,) = _reasons(told)
    assert "list of hashes" in reason and "--operator KEYFILE" in reason
    told["node"]["media"] = None
    assert _reasons(told) == []


@pytest.mark.parametrize(("ahead_ms", "said"), [(1234.0, "1.2 s ahead of"), (-60_000.0, "60.0 s behind")])
def test_a_clock_that_strays_is_a_reason(ahead_ms: float, said: str) -> None:
    told = status(node("a"))
    told["node"]["clock"] |= {"ahead_ms": ahead_ms, "strays": True}
    [reason] = _reasons(told)
    assert said in reason and "time service" in reason
    told["node"]["clock"] |= {"ahead_ms": None}
    [reason] = _reasons(told)
    assert "nobody has told" in reason


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


@pytest.mark.parametrize(
    ("replicas", "said"),
    [
        ({"asked": {"eu": 1, "ap": 2}, "for_now": {"eu": 1, "ap": 2}}, "replicas: 2 in ap, 1 in eu"),
        ({"asked": 3, "for_now": 3}, "replicas: 3, spread over the regions"),
        ({"asked": 3, "for_now": 1}, "replicas: 3, spread over the regions, 1 for now"),
        ({"asked": None, "for_now": None}, "replicas: not known to this node yet"),
        (None, "replicas: not known to this node yet"),
    ],
)
def test_how_many_copies_were_asked_for_is_told(replicas: Any, said: str) -> None:
    told = status(node("a")) | {"state": "healthy", "reasons": [], "replicas": replicas}
    assert said in _text(told)


def test_a_stopped_node_is_told_how_it_is_started(folkmoot: Any, tmp_path: Path) -> None:
    directory = tmp_path / "n"
    assert folkmoot("init", "--directory", str(directory), "--cluster", "town", "--tls", "off").code == 0
    config = directory / "folkmoot.toml"
    assert f"try: folkmoot start --config {config}" in folkmoot("status", "--config", str(config)).err
    places = {"address": "127.0.0.1:1", "peers": "127.0.0.1:2", "datagrams": "127.0.0.1:2"}
    DataDirectory(directory).write_ready(Ready(id="00", name="n", region="local", pid=1, **places))
    ran = folkmoot("status", "--config", str(config))
    assert ran.code == 4 and f"try: folkmoot start --config {config}" in ran.err
    assert "cluster ls" not in folkmoot("status", "--node", "127.0.0.1:1", "--tls", "off").err
