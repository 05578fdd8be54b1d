"""What the documents show works: the examples against a cluster, and the bytes of docs/protocol.md."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from folkmoot.protocol.connection import Connection, Request
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.record import Record

from tests.house.tree import ROOT, read

BLOCK = re.compile(r"^```\n(.*?)^```$", re.M | re.S)
LABELLED = re.compile(r"^([a-z-]+) +((?:[0-9a-f]{2,} *)+)", re.M)

EXPECTED = {
    "post_and_read.py": ["'Good morning.', 'Good moring.'", "'likes': 1"],
    "blocking.py": ["stored: ", "From a program without trio."],
    "asyncio_client.py": ["stored: One.", "stored: Two.", "Two.\nOne."],
    "bare_wire.py": ["Signed by hand."],
}


def labelled_hex(text: str) -> dict[str, bytes]:
    """Of a block whose lines are `label  hex …`, the bytes by label; indented lines go on."""
    joined = re.sub(r"\n +(?=[0-9a-f])", " ", text)
    return {label: bytes.fromhex(digits) for label, digits in LABELLED.findall(joined)}


def shown_bytes(label: str) -> dict[str, bytes]:
    """The block of docs/protocol.md that has this label in it."""
    blocks = [labelled_hex(block) for block in BLOCK.findall(read("docs/protocol.md"))]
    (found,) = [block for block in blocks if label in block]
    return found


def test_the_record_that_is_shown_is_one() -> None:
    shown = shown_bytes("seed")
    record = Record(shown["payload"], shown["signature"])
    record.verify()
    assert (record.author, record.id) == (KeyPair(shown["seed"]).account, shown["id"])
    assert shown["id"] == hashlib.sha256(shown["payload"]).digest()
    assert record.author.hex()[4:] in read("docs/protocol.md")
    assert account_to_text(record.author) in read("docs/protocol.md")


def test_the_proof_that_is_shown_is_one() -> None:
    shown = shown_bytes("challenge")
    signed = shown["prefix"] + shown["challenge"] + shown["node-id"]
    assert KeyPair(shown_bytes("seed")["seed"]).sign(signed) == shown["signature"]


def test_the_messages_that_are_shown_are_what_is_said_of_them() -> None:
    (block,) = [block for block in BLOCK.findall(read("docs/protocol.md")) if block.startswith("94 00")]
    request, response = (re.split(r" {3,}", line)[0] for line in block.splitlines())
    assert Connection().receive(bytes.fromhex(request)) == [Request(1, "ping", {})]
    asker = Connection()
    asker.request("hello", {})
    asker.request("ping", {})
    (event,) = asker.receive(bytes.fromhex(response))
    assert event == (1, None, {"time_ms": 1_767_225_600_000})


def test_every_example_is_tried() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == EXPECTED.keys()


@pytest.fixture(scope="module")
def shown_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """A cluster's CA file and its clients' ports."""
    directory = str(tmp_path_factory.mktemp("examples") / "cluster")
    run = [sys.executable, "-m", "folkmoot.cli", "cluster"]
    up = subprocess.run(
        [*run, "up", "examples", "--dir", directory, "--json"], capture_output=True, check=True, timeout=60
    )
    described = json.loads(up.stdout)
    try:
        yield described["ca"], [node["address"] for node in described["nodes"]]
    finally:
        subprocess.run(
            [*run, "down", "examples", "--dir", directory], capture_output=True, check=True, timeout=60
        )


@pytest.mark.cluster
@pytest.mark.parametrize("name", EXPECTED)
def test_the_example_works(name: str, shown_cluster: tuple[str, list[str]]) -> None:
    ca, addresses = shown_cluster
    words = {
        "post_and_read.py": addresses,
        "blocking.py": [addresses[1], "From a program without trio."],
        "asyncio_client.py": [addresses[0], "One.", "Two."],
    }
    finished = subprocess.run(
        [sys.executable, Path("examples") / name, "--ca", ca, *words.get(name, addresses[:1])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    assert [words for words in EXPECTED[name] if words not in finished.stdout] == []
