"""`folkmoot doctor` on directories, and on what a running node says."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
from folkmoot.cli.diagnosis import WATCH, WELL, WRONG, look_at_running
from folkmoot.node.certificates import create_ca, create_node
from folkmoot.node.commits import ThreadCommits
from folkmoot.node.data_directory import DataDirectory
from folkmoot.node.standing.records import Own, StandingRecords
from folkmoot.protocol.standing import Mark, State, Watermark
from folkmoot.storage.directory import DirectoryLock
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.store import Owner, Store

from tests.moderation.documents import HEAD, model


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    """A node that never ran, with certificates."""
    made = DataDirectory(tmp_path / "node")
    made.create(Random(1))
    create_ca(tmp_path / "ca", "town")
    create_node(tmp_path / "ca", made.path / "tls", "town", made.node_id())
    return made


async def remember(data: DataDirectory, state: State, peer: State) -> None:
    """Have a store that says this of its node, and of a peer."""
    owner = Owner(bytes.fromhex(data.node_id()), "town")
    store = Store(LmdbEngine(data.path, cap_bytes=1 << 24), owner=owner, fresh_log_id=bytes(16))
    commits = ThreadCommits(store)
    records = StandingRecords(commits)
    await records.keep_own(Own(state, 7, Mark(6, 5)))
    await records.keep_watermarks({b"p" * 16: Watermark(Mark(9, 8), peer)})
    await commits.aclose()


def by_check(ran: Any) -> dict[str, dict[str, str]]:
    return {finding["check"]: finding for finding in ran.json["findings"]}


def test_a_directory_that_is_well(folkmoot: Any, data: DataDirectory) -> None:
    ran = folkmoot("doctor", "--data", str(data.path), "--json")
    found = by_check(ran)
    assert ran.code == 3 and ran.json["state"] == "watch", "it has no store yet"
    assert found["store"]["next"] == "folkmoot start" and "begins empty" in found["store"]["sentence"]
    well = {check for check, finding in found.items() if finding["state"] == "well"}
    assert well >= {"identity", "certificates", "lock"}
    assert not (data.path / "store").exists(), "looking makes nothing"


def test_a_stopped_node_tells_what_it_remembers(folkmoot: Any, data: DataDirectory) -> None:
    trio.run(remember, data, State.WHOLE, State.WHOLE)
    ran = folkmoot("doctor", "--data", str(data.path), "--json")
    assert ran.code == 0 and ran.json["state"] == "well"
    found = by_check(ran)
    assert "whole" in found["standing"]["sentence"]
    assert "change 8 of boot 9" in found["watermarks"]["sentence"]
    assert found["damage"]["state"] == "unknown", "nobody has looked"
    assert "\n?      damage" in folkmoot("doctor", "--data", str(data.path)).out
    assert "store verify" in found["damage"]["next"] and "cluster town" in found["store"]["sentence"]


def test_a_stopped_node_that_is_amnesiac(folkmoot: Any, data: DataDirectory) -> None:
    trio.run(remember, data, State.AMNESIAC, State.AMNESIAC)
    ran = folkmoot("doctor", "--data", str(data.path))
    assert ran.code == 3
    assert "amnesiac: peers remember more than change 5 of boot 6" in ran.out
    assert "its disk is older" in ran.out and "next: folkmoot start" in ran.out


def test_what_is_wrong_says_so_and_what_to_do(folkmoot: Any, data: DataDirectory, tmp_path: Path) -> None:
    create_node(tmp_path / "ca", tmp_path / "other", "town", "ab" * 16)
    for file in (tmp_path / "other").iterdir():
        file.replace(data.path / "tls" / file.name)
    ran = folkmoot("doctor", "--data", str(data.path), "--json")
    wrong = [finding for finding in ran.json["findings"] if finding["state"] == "wrong"]
    assert ran.code == 1 and [finding["check"] for finding in wrong] == ["certificates"]
    assert "ab" * 16 in wrong[0]["sentence"] and "create-node" in wrong[0]["next"]


def test_a_policy_with_which_it_would_not_start(folkmoot: Any, data: DataDirectory, tmp_path: Path) -> None:
    there = tmp_path / "other"
    made = folkmoot("init", "--directory", str(there), "--cluster", "try", "--tls", "off")
    assert made.code == 0, made.err
    config = there / "folkmoot.toml"
    (there / "policy.toml").write_text("version = 99\n")
    ran = folkmoot("doctor", "--config", str(config), "--json")
    policy = by_check(ran)["policy"]
    assert ran.code == 1 and policy["state"] == "wrong" and "policy.toml" in policy["sentence"]
    (there / "policy.toml").write_text(HEAD + model("m", labels=["toxic"]))
    policy = by_check(folkmoot("doctor", "--config", str(config), "--json"))["policy"]
    assert policy["state"] == "watch" and "its scores are unknown" in policy["sentence"]


def test_a_ca_key_that_was_left_is_watched(folkmoot: Any, data: DataDirectory, tmp_path: Path) -> None:
    trio.run(remember, data, State.WHOLE, State.WHOLE)
    (tmp_path / "ca" / "ca.key").rename(data.path / "tls" / "ca.key")
    ran = folkmoot("doctor", "--data", str(data.path), "--json")
    finding = by_check(ran)["ca_key"]
    assert ran.code == 3 and finding["state"] == "watch" and "can make nodes" in finding["sentence"]
    assert str(data.path / "tls" / "ca.key") in finding["next"]


def test_a_directory_without_a_node(folkmoot: Any, tmp_path: Path) -> None:
    ran = folkmoot("doctor", "--data", str(tmp_path), "--json")
    assert ran.code == 1 and by_check(ran)["identity"]["state"] == "wrong"


def test_a_damaged_gossip_ring(folkmoot: Any, data: DataDirectory) -> None:
    data.gossip_ring_file.write_text("x\n")
    ran = folkmoot("doctor", "--data", str(data.path), "--json")
    found = by_check(ran)
    assert ran.code == 1 and found["identity"]["state"] == "well"
    assert "gossip.ring:1: not a gossip key" in found["gossip_ring"]["sentence"]
    assert "init" not in found["gossip_ring"]["next"], "which never overwrites one"


def test_a_node_that_runs_and_does_not_say_where(folkmoot: Any, data: DataDirectory) -> None:
    lock = DirectoryLock(data.path)
    try:
        ran = folkmoot("doctor", "--data", str(data.path), "--json")
    finally:
        lock.release()
    found = by_check(ran)
    assert f"process {os.getpid()}" in found["lock"]["sentence"]
    assert ran.code == 1 and found["running"]["state"] == "wrong" and "store" not in found


def status(**changes: Any) -> dict[str, Any]:
    standing = {"state": "whole", "counted": True, "why": "", "rebuild": None, **changes}
    nodes = [
        {
            "id": "aa",
            "name": "one",
            "region": "eu",
            "member": True,
            "state": "alive",
            "standing": standing["state"],
        },
        {"id": "bb", "name": "two", "region": "us", "member": True, "state": "alive", "standing": "amnesiac"},
    ]
    store = {"live_bytes": 9, "room_bytes": 10, "damaged": 2, "mended": 1}
    figures = {"id": "aa", "standing": standing, "store": store, "gate": {"outdated": True}}
    holders = [
        {"id": each["id"], "name": each["name"], "region": "eu", "state": "alive", "coming": False}
        for each in nodes[:1]
    ]
    seats = {"configuration": 1, "count": 1, "may_fail": 0, "changing": False, "holders": holders}
    return {"nodes": nodes, "node": figures, "seats": seats}


@pytest.mark.parametrize(
    ("confirmed", "hours", "state", "words"),
    [
        (True, 0.0, WELL, "knows of every key"),
        (False, 3.0, WATCH, "takes records until 24 hours"),
        (False, 25.0, WRONG, "takes no records any more"),
    ],
)
def test_what_it_says_of_keys(*, confirmed: bool, hours: float, state: str, words: str) -> None:
    told = status()
    told["node"]["keys"] = {"confirmed": confirmed, "unconfirmed_s": hours * 3600, "limit_s": 24 * 3600.0}
    [finding] = [each for each in look_at_running(told, 0.0) if each.check == "keys"]
    assert finding.state == state and words in finding.sentence
    assert (finding.next == "") == confirmed


@pytest.mark.parametrize(
    ("screening", "state", "words"),
    [
        (None, WELL, "screening.enabled"),
        ({"decoders": ["pictures", "films"]}, WELL, "pictures and films are looked at"),
        ({"decoders": ["pictures"]}, WELL, "without the extra [video]"),
        ({"decoders": []}, WATCH, "nothing can be decoded"),
    ],
)
def test_what_it_says_of_media(*, screening: dict[str, Any] | None, state: str, words: str) -> None:
    told = status()
    told["node"]["media"] = {"screening": screening}
    [finding] = [each for each in look_at_running(told, 0.0) if each.check == "media"]
    assert finding.state == state and words in finding.sentence and bool(finding.next) == (state == WATCH)


def test_what_a_running_node_says() -> None:
    found = {finding.check: finding for finding in look_at_running(status(), 700.0)}
    assert {check: finding.state for check, finding in found.items()} == {
        "clock": WATCH,
        "standing": WELL,
        "seats": WELL,
        "peers": WATCH,
        "room": WATCH,
        "policy": WATCH,
        "media": WELL,
        "search": WELL,
        "damage": WATCH,
    }
    assert all(finding.next for finding in found.values() if finding.state == WATCH)


def test_a_running_node_that_is_rebuilt() -> None:
    rebuild = {"done": 3, "needed": 8, "elapsed_s": 3.0, "eta_s": 5.0, "waiting_for": []}
    said = status(state="amnesiac", counted=False, why="it is an older copy", rebuild=rebuild)
    [standing] = [each for each in look_at_running(said, 0.0) if each.check == "standing"]
    assert "3 of 8" in standing.sentence and "5 s left" in standing.sentence and "wait" in standing.next
    rebuild["waiting_for"] = ["bb", "cd"]
    [standing] = [each for each in look_at_running(said, 0.0) if each.check == "standing"]
    assert "s left" not in standing.sentence, "nobody knows when a node that is away comes"
    assert standing.next.startswith("start two, cd:")


def test_seats_that_are_not_spread_and_seats_that_are_silent() -> None:
    said = status()
    said["seats"]["holders"] = [
        {"id": 2 * name, "name": name, "region": "eu", "state": "alive", "coming": False} for name in "acd"
    ]
    said["seats"] |= {"count": 3, "may_fail": 1}
    [seats] = [each for each in look_at_running(said, 0.0) if each.check == "seats"]
    assert seats.state == WATCH and "3 of 3 seats are in eu" in seats.sentence and "in us" in seats.sentence
    for holder in said["seats"]["holders"][:2]:
        holder["state"] = "dead"
    [seats] = [each for each in look_at_running(said, 0.0) if each.check == "seats"]
    assert seats.state == WATCH and "2 of 3 seats are silent" in seats.sentence
