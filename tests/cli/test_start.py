"""`folkmoot start` as a process: what it says when it is ready, and how it takes signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli import exit_codes
from folkmoot.cli.main import run

from tests.waiting import until_blocking

pytestmark = pytest.mark.cluster

Start = Callable[..., "subprocess.Popen[str]"]
STOP_S = 20


@pytest.fixture
def node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The directory of a node that has never run."""
    words = (
        "init",
        "--directory",
        str(tmp_path / "n"),
        "--cluster",
        "alpha",
        "--name",
        "one",
        "--tls",
        "off",
    )
    assert run(words) == exit_codes.OK
    capsys.readouterr()
    return tmp_path / "n"


@pytest.fixture
def start(node: Path) -> Iterator[Start]:
    """Start the node in a process; whatever still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def start_node(*words: str, **options: Any) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "folkmoot.cli",
            "start",
            "--json",
            "--config",
            str(node / "folkmoot.toml"),
        ]
        process = subprocess.Popen(
            [*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )
        processes.append(process)
        return process

    yield start_node
    for process in processes:
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the node says once it listens; its complaint if it does not."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    said: dict[str, Any] = json.loads(line)
    return said


def test_a_ready_node_says_so_once_and_in_its_directory(node: Path, start: Start) -> None:
    process = start()
    said = ready(process)
    assert said == json.loads((node / "ready.json").read_text())
    assert (said["name"], said["pid"]) == ("one", process.pid)
    assert run(["status", "--config", str(node / "folkmoot.toml")]) == exit_codes.OK
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=STOP_S)
    assert (process.returncode, out) == (exit_codes.OK, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_restarted_node_has_the_ports_it_had(start: Start, number: signal.Signals) -> None:
    first = start()
    before = ready(first)
    first.send_signal(number)
    assert first.wait(STOP_S) == exit_codes.OK
    again = ready(start())
    assert [again[key] for key in ("address", "peers", "datagrams")] == [
        before[key] for key in ("address", "peers", "datagrams")
    ]


def test_ports_that_were_taken_meanwhile_are_let_go(start: Start) -> None:
    first = start()
    before = ready(first)
    first.kill()
    first.wait()
    host, _, port = before["address"].rpartition(":")
    with socket.create_server((host, int(port))):
        again = ready(start())
    assert again["address"] != before["address"]
    assert again["peers"] == before["peers"]


def test_a_second_daemon_on_one_directory_is_refused(node: Path, start: Start) -> None:
    ready(start())
    second = start()
    out, err = second.communicate(timeout=STOP_S)
    assert second.returncode == exit_codes.FAILED
    assert str(node) in json.loads(out)["error"]["message"]
    assert "Traceback" not in err


def test_a_reload_that_makes_no_sense_is_refused_and_the_node_lives(node: Path, start: Start) -> None:
    config = node / "folkmoot.toml"
    process = start("--set", "log.json=true")
    ready(process)
    config.write_text(config.read_text() + '\n[log]\nlevle = "debug"\n')
    process.send_signal(signal.SIGHUP)
    assert process.stderr is not None
    entry = next(entry for line in process.stderr if "reload" in (entry := json.loads(line))["message"])
    assert entry["level"] == "error"
    assert "no setting log.levle; did you mean level?" in entry["message"]
    assert process.poll() is None


@pytest.mark.parametrize("damaged", ["", "not a key\n"])
def test_a_reload_with_a_damaged_gossip_ring_is_refused_and_the_node_lives(
    node: Path, start: Start, damaged: str
) -> None:
    process = start("--set", "log.json=true")
    ready(process)
    ring = node / "keys" / "gossip.ring"
    whole = ring.read_text()
    ring.write_text(damaged)
    process.send_signal(signal.SIGHUP)
    assert process.stderr is not None
    entry = next(entry for line in process.stderr if "reload" in (entry := json.loads(line))["message"])
    assert entry["level"] == "error" and "copy keys/gossip.ring from another node" in entry["message"]
    ring.write_text(whole)
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == exit_codes.OK


def test_a_node_dies_with_its_parent(node: Path) -> None:
    program = (
        "import os, subprocess, sys\n"
        "command = [sys.executable, '-m', 'folkmoot.cli', 'start', '--json', '--config', sys.argv[1]]\n"
        "command += ['--die-with-parent', str(os.getpid())]\n"
        "child = subprocess.Popen(command, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    parent = subprocess.run(
        [sys.executable, "-c", program, str(node / "folkmoot.toml")],
        capture_output=True,
        text=True,
        check=False,
    )
    child = int(parent.stdout)
    until_blocking(lambda: not _runs(child), what="the node's end")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_somebody_elses_child_does_not_start(start: Start) -> None:
    process = start("--die-with-parent", "1" if os.getpid() != 1 else "2")
    out, _ = process.communicate(timeout=STOP_S)
    assert process.returncode == exit_codes.FAILED
    assert "the parent" in json.loads(out)["error"]["message"]


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("listen.clients=127.0.0.1:1x", "listen.clients: expected"),
        ("tls.mode=mutual", "tls.certificate"),
        ("listen.peers=0.0.0.0:7000", "beyond loopback"),
        ("gate.policy=absent.toml", "gate.policy"),
    ],
)
def test_a_node_that_cannot_start_says_everything_and_writes_nothing(
    node: Path, capsys: pytest.CaptureFixture[str], setting: str, complaint: str
) -> None:
    assert (
        run(["start", "--config", str(node / "folkmoot.toml"), "--set", setting, "--json"])
        == exit_codes.FAILED
    )
    problems = json.loads(capsys.readouterr().out)["error"]["problems"]
    assert any(complaint in problem for problem in problems)
    assert not (node / "ready.json").exists()
    assert not (node / "store").exists()
