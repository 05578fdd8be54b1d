"""`folkmoot check` against real nodes: it passes when all is well, and fails for every planted violation."""

from __future__ import annotations

import importlib.resources
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import trio
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.cluster.life import up
from folkmoot.cli.journal import Acknowledged, Journal, read_journal
from folkmoot.protocol.client import connect
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

from tests.checking.local import NAME, READY_S, Home, Ran, rewritten

pytestmark = pytest.mark.cluster

CONVERSATION = Path(str(importlib.resources.files("folkmoot.cli") / "demo" / "conversation.jsonl"))
COUNTED = ("lost", "resurrected", "diverged", "duplicated", "could_not_compare")
ADA, BEN = KeyPair(b"a" * 32), KeyPair(b"b" * 32)


def item(number: int) -> bytes:
    """The item of one of a person's posts."""
    return bytes([1, 0x92, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, number])


def post(number: int, stamp: int) -> Record:
    return Record.sign(ADA, kind="post", item=item(number), body={"text": f"post {number}"}, stamp=stamp)


def deletion(number: int, stamp: int) -> Record:
    return Record.sign(ADA, kind="post", item=item(number), body={"deleted": True}, stamp=stamp)


def journal_of(file: Path, records: Sequence[Record]) -> Path:
    """A journal that says these were acknowledged."""
    now_us = time.time_ns() // 1000
    with Journal(file, NAME) as journal:
        journal.append(
            [Acknowledged.of(each, held=False, level="quorum", time_us=now_us) for each in records]
        )
    return file


async def put(cluster: LocalCluster, records: Sequence[Record]) -> None:
    """Have the cluster acknowledge records."""
    address = cluster.ask("status")["nodes"][0]["address"]
    async with connect(address, tls=False) as client:
        results = await client.put_records([(each.payload, each.signature) for each in records], "all")
    assert {result.status for result in results} == {"stored"}


def found(ran: Ran) -> dict[str, int]:
    """The figures of a check that are not zero."""
    return {name: ran.json[name] for name in COUNTED if ran.json[name]}


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def one_node(shared_home: Home) -> Iterator[LocalCluster]:
    """A cluster of one node with the conversation in it."""
    with shared_home.cluster(1) as cluster:
        assert shared_home.run("import", CONVERSATION, "--cluster", NAME).code == 0
        yield cluster


class TestOneNode:
    def check(self, home: Home, *journals: Path) -> Ran:
        words = [word for journal in journals for word in ("--journal", str(journal))]
        return home.run("check", "--cluster", NAME, "--deadline", "10", "--json", *words)

    def test_what_was_imported_is_all_there(self, shared_home: Home, one_node: LocalCluster) -> None:
        ran = self.check(shared_home)
        assert ran.code == 0 and found(ran) == {}
        assert ran.json["compared"] == ran.json["acknowledged"] == 373 and ran.json["passed"]

    def test_a_promise_for_what_was_never_sent_is_lost(
        self, shared_home: Home, one_node: LocalCluster, tmp_path: Path
    ) -> None:
        ran = self.check(shared_home, journal_of(tmp_path / "j.journal", [post(1, 10), deletion(2, 11)]))
        assert ran.code == 1 and found(ran) == {"lost": 2}

    def test_a_promised_deletion_of_what_is_shown_is_a_resurrection(
        self, shared_home: Home, one_node: LocalCluster, tmp_path: Path
    ) -> None:
        trio.run(put, one_node, [post(3, 20)])
        ran = self.check(shared_home, journal_of(tmp_path / "j.journal", [post(3, 20), deletion(3, 21)]))
        assert ran.code == 1 and found(ran) == {"resurrected": 1}

    def test_one_dot_at_two_keys_is_a_duplicate(
        self, shared_home: Home, one_node: LocalCluster, tmp_path: Path
    ) -> None:
        trio.run(put, one_node, [post(4, 30), post(5, 30)])
        ran = self.check(shared_home, journal_of(tmp_path / "j.journal", [post(4, 30)]))
        assert ran.code == 1 and found(ran) == {"duplicated": 1}

    def test_another_record_under_a_promised_dot_is_a_duplicate(
        self, shared_home: Home, one_node: LocalCluster, tmp_path: Path
    ) -> None:
        kept, promised = (
            Record.sign(BEN, kind="post", item=item(1), body={"text": text}, stamp=40) for text in "ab"
        )
        trio.run(put, one_node, [kept])
        ran = self.check(shared_home, journal_of(tmp_path / "j.journal", [promised]))
        assert ran.code == 1 and found(ran) == {"duplicated": 1}

    def test_without_promises_there_is_nothing_to_pass(
        self, shared_home: Home, one_node: LocalCluster, tmp_path: Path
    ) -> None:
        ran = self.check(shared_home, journal_of(tmp_path / "j.journal", []))
        assert ran.code == 1 and "nothing to check" in ran.err

    def test_a_journal_of_another_cluster_is_refused(
        self, shared_home: Home, one_node: LocalCluster, tmp_path: Path
    ) -> None:
        with Journal(tmp_path / "j.journal", "elsewhere"):
            pass
        ran = self.check(shared_home, tmp_path / "j.journal")
        assert ran.code == 1 and "of cluster elsewhere" in ran.err

    def test_only_operators_may_look(self, shared_home: Home, one_node: LocalCluster, tmp_path: Path) -> None:
        address = one_node.ask("status")["nodes"][0]["address"]
        words = ("check", "--node", address, "--tls", "off")
        assert "--operator" in shared_home.run(*words).err
        assert shared_home.run("keys", "new", "other.key").code == 0
        journal = journal_of(tmp_path / "j.journal", [post(1, 10)])
        ran = shared_home.run(*words, "--operator", "other.key", "--journal", journal)
        assert ran.code == 1 and "for operators" in ran.err


