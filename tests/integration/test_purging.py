"""An account is purged from a cluster of real processes that are killed meanwhile, and so is the purge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.node.data_directory import read_key
from folkmoot.protocol import client as clients
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.record import Record

from tests.checking.local import NAME, Home
from tests.waiting import until_blocking

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

POSTS = 1_000
SECRET = b"a sentence nobody is to read again"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[Home, LocalCluster]]:
    home = Home(tmp_path)
    with home.cluster(nodes=3) as cluster:
        yield home, cluster


def write(cluster: LocalCluster, key: KeyPair) -> None:
    """Have an account say a lot: an operator brings it, whom quotas do not slow."""
    frames = []
    for number in range(POSTS):
        item = make_uuid7(1_790_000_000_000 + number, number)
        body = {"text": f"{number}: {SECRET.decode()}"}
        record = Record.sign(key, kind="post", item=item, body=body, stamp=1_790_000_000_000_000 + number)
        frames.append((record.payload, record.signature))
    described = cluster.ask("status")
    addresses = [node["address"] for node in described["nodes"]]

    async def put() -> None:
        async with clients.connect(addresses, tls=False) as client:
            await client.auth(cluster.directory.operator())
            results = await client.put_records(frames, "all")
            assert {result.status for result in results} == {"stored"}

    trio.run(put)


def stored(cluster: LocalCluster, node: str) -> bytes:
    """A node's file as it lies on the disk."""
    return (cluster.directory.data(node).path / "store" / "data.mdb").read_bytes()


def test_nothing_is_left_whoever_is_killed(home: tuple[Home, LocalCluster]) -> None:
    person, cluster = home
    person.run("keys", "new", "kim.key")
    key = read_key(person.path / "kim.key")
    write(cluster, key)
    assert all(SECRET in stored(cluster, name) for name in ("eu-1", "us-1", "ap-1"))

    def left() -> int:
        found = person.run("user", "purge", "kim.key", "--dry-run", "--json").json["left"]
        return int(found.get("post", 0))

    purge = person.start("user", "purge", "kim.key", "--yes", "--json")
    until_blocking(lambda: left() < POSTS, what="the purge to have begun", within_s=60)
    purge.kill()
    purge.communicate()
    cluster.ask("kill", ["us-1"])
    ran = person.run("user", "purge", "kim.key", "--yes", "--attest", "--json")
    told = ran.json
    assert told["complete"] and not told["left"] and told["gone"] == POSTS, ran.err
    assert ran.code == DEGRADED and not told["attestation"]["attested"]
    silent = [each["name"] for each in told["attestation"]["nodes"] if each["complaints"]]
    assert silent == ["us-1"]
    cluster.ask("restart", ["us-1"])

    def attested() -> bool:
        return person.run("user", "attest", "kim.key", "--key", "kim.key", "--json").code == OK

    until_blocking(attested, what="all replicas to attest", within_s=90)
    prove(person, cluster, key)


def prove(person: Home, cluster: LocalCluster, key: KeyPair) -> None:
    """Compact every store, and have files and nodes say that no byte is left."""
    cluster.ask("down")
    for name in ("eu-1", "us-1", "ap-1"):
        data = cluster.directory.data(name).path
        assert person.run("store", "compact", "--data", data, "--json").code == OK
        assert SECRET not in stored(cluster, name)
        account = account_to_text(key.account)
        scrubbed = person.run("store", "scrub", "--data", data, "--account", account, "--json")
        assert scrubbed.code == OK and scrubbed.json["verdict"] == "proven"
    assert person.run("cluster", "up", NAME, "--json").code == OK
    latest: dict[str, Any] = {}

    def attested() -> bool:
        ran = person.run("user", "attest", "kim.key", "--key", "kim.key", "--out", "kim.evidence", "--json")
        if ran.code != OK:
            (person.path / "kim.evidence").unlink(missing_ok=True)
            return False
        latest.update(json.loads(ran.out))
        return True

    until_blocking(attested, what="all replicas to attest again", within_s=90)
    assert [each["gone"] for each in latest["nodes"]] == [POSTS] * 3
    assert all(each["free_pages_clean"] for each in latest["nodes"])
    assert person.run("user", "verify", "kim.evidence").code == OK
