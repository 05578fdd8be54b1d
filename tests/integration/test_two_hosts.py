"""Two nodes on two hosts: mutual TLS and gossip over a wire, which is pulled out and plugged in again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.processes import Process, lay_out
from tests.namespaces import Host, two_hosts
from tests.waiting import until_blocking

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

CLIENTS, PEERS = 7400, 7401
WITHIN_S = 60.0


class Placed(NamedTuple):
    """A node, where it runs."""

    host: Host
    process: Process
    ca: Path
    home: Path

    def folkmoot(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Run a command on the node's host, against that node; its exit code and result."""
        command, *rest = words
        done = subprocess.run(
            [
                *(*self.host.prefix, "env", f"HOME={self.home}", f"XDG_DATA_HOME={self.home}"),
                *(sys.executable, "-m", "folkmoot.cli", command, *rest, "--json"),
                *("--node", f"{self.host.address}:{CLIENTS}", "--ca", str(self.ca)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, json.loads(done.stdout)

    def sees(self) -> dict[str, str]:
        """The nodes as this one sees them: name → state."""
        _, status = self.folkmoot("status")
        return {node["name"]: node["state"] for node in status["nodes"]}


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Placed, Placed]]:
    """One node a host; the second finds the first by its address."""
    with two_hosts() as hosts:
        settings: dict[str, Any] = {"gossip__profile": "lan"}
        town = lay_out(tmp_path / "town", nodes=2, tls=True, **settings)
        ca = Path(town.manifest().ca or "")
        started: list[Placed] = []
        try:
            for name, host in zip(("eu-1", "us-1"), hosts, strict=True):
                words = ["--set", f"listen.clients={host.address}:{CLIENTS}"]
                words += ["--set", f"listen.peers={host.address}:{PEERS}"]
                words += ["--seed", f"{hosts[0].address}:{PEERS}"] if started else []
                process = Process(town.config_file(name), *words, prefix=host.prefix)
                started.append(Placed(host, process, ca, tmp_path / f"home-{name}"))
            yield started[0], started[1]
        finally:
            for placed in started:
                placed.process.kill()


def both_alive(nodes: tuple[Placed, Placed]) -> bool:
    return all(set(node.sees().values()) == {"alive"} and len(node.sees()) == 2 for node in nodes)


def test_they_meet_part_and_meet_again(nodes: tuple[Placed, Placed]) -> None:
    here, there = nodes
    until_blocking(lambda: both_alive(nodes), what="the nodes to meet", within_s=WITHIN_S)
    code, posted = here.folkmoot("post", "--level", "all", "across the wire")
    assert code == 0 and posted["achieved"]["level"] == "all"
    author = posted["post"].partition("/")[0]
    assert texts(there, author) == ["across the wire"]

    there.host.plug("down")
    until_blocking(
        lambda: here.sees()["us-1"] not in ("alive", "suspect"), what="the loss seen", within_s=WITHIN_S
    )
    code, alone = here.folkmoot("post", "--level", "one", "into the dark")
    assert code == 0 and alone["post"].startswith(author)
    assert texts(there, author) == ["across the wire"]

    there.host.plug("up")
    until_blocking(lambda: both_alive(nodes), what="the nodes to meet again", within_s=WITHIN_S)
    until_blocking(
        lambda: texts(there, author) == ["into the dark", "across the wire"],
        what="the post from the dark on the other host",
        within_s=WITHIN_S,
    )
    assert [node.process.end() for node in nodes] == [0, 0]


def texts(node: Placed, author: str) -> list[str]:
    """What a node shows of an author, newest first."""
    code, feed = node.folkmoot("feed", author)
    assert code == 0
    return [item["body"]["text"] for item in feed["items"]]
