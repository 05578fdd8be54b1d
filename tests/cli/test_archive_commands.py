"""`folkmoot user export`, `verify` and `import` between two real clusters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.cluster import life
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.cluster.layout import ClusterDirectory, Shape
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK
from folkmoot.protocol.client import BlockingClient
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

from tests.checking.local import READY_S, Home
from tests.waiting import until_blocking

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]
HERE, THERE = "here", "there"
FRIEND = KeyPair(b"f" * 32)


class Two(Home):
    """A home with two clusters of one node each."""

    def user(self, cluster: str, *words: str | Path, code: int = OK) -> dict[str, Any]:
        """A `folkmoot user` command in one of them."""
        ran = self.run("user", *words, "--cluster", cluster, "--json")
        assert ran.code == code, f"{words}: {ran}"
        return ran.json

    def post(self, cluster: str, key: str, text: str) -> None:
        assert self.run("post", text, "--key", key, "--cluster", cluster).code == OK

    def feed(self, cluster: str, account: str) -> dict[str, str]:
        """The ids of an account's posts, by their texts."""
        items = self.run("feed", account, "--cluster", cluster, "--json").json["items"]
        return {item["body"]["text"]: item["id"] for item in items}

    @contextmanager
    def running(self, name: str) -> Iterator[LocalCluster]:
        cluster = LocalCluster(ClusterDirectory(self.clusters / name))
        life.create(cluster, name, Shape(nodes=1, regions=("eu",), tls=False))
        try:
            life.up(cluster, READY_S)
            until_blocking(
                lambda: (
                    self.run("user", "create", f"{name}.key", "--no-recovery", "--cluster", name).code == OK
                ),
                what="the node to hold the seat",
                within_s=60,
            )
            yield cluster
        finally:
            cluster.down()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    home = Two(tmp_path_factory.mktemp("two"))
    with ExitStack() as stack:
        for name in (HERE, THERE):
            stack.enter_context(home.running(name))
        yield home


def address(two: Two, name: str) -> str:
    nodes = LocalCluster(ClusterDirectory(two.clusters / name)).ask("status")["nodes"]
    return str(nodes[0]["address"])


def write(two: Two, key: KeyPair) -> list[Record]:
    """An edited post, one that was deleted, a profile, a follow and what is private, in the first cluster."""
    item = bytes.fromhex("0192f0c1a2b37c4d8e5f60718293a4b5")
    gone = item[:-1] + b"\0"
    told: list[tuple[str, bytes, dict[str, Any]]] = [
        ("post", item, {"text": "as it was"}),
        ("post", item, {"text": "as it is"}),
        ("post", gone, {"text": "a mistake"}),
        ("post", gone, {"deleted": True}),
        ("profile", b"name", {"value": "Ada"}),
        ("follow", FRIEND.account, {"on": True}),
        ("mute", FRIEND.account, {"on": True}),
    ]
    elsewhere: list[tuple[str, bytes, dict[str, Any]]] = [
        ("like", item + key.account, {"on": True}),
        ("report", item + key.account, {"reason": "spam"}),
    ]
    records = [
        Record.sign(key, kind=kind, item=of, body=body, stamp=1_700_000_000_000_000 + number)
        for number, (kind, of, body) in enumerate(told)
    ]
    records += [
        Record.sign(key, kind=kind, item=of, body=body, stamp=1_700_000_000_000_000, place=FRIEND.account)
        for kind, of, body in elsewhere
    ]
    with BlockingClient(address(two, HERE), tls=False) as client:
        for record in records:
            [result] = client.put_records([(record.payload, record.signature)])
            assert result.status == "stored"
    return records


