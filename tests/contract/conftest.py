"""One cluster of real processes for all of the contract, started by the command a person would type."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.speaker import Device, Place

# The contract says nothing of quotas, so none shall interfere.
SETTINGS = (
    "gate.account_burst=1000000",
    "gate.account_rate=1000000.0",
    "gate.address_burst=1000000",
    "gate.address_rate=1000000.0",
)


def folkmoot(*words: str) -> dict[str, Any]:
    """Run a command; the object it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "folkmoot.cli", *words, "--json"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Place]]:
    """Three nodes in three regions, every range on each of them, with TLS."""
    directory = str(tmp_path_factory.mktemp("contract") / "town")
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    up = folkmoot("cluster", "up", "contract", "--dir", directory, "--nodes", "3", *settings)
    places = []
    for node in up["nodes"]:
        host, _, port = node["address"].rpartition(":")
        places.append(Place(node["id"], node["region"], host, int(port), up["ca"]))
    try:
        yield places
    finally:
        folkmoot("cluster", "down", "contract", "--dir", directory)


@pytest.fixture
def node(town: list[Place]) -> Place:
    """Any one node."""
    return town[0]


@pytest.fixture
def ann() -> Device:
    """An account nobody has used yet."""
    return Device(os.urandom(32))


@pytest.fixture
def bob() -> Device:
    """Another one."""
    return Device(os.urandom(32))


@pytest.fixture
def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


@pytest.fixture
def tick(now_us: int) -> Iterator[int]:
    """Stamps of a device, strictly increasing."""
    return itertools.count(now_us)
