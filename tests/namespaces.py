"""Two hosts on one machine: network namespaces, joined by a pair of virtual interfaces."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class Host:
    """A network of its own, with one interface to the other host.

    Args:
        name: of the namespace.
        interface: the name of its end of the wire.
        address: the IP address of that end.
    """

    name: str
    interface: str
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands before a command line that is to run there."""
        return ("ip", "netns", "exec", self.name)

    def plug(self, state: str) -> None:
        """Plug the wire in (`up`) or pull it out (`down`)."""
        _ip("-n", self.name, "link", "set", self.interface, state)


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts with a wire between them until the end of the block; skips where they cannot be had."""
    if os.geteuid() != 0:
        pytest.skip("only root makes network namespaces")
    names = [f"folkmoot-{os.getpid()}-{side}" for side in "ab"]
    hosts = [Host(name, "wire", f"10.87.0.{number}") for number, name in enumerate(names, 1)]
    made: list[str] = []
    try:
        for name in names:
            _make("netns", "add", name)
            made.append(name)
        here, there = names
        _make("link", "add", "wire", "netns", here, "type", "veth", "peer", "name", "wire", "netns", there)
        for host in hosts:
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", host.interface)
            _ip("-n", host.name, "link", "set", "lo", "up")
            host.plug("up")
        yield hosts[0], hosts[1]
    finally:
        for name in made:
            _ip("netns", "delete", name)


def _make(*words: str) -> None:
    try:
        _ip(*words)
    except FileNotFoundError:
        pytest.skip("this machine has no `ip` (iproute2)")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces are not permitted here: {error.stderr.strip()}")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
