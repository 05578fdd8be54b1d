"""What systemd is told, read from the other end of its socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from folkmoot.cli import service_manager


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        name = f"@folkmoot-test-{os.getpid()}"
        listening.bind(name.replace("@", "\0"))
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield listening


def test_states_arrive_in_one_message(manager: socket.socket) -> None:
    service_manager.notify("READY=1", "STATUS=fine")
    assert manager.recv(100) == b"READY=1\nSTATUS=fine"


def test_a_reload_says_when_it_began(manager: socket.socket) -> None:
    service_manager.notify_reloading()
    first, _, second = manager.recv(100).partition(b"\n")
    assert first == b"RELOADING=1"
    assert second.startswith(b"MONOTONIC_USEC=") and second.partition(b"=")[2].isdigit()


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all", "@nobody-listens-here"])
def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    service_manager.notify("READY=1")


@pytest.mark.parametrize(
    ("environment", "pause_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 1.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(environment: dict[str, str], pause_s: float | None) -> None:
    assert service_manager.watchdog_pause_s(environment) == pause_s