def test_an_account_moves_with_all_it_has(two: Two) -> None:
    account = two.user(HERE, "create", "ada.key", "--recovery", "ada.recovery")["account"]
    two.user(HERE, "keys", "add", "ada.key", "phone.key", "--name", "phone")
    two.post(HERE, "phone.key", "from the phone")
    two.user(HERE, "rotate-key", "phone.key", "phone-2.key")
    two.post(HERE, "phone-2.key", "from the new phone")
    two.user(HERE, "handle", "set", "ada.key", "ada.l")
    seed = bytes.fromhex((two.path / "ada.key").read_text().strip().removeprefix("ed25519-seed:"))
    write(two, KeyPair(seed))

    made = two.user(HERE, "export", "@ada.l", "ada.archive", "--key", "phone-2.key")
    assert made["records"] == 10 and made["signed"] and made["private"]
    verified = two.run("user", "verify", "ada.archive", "--json").json
    assert verified["kinds"] == {"post": 5, "profile": 1, "follow": 1, "mute": 1, "like": 1, "report": 1}
    assert verified["account"] == account and verified["signer"] is not None
    public = two.user(HERE, "export", "ada.key", "public.archive")
    assert public["records"] == 7 and not public["signed"]

    brought = two.user(THERE, "import", "ada.archive")
    assert brought["records"] == {"stored": 10} and brought["operations"] == 4
    assert two.feed(THERE, "@ada.l") == two.feed(HERE, "@ada.l") and len(two.feed(HERE, account)) == 3
    assert two.user(THERE, "show", account)["head"] == two.user(HERE, "show", account)["head"]
    assert cells(two, THERE, seed) == cells(two, HERE, seed)

    assert two.user(THERE, "import", "ada.archive")["records"] == {"settled": 10}
    again = two.user(THERE, "import", "ada.archive", "--again")
    assert again["records"] == {"duplicate": 10} and again["operations"] == 0
    assert two.user(THERE, "import", "public.archive")["records"] == {"duplicate": 7}
    two.post(THERE, "phone-2.key", "and on I go")
    assert two.run("post", "not me", "--key", "phone.key", "--cluster", THERE).code == FAILED


def cells(two: Two, cluster: str, seed: bytes) -> list[Any]:
    """What a cluster tells the account of the cells that were written by hand, with their history."""
    key = KeyPair(seed)
    item = bytes.fromhex("0192f0c1a2b37c4d8e5f60718293a4b5")
    wanted = [
        (key.account, "post", item),
        (key.account, "post", item[:-1] + b"\0"),
        (key.account, "profile", b"name"),
        (key.account, "follow", FRIEND.account),
        (key.account, "mute", FRIEND.account),
    ]
    with BlockingClient(address(two, cluster), tls=False) as client:
        client.auth(key)
        told = client.get(wanted, history=True)
    assert all(cell is not None for cell in told)
    return told


def test_a_handle_that_is_another_s_there_is_left_out(two: Two) -> None:
    two.user(THERE, "create", "holder.key", "--no-recovery")
    two.user(THERE, "handle", "set", "holder.key", "wanted")
    account = two.user(HERE, "create", "late.key", "--no-recovery")["account"]
    two.post(HERE, "late.key", "hello")
    two.user(HERE, "handle", "set", "late.key", "wanted")
    two.user(HERE, "export", "late.key", "late.archive")
    brought = two.user(THERE, "import", "late.archive", code=DEGRADED)
    assert "set_handle" in brought["left_out"] and brought["records"] == {"stored": 1}
    assert two.user(THERE, "handle", "who", "wanted")["account"] != account
    assert two.feed(THERE, account).keys() == {"hello"}


def test_an_account_that_has_gone_another_way_is_left_alone(two: Two) -> None:
    account = two.user(HERE, "create", "both.key", "--recovery", "both.recovery")["account"]
    two.user(THERE, "create", "both.key", "--no-recovery")
    two.user(HERE, "export", "both.key", "both.archive")
    ran = two.run("user", "import", "both.archive", "--cluster", THERE)
    assert ran.code == FAILED and "another way" in ran.err and f"folkmoot user show {account}" in ran.err


def test_a_suspension_does_not_travel(two: Two) -> None:
    account = two.user(HERE, "create", "sus.key", "--no-recovery")["account"]
    two.post(HERE, "sus.key", "hello")
    two.user(HERE, "suspend", account)
    two.user(HERE, "export", account, "sus.archive")
    brought = two.user(THERE, "import", "sus.archive", code=DEGRADED)
    assert "by an operator elsewhere" in brought["left_out"] and brought["operations"] == 1
    assert two.user(THERE, "show", account)["state"] == "active"


def test_what_is_not_the_account_s_does_not_export_it(two: Two) -> None:
    account = two.user(HERE, "show", f"{HERE}.key")["account"]
    ran = two.run("user", "export", account, "x.archive", "--key", f"{THERE}.key", "--cluster", HERE)
    assert ran.code == FAILED and "is a key of" in ran.err
    assert not list(two.path.glob("x.archive*"))
    made = two.user(HERE, "export", account, "empty.archive", "--key", f"{HERE}.key")
    assert made["records"] == 0 and two.user(THERE, "import", "empty.archive")["operations"] == 1
