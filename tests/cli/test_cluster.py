"""`folkmoot cluster` with real nodes: up, broken in every way it offers, mended, down, and nothing left."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from folkmoot.cli import exit_codes
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.main import run

from tests.waiting import until_blocking

pytestmark = pytest.mark.cluster


class Ran(NamedTuple):
    """What one command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Folkmoot = Callable[..., Ran]


@pytest.fixture
def folkmoot(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Folkmoot]:
    """Run command lines in a home of their own; clusters that are left are taken down."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def run_line(*words: str) -> Ran:
        code = run(words)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    yield run_line
    for name in ("local", "other"):
        cluster = LocalCluster.find(name)
        if cluster.directory.exists:
            cluster.down()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def node_states(folkmoot: Folkmoot) -> dict[str, str]:
    return {node["name"]: node["state"] for node in folkmoot("status", "--json").json["nodes"]}


def test_a_cluster_lives_through_what_is_done_to_it(folkmoot: Folkmoot) -> None:
    up = folkmoot("cluster", "up", "--nodes", "3", "--regions", "eu,us,ap", "--json")
    assert up.code == exit_codes.OK, up.err
    nodes = {node["name"]: node for node in up.json["nodes"]}
    assert list(nodes) == ["eu-1", "us-1", "ap-1"]
    assert Path(up.json["ca"]).read_text().startswith("-----BEGIN CERTIFICATE")
    for node in nodes.values():
        ready = json.loads((Path(node["data"]) / "ready.json").read_text())
        assert [ready[key] for key in ("id", "pid", "address")] == [
            node[key] for key in ("id", "pid", "address")
        ]
    assert folkmoot("status").code == exit_codes.OK

    posted = folkmoot("post", "Good morning.", "--level", "all", "--json")
    assert (posted.code, posted.json["status"]) == (exit_codes.OK, "stored")
    account = posted.json["account"]
    found = folkmoot("ring", "where", account, "--json").json
    assert {replica["name"] for replica in found["replicas"]} == set(nodes)

    assert folkmoot("cluster", "kill", "ap").code == exit_codes.OK
    for words in ((), ("local",), ("--cluster", "local")):
        assert folkmoot("cluster", "status", *words).code == exit_codes.DEGRADED
    until_blocking(lambda: node_states(folkmoot)["ap-1"] != "alive", what="the loss of ap-1 to be seen")
    assert folkmoot("status").code == exit_codes.DEGRADED
    assert folkmoot("post", "One of us is missing.", "--level", "quorum").code == exit_codes.OK

    restarted = folkmoot("cluster", "restart", "ap-1", "--json").json["nodes"][2]
    assert restarted["pid"] != nodes["ap-1"]["pid"]
    assert restarted["address"] == nodes["ap-1"]["address"]
    until_blocking(lambda: set(node_states(folkmoot).values()) == {"alive"}, what="all to be alive again")
    feed = folkmoot("feed", account, "--json").json
    assert [item["body"]["text"] for item in feed["items"]] == ["One of us is missing.", "Good morning."]

    pids = [node["pid"] for node in folkmoot("cluster", "status", "--json").json["nodes"]]
    assert folkmoot("cluster", "down").code == exit_codes.OK
    assert not any(alive(pid) for pid in pids)
    assert folkmoot("status", "--cluster", "local").code == exit_codes.FAILED

    again = folkmoot("cluster", "up", "--json")
    assert again.code == exit_codes.OK, again.err + folkmoot("cluster", "logs", "-n", "60").out
    assert [node["address"] for node in again.json["nodes"]] == [node["address"] for node in nodes.values()]
    assert len(folkmoot("feed", account, "--json").json["items"]) == 2
    assert folkmoot("cluster", "down", "--delete").code == exit_codes.OK
    assert folkmoot("cluster", "ls", "--json").json == {"clusters": []}


def test_what_does_not_run_is_neither_killed_nor_paused(folkmoot: Folkmoot) -> None:
    folkmoot("cluster", "up", "--nodes", "2", "--regions", "eu,us", "--tls", "off")
    assert folkmoot("cluster", "kill", "us-1").code == exit_codes.OK
    for operation in ("kill", "pause"):
        ran = folkmoot("cluster", operation, "us-1", "--json")
        assert ran.code == exit_codes.FAILED
        assert ran.json["error"]["message"] == f"nothing to {operation}: us-1 did not run"
    ran = folkmoot("cluster", "pause", "all")
    assert (ran.code, "us-1 did not run" in ran.err) == (exit_codes.DEGRADED, True)
    assert "paused" in ran.out
    assert folkmoot("cluster", "pause", "eu-1").code == exit_codes.OK, "it is as asked for"


def test_faults_on_links_are_put_in_force_kept_over_restarts_and_healed(folkmoot: Folkmoot) -> None:
    folkmoot("cluster", "up", "--nodes", "2", "--regions", "eu,us", "--tls", "off")
    cut = folkmoot("cluster", "partition", "eu", "--json").json["faults"]
    assert {(fault["from"], fault["to"], fault["cut"]) for fault in cut} == {
        ("eu-1", "us-1", True),
        ("us-1", "eu-1", True),
    }
    until_blocking(lambda: set(node_states(folkmoot).values()) != {"alive"}, what="the partition to be seen")
    slowed = folkmoot("cluster", "slow", "eu:us", "--delay-ms", "5", "--one-way", "--json").json["faults"]
    assert [(fault["cut"], fault["delay_ms"]) for fault in slowed] == [(True, 5.0), (True, 0.0)]
    folkmoot("cluster", "restart", "us")
    until_blocking(
        lambda: "alive" in (states := node_states(folkmoot).values()) and set(states) != {"alive"},
        what="the partition to be seen again",
    )
    assert folkmoot("cluster", "heal").code == exit_codes.OK
    until_blocking(lambda: set(node_states(folkmoot).values()) == {"alive"}, what="the heal", within_s=30)


def test_two_clusters_stand_side_by_side(folkmoot: Folkmoot) -> None:
    one = folkmoot("cluster", "up", "--nodes", "1", "--tls", "off", "--json").json
    other = folkmoot("cluster", "up", "other", "--nodes", "1", "--tls", "off", "--json").json
    assert one["nodes"][0]["address"] != other["nodes"][0]["address"]
    ambiguous = folkmoot("status")
    assert ambiguous.code == exit_codes.FAILED
    assert "several local clusters run (local, other)" in ambiguous.err
    assert [row["name"] for row in folkmoot("cluster", "ls", "--json").json["clusters"]] == ["local", "other"]
    folkmoot("cluster", "down", "other")
    assert folkmoot("status", "--json").json["cluster"] == "local"
    existing = folkmoot("cluster", "up", "--nodes", "5")
    assert existing.code == exit_codes.FAILED
    assert "--nodes is for new ones" in existing.err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("up", "Not-A-Slug"), "not a cluster's name"),
        (("up", "--regions", "eu,,us"), "not a region's name"),
        (("up", "--regions", "eu,eu"), "names one twice"),
        (("up", "--replicas", "lots"), "--replicas wants a number"),
        (("up", "--set", "store.disk_cap=tiny"), "store.disk_cap: expected a size"),
        (("up", "--set", "store.dsk_cap=1GiB"), "no setting store.dsk_cap; did you mean disk_cap?"),
        (("up", "--nodes", "0"), "0 is not in the range"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused_and_leaves_nothing(
    folkmoot: Folkmoot, words: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    ran = folkmoot("cluster", *words)
    assert ran.code == exit_codes.USAGE
    assert complaint in ran.err
    assert not list((tmp_path / "state").rglob("*.toml"))


@pytest.mark.parametrize("words", [("kill", "eu-1"), ("status",), ("down",), ("heal",), ("logs",)])
def test_a_cluster_that_never_was_is_said_so(folkmoot: Folkmoot, words: tuple[str, ...]) -> None:
    ran = folkmoot("cluster", *words)
    assert ran.code == exit_codes.FAILED
    assert "there is no local cluster in" in ran.err
    assert "try: folkmoot cluster up" in ran.err


def test_nobody_at_the_address_is_exit_code_4(folkmoot: Folkmoot) -> None:
    ran = folkmoot("status", "--node", "127.0.0.1:1", "--tls", "off", "--json")
    assert ran.code == exit_codes.UNREACHABLE
    assert "connection refused" in ran.json["error"]["message"]


def test_a_node_that_cannot_start_fails_up_with_its_reason(folkmoot: Folkmoot) -> None:
    folkmoot("cluster", "up", "--nodes", "1", "--tls", "off", "--json")
    folkmoot("cluster", "down")
    cluster = LocalCluster.find("local")
    os.truncate(cluster.directory.data("eu-1").gossip_ring_file, 0)
    ran = folkmoot("cluster", "up", "--json")
    assert ran.code == exit_codes.FAILED
    assert "eu-1 ended with exit code 1" in ran.json["error"]["message"]
    assert (
        "gossip.ring has no gossip key in it; copy keys/gossip.ring from another node"
        in ran.json["error"]["message"]
    )
    assert not cluster.running()


def seats(folkmoot: Folkmoot) -> Any:
    told = folkmoot("seats", "show", "--json").json
    return {"count": 0} if told["changing"] else told


def test_seats_are_shown_and_set(folkmoot: Folkmoot) -> None:
    up = folkmoot("cluster", "up", "--nodes", "3", "--json")
    nodes = {node["name"]: node for node in up.json["nodes"]}
    first = next(iter(nodes))
    until_blocking(lambda: seats(folkmoot)["count"] == 3, what="three seats")
    assert (seats(folkmoot)["may_fail"], folkmoot("seats", "show").code) == (1, exit_codes.OK)
    assert folkmoot("seats", "set", *list(nodes)[:2]).code == exit_codes.USAGE
    twice = folkmoot("seats", "set", first, list(nodes)[1], nodes[first]["id"])
    assert twice.code == exit_codes.USAGE and "named twice" in twice.err
    assert folkmoot("seats", "recover", "--accept-loss").code == exit_codes.FAILED
    assert folkmoot("seats", "set", "nobody").code == exit_codes.FAILED
    assert folkmoot("seats", "recover").code == exit_codes.FAILED
    assert folkmoot("seats", "set", first, "--json").json["nodes"] == [nodes[first]["id"]]
    until_blocking(lambda: seats(folkmoot)["count"] == 3, what="the seats to grow again", within_s=20)


def test_ranges_are_listed_and_split_by_hand(folkmoot: Folkmoot) -> None:
    assert folkmoot("cluster", "up", "--nodes", "1", "--json").code == exit_codes.OK
    account = folkmoot("post", "Good morning.", "--json").json["account"]
    number = folkmoot("ring", "where", account, "--json").json["range"]
    shown = folkmoot("ring", "show", str(number))
    assert shown.code == exit_codes.OK, shown.err
    assert "middle: one account or none" in shown.out

    refused = folkmoot("ring", "split", str(number), "--json")
    assert (refused.code, refused.json["error"]["name"]) == (exit_codes.FAILED, "conflict")
    planned = folkmoot("ring", "split", str(number), "--at", account, "--dry-run")
    assert planned.code == exit_codes.OK, planned.err
    assert "would be split at" in planned.out
    done = folkmoot("ring", "split", str(number), "--at", account, "--json").json
    assert [part["id"] for part in done["ranges"]] == [number, 64]
    assert folkmoot("ring", "where", account, "--json").json["range"] == 64
    assert len(folkmoot("ring", "ls").out.splitlines()) == 1 + 65
    cells = {each["id"]: each["cells"] for each in folkmoot("ring", "ls", "--json").json["ranges"]}
    assert cells[number] == 0 and cells[64] >= 1

    unknown = folkmoot("ring", "show", "4000", "--json")
    assert (unknown.code, unknown.json["error"]["name"]) == (exit_codes.FAILED, "not_found")
    assert folkmoot("ring", "split", "1", "--at", "nowhere").code == exit_codes.USAGE
    assert folkmoot("cluster", "down", "--delete").code == exit_codes.OK
