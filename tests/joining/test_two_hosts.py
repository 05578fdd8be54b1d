"""A machine joins over a wire: it listens where the others reach it, which nobody had to tell it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli import exit_codes

from tests.integration.processes import Process, lay_out
from tests.namespaces import Host, two_hosts
from tests.waiting import until_blocking

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

CLIENTS, PEERS = 7400, 7401
WITHIN_S = 60.0


def folkmoot(host: Host, home: Path, *words: str | Path) -> dict[str, Any]:
    """The result of a command that is run on a host."""
    environment = ("env", f"HOME={home}", f"XDG_DATA_HOME={home}")
    line = [*host.prefix, *environment, sys.executable, "-m", "folkmoot.cli", *map(str, words), "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == exit_codes.OK, done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def test_a_machine_joins_from_another_host(tmp_path: Path) -> None:
    with two_hosts() as (here, there):
        town = lay_out(tmp_path / "town", nodes=1, tls=True)
        first = Process(
            town.config_file("eu-1"),
            *("--set", f"listen.clients={here.address}:{CLIENTS}"),
            *("--set", f"listen.peers={here.address}:{PEERS}"),
            prefix=here.prefix,
        )
        second: Process | None = None
        target = ("--node", f"{here.address}:{CLIENTS}", "--ca", town.manifest().ca or "")
        try:
            operator = ("--operator", town.operator_key_file)
            made = folkmoot(here, tmp_path, "join-token", "create", "--region", "us", *target, *operator)
            words = ("--token", made["token"], "--name", "us-1", "--dir", tmp_path / "new", "--no-start")
            joined = folkmoot(there, tmp_path, "node", "join", *words)
            assert joined["seeds"] == [f"{here.address}:{PEERS}"]
            second = Process(Path(joined["config"]), prefix=there.prefix)
            assert second.address.startswith(f"{there.address}:")

            def is_member() -> bool:
                nodes = folkmoot(here, tmp_path, "node", "ls", *target)["nodes"]
                return {node["name"]: node["roster"] for node in nodes}.get("us-1") == "member"

            until_blocking(is_member, what="the newcomer to be a member", within_s=WITHIN_S)
            own = ("--node", second.address, "--ca", tmp_path / "new" / "tls" / "ca.crt")
            assert folkmoot(here, tmp_path, "status", *own)["cluster"] == "town"
            assert [second.end(), first.end()] == [0, 0]
        finally:
            for process in (first, second):
                if process is not None:
                    process.kill()