class TestThreeNodes:
    @pytest.fixture
    def home(self, tmp_path: Path) -> Home:
        return Home(tmp_path)

    @pytest.fixture
    def cluster(self, home: Home) -> Iterator[LocalCluster]:
        with home.cluster(3) as cluster:
            assert home.run("import", CONVERSATION, "--cluster", NAME, "--level", "all").code == 0
            yield cluster

    def check(self, home: Home) -> Ran:
        return home.run("check", "--cluster", NAME, "--deadline", "3", "--json")

    def promises(self, home: Home) -> list[Acknowledged]:
        (journal,) = (home.clusters / NAME / "journals").glob("*.journal")
        return list(read_journal(journal, NAME))

    def test_replicas_changed_behind_a_nodes_back_are_found(self, home: Home, cluster: LocalCluster) -> None:
        assert self.check(home).code == 0
        promises = self.promises(home)
        (gone,) = (each for each in promises if each.gone)
        kept = [each.key for each in promises if each.kind == "post" and each.key != gone.key]
        author = next(key for key in kept if key != kept[0])
        cluster.ask("kill", ["us-1"])
        with rewritten(cluster, "us-1") as cells:
            del cells[kept[0]]
            old = Cell.decode(cells[author]).winner
            cells[author] = Cell.of(Record(old.payload, bytes(64))).encode()
        up(cluster, READY_S)
        ran = self.check(home)
        assert ran.code == 1 and found(ran) == {"diverged": 2}

    def test_a_deleted_post_planted_on_every_replica_is_a_resurrection(
        self, home: Home, cluster: LocalCluster
    ) -> None:
        (gone,) = (each for each in self.promises(home) if each.gone)
        ghost = Cell.of(self.before_deletion(gone)).encode()
        cluster.ask("kill", ["all"])
        for node in cluster.manifest.nodes:
            with rewritten(cluster, node.name) as cells:
                cells[gone.key] = ghost
        up(cluster, READY_S)
        ran = self.check(home)
        assert ran.code == 1 and found(ran)["resurrected"] == 1

    def before_deletion(self, gone: Acknowledged) -> Record:
        """A post at the key of a deletion, as far as a cell can tell."""
        return Record.sign(
            ADA, kind="post", item=gone.key[-16:], body={"text": "back again"}, stamp=gone.stamp - 1
        )

    def test_a_replica_that_cannot_be_read_is_a_failure(self, home: Home, cluster: LocalCluster) -> None:
        cluster.ask("kill", ["ap-1"])
        ran = self.check(home)
        assert ran.code == 1 and ran.json["silent"] == ["ap-1"]
        assert ran.json["compared"] == 0 and ran.json["could_not_compare"] >= 373
        cluster.ask("start", ["ap-1"])
        assert self.check(home).code == 0
