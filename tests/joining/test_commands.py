"""`folkmoot join-token` and `folkmoot node join --token` as people run them, with real processes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from folkmoot.cli import exit_codes
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.joining.new_node import DEFAULT_POLICY
from folkmoot.protocol.join_token import JoinToken

from tests.checking.local import NAME, Home
from tests.waiting import until_blocking

pytestmark = pytest.mark.cluster

JOINED_S = 90.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def cluster(home: Home) -> Iterator[LocalCluster]:
    with home.cluster(nodes=3, tls=True) as running:
        yield running


def invite(home: Home, *words: str) -> str:
    """A join token, as `join-token create` prints it: alone on standard output."""
    made = home.run("join-token", "create", "--cluster", NAME, *words)
    assert made.code == exit_codes.OK, made.err
    [token] = made.out.splitlines()
    return token


def nodes(home: Home) -> dict[str, dict[str, Any]]:
    told = home.run("node", "ls", "--cluster", NAME, "--json").json
    return {node["name"]: node for node in told["nodes"]}


@contextmanager
def running(home: Home, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = home.start(*words)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_one_command_makes_a_member_of_a_machine(home: Home, cluster: LocalCluster) -> None:
    token = invite(home, "--name", "eu-9", "--region", "eu", "--capacity", "0.25", "--expires", "10m")
    new = home.path / "eu-9"
    with running(home, "node", "join", "--token", token, "--dir", new, "--json") as node:
        assert node.stdout is not None
        ready = json.loads(node.stdout.readline())
        assert ready["name"] == "eu-9" and ready["address"].startswith("127.0.0.1:")

        def has_its_share() -> bool:
            told = nodes(home).get("eu-9", {})
            return told.get("roster") == "member" and int(told["ranges"]) >= 3

        until_blocking(has_its_share, what="the newcomer to have its ranges", within_s=JOINED_S)
        [listed] = home.run("join-token", "ls", "--cluster", NAME, "--json").json["tokens"]
        assert (listed["state"], listed["capacity"]) == ("used", 0.25)
        assert [(each["name"], each["member"]) for each in listed["admitted"]] == [("eu-9", True)]
        assert "secret" not in json.dumps(listed)
        assert home.run("post", "--cluster", NAME, "Good morning.", "--level", "all").code == exit_codes.OK

        again = home.run("node", "join", "--token", token, "--dir", home.path / "again", "--json")
        assert again.code == exit_codes.FAILED
        assert again.json["error"]["name"] == "token_used"
        assert "folkmoot join-token create" in again.json["error"]["hint"]
        assert not (home.path / "again").exists()
        assert home.run("node", "join", "--token", token, "--dir", new).code == exit_codes.FAILED

        left = home.run("node", "decommission", "eu-9", "--cluster", NAME)
        assert left.code == exit_codes.OK, left.err
    secret = JoinToken.decode(token).secret.hex()
    logs = [cluster.directory.log_file(entry.name).read_text() for entry in cluster.manifest.nodes]
    assert not any(token in log or secret in log for log in logs)


def test_what_goes_wrong_has_a_name_and_a_way_out(home: Home, cluster: LocalCluster) -> None:
    token = invite(home, "--uses", "2")
    told = home.run("join-token", "ls", "--cluster", NAME, "--json").json["tokens"][-1]

    def failed(*words: str) -> tuple[int, str]:
        ran = home.run("node", "join", "--dir", home.path / "none", "--no-start", "--json", *words)
        assert not (home.path / "none").exists()
        return ran.code, ran.json["error"]["name"]

    assert failed("--token", token[:-3], "--region", "eu") == (exit_codes.FAILED, "join_token_error")
    assert failed("--token", token) == (exit_codes.USAGE, "usage")
    assert failed("--token", token, "eu-1") == (exit_codes.USAGE, "usage")
    assert failed("--region", "eu") == (exit_codes.USAGE, "usage")
    assert failed("--token", token, "--region", "eu", "--name", "us-1") == (exit_codes.FAILED, "name_taken")
    revoked = home.run("join-token", "revoke", told["id"], "--cluster", NAME)
    assert revoked.code == exit_codes.OK and "revoked" in revoked.out
    assert failed("--token", token, "--region", "eu") == (exit_codes.FAILED, "token_revoked")
    assert home.run("join-token", "revoke", "nonsense", "--cluster", NAME).code == exit_codes.USAGE


def test_a_join_that_is_killed_leaves_nothing_that_could_be_taken_for_a_node(
    home: Home, cluster: LocalCluster
) -> None:
    place = home.path / "killed"
    place.mkdir()
    new = place / "node"
    token = invite(home, "--region", "eu", "--name", "eu-7")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        stuck = msgspec.structs.replace(JoinToken.decode(token), addresses=[f"{host}:{port}"])
        with running(home, "node", "join", "--token", stuck.encode(), "--dir", new, "--no-start") as join:
            until_blocking(lambda: list(place.iterdir()), what="the join to be under way")
            silent.settimeout(JOINED_S)
            connection, _ = silent.accept()
            join.send_signal(signal.SIGKILL)
            join.wait()
            connection.close()
    [left] = place.iterdir()
    assert left.name.startswith(".node.joining-") and not (left / "node.id").exists()
    done = home.run("node", "join", "--token", token, "--dir", new, "--no-start", "--json")
    assert done.code == exit_codes.OK, done.err
    assert done.json["started"] is False
    assert [each.name for each in place.iterdir()] == ["node"], "what was left is cleared away"
    assert (new / "policy.toml").read_bytes() == DEFAULT_POLICY.read_bytes(), "as every new node has it"
    checked = home.run("config", "check", "--config", new / "folkmoot.toml")
    assert checked.code == exit_codes.OK, checked.out + checked.err
