"""No environment is opened without sync: the flags of every one that the real program opens.

What the source may say is a house rule (tests/house/durability.py). Here the program runs, and LMDB itself is
asked what it was told.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import lay_out

SAFE = {"sync": True, "metasync": True, "writemap": False, "map_async": False, "lock": True}

# `folkmoot` as it is, but for an opener that writes down the flags of what was opened, and may spoil them.
WATCHED = """
import json, sys
import lmdb

opener, told, spoilt = lmdb.open, open(sys.argv[1], "a"), json.loads(sys.argv[2])

def watched(*values, **options):
    environment = opener(*values, **{**options, **spoilt})
    told.write(json.dumps(environment.flags()) + "\\n")
    told.flush()
    return environment

lmdb.open = watched
from folkmoot.cli.main import run
sys.exit(run(sys.argv[3:]))
"""


def unsafe(flags: Mapping[str, bool]) -> list[str]:
    """What an environment's flags have that they must not."""
    return [f"{name}={flags[name]}" for name, safe in SAFE.items() if flags[name] is not safe]


class Watched:
    """`folkmoot`, with every environment that it opens.

    Args:
        path: an empty directory.
        spoilt: options that are changed behind its back.
    """

    def __init__(self, path: Path, **spoilt: bool) -> None:
        self._file = path / "opened.jsonl"
        self._spoilt = json.dumps(spoilt)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        line = [sys.executable, "-c", WATCHED, str(self._file), self._spoilt, *words]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def run(self, *words: str) -> None:
        process = self.start(*words)
        process.communicate()
        assert process.returncode == 0

    @property
    def flags(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file.read_text().splitlines()]


def start_and_stop(watched: Watched, config: Path) -> None:
    """A node that comes up, writes what it must remember of itself, and ends."""
    process = watched.start("start", "--json", "--config", str(config))
    try:
        assert process.stdout is not None
        assert b"address" in process.stdout.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0


@pytest.mark.cluster
def test_a_node_and_the_commands_on_its_store_sync(tmp_path: Path) -> None:
    config = lay_out(tmp_path / "town").config_file("eu-1")
    watched = Watched(tmp_path)
    start_and_stop(watched, config)
    assert len(watched.flags) == 1
    watched.run("store", "verify", "--data", str(config.parent))
    assert len(watched.flags) == 2
    assert [unsafe(flags) for flags in watched.flags] == [[], []]


@pytest.mark.cluster
@pytest.mark.parametrize("spoilt", [{"sync": False}, {"metasync": False}, {"writemap": True}])
def test_one_without_sync_would_be_seen(tmp_path: Path, spoilt: dict[str, bool]) -> None:
    config = lay_out(tmp_path / "town").config_file("eu-1")
    watched = Watched(tmp_path, **spoilt)
    start_and_stop(watched, config)
    assert [unsafe(flags) for flags in watched.flags] == [[f"{name}={on}" for name, on in spoilt.items()]]
