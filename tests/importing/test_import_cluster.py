"""`folkmoot import` against a real node: interrupted in every way, it ends with every record, once each."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.journal import read_journal

from tests.checking.local import NAME, Home, interrupt
from tests.waiting import until_blocking

pytestmark = pytest.mark.cluster

LINES = 12_000


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def cluster(home: Home) -> Iterator[LocalCluster]:
    with home.cluster(1) as cluster:
        yield cluster


@pytest.fixture
def slice_file(shared_data: Callable[[str], Path], tmp_path: Path) -> Path:
    """The beginning of a corpus: replies, thousands of posts of one minute, hundreds of authors."""
    file = tmp_path / "slice.jsonl"
    with gzip.open(shared_data("social/ubuntu_irc_posts.jsonl.gz")) as corpus:
        file.write_bytes(b"".join(islice(corpus, LINES)))
    return file


def journal(home: Home) -> Path | None:
    """The journal of the import, once there is one."""
    return next((home.clusters / NAME / "journals").glob("*.journal"), None)


def journalled(home: Home) -> int:
    file = journal(home)
    return 0 if file is None else file.read_bytes().count(b"\n") - 1


def test_killed_and_interrupted_it_goes_on_and_nothing_is_there_twice(
    home: Home, cluster: LocalCluster, slice_file: Path
) -> None:
    words = ("import", slice_file, "--cluster", NAME, "--json")

    killed = home.start(*words)
    until_blocking(lambda: journalled(home) > 1500, what="the first records", within_s=30)
    killed.kill()
    killed.communicate()
    before = journalled(home)

    going_on = home.start(*words)
    until_blocking(lambda: journalled(home) > before + 1500, what="further records", within_s=30)
    stopped = interrupt(going_on)
    assert stopped.code == 130 and stopped.json["stopped"]

    rest = home.run(*words)
    assert rest.code == (3 if rest.json["skipped"] else 0) and rest.json["read"] == LINES
    assert rest.json["resumed"] >= stopped.json["resumed"] and rest.json["resumed"] > 1000
    assert rest.json["resumed"] + rest.json["stored"] + rest.json["skipped"] <= LINES
    assert rest.json["uncertain"] == rest.json["refused"] == 0

    done = home.run(*words)
    assert (done.code, done.json["resumed"], done.json["quota_exempt"]) == (0, LINES, True)
    assert f"already imported: {LINES:,} lines" in home.run(*words[:-1]).out

    again = home.run(*words, "--again")
    assert again.code == (3 if again.json["skipped"] else 0)
    assert again.json["resumed"] == again.json["stored"] == 0
    assert again.json["duplicate"] + again.json["skipped"] == LINES

    file = journal(home)
    assert file is not None
    promised = {entry.id for entry in read_journal(file, NAME)}
    assert len(promised) == again.json["duplicate"]
    check = home.run("check", "--cluster", NAME, "--json")
    assert check.code == 0 and check.json["compared"] == len(promised)


def test_an_operator_is_exempt_from_quotas_and_others_wait(
    home: Home, cluster: LocalCluster, slice_file: Path
) -> None:
    assert home.run("import", slice_file, "--cluster", NAME, "--limit", "5000", "--json").json["refused"] == 0
    address = cluster.ask("status")["nodes"][0]["address"]
    words = ("--node", address, "--tls", "off", "--state", home.path / "state")
    slowed = home.start("import", slice_file, *words)
    until_blocking(lambda: any((home.path / "state").glob("*.journal")), what="a journal", within_s=20)
    stopped = interrupt(slowed)
    assert stopped.code == 130 and "refused" not in stopped.out
    assert "quotas of accounts and of this address slow this import" in stopped.err
    told = home.run("import", slice_file, *words, "--limit", "1", "--json").json
    assert not told["quota_exempt"] and told["read"] == 1


def test_a_file_that_is_not_there_and_a_node_that_is_not_there(home: Home, tmp_path: Path) -> None:
    assert home.run("import", "none.jsonl", "--cluster", NAME).code == 2
    file = tmp_path / "posts.jsonl"
    file.write_text('{"id":"1","author":"a","created_at":"2024-05-01","text":"words"}\n')
    ran = home.run("import", file, "--node", "127.0.0.1:1", "--tls", "off")
    assert ran.code == 4 and "127.0.0.1:1" in ran.err


def test_skipped_lines_are_said_by_the_exit_code(home: Home, cluster: LocalCluster, tmp_path: Path) -> None:
    good = b'{"id":"1","author":"a","created_at":"2024-05-01","text":"words"}\n'
    deep = b"[" * 100_000 + b"\n"
    file = tmp_path / "posts.jsonl"
    for data, code, stored in ((good, 0, 1), (good + deep, 3, 1)):
        file.write_bytes(data)
        ran = home.run("import", file, "--cluster", NAME, "--json")
        assert (ran.code, ran.json["stored"] + ran.json["duplicate"]) == (code, stored)
    [listed] = Path(ran.json["report"]).read_text().splitlines()
    assert '"line":2' in listed and "nested too deeply" in listed
    file.write_bytes(deep + b"{}\n")
    ran = home.run("import", file, "--cluster", NAME, "--json")
    assert ran.code == 1 and ran.json["error"]["name"] == "nothing_usable"
    assert ran.json["error"]["result"]["skipped"] == 2
    assert "none of its 2 lines" in ran.err
    file.write_bytes(b"\n")
    assert home.run("import", file, "--cluster", NAME, "--json").code == 0
