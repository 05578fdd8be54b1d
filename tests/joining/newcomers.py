"""Machines that come to a town with a join token."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import trio
from folkmoot.cli.joining.machine import Newcomer, join, read_token
from folkmoot.node.configuration.reading import load, with_id
from folkmoot.node.joining.certificate_requests import make_key, request_for
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.join_token import JoinToken

from tests.node.harness import Town
from tests.node.moving import ask
from tests.node.nodes import Node

HOUR_S = 3600


async def invite(town: Town, asked: Node, **terms: Any) -> JoinToken:
    """A token that an operator has made."""
    told = await ask(town, asked, "join.create", **{"lifetime_s": HOUR_S, **terms})
    return JoinToken.decode(told["token"])


async def come(token: JoinToken, directory: Path, **words: Any) -> dict[str, Any]:
    """Do what `folkmoot node join --token` does, but for starting the node; its failures are raised."""
    newcomer = Newcomer(directory, **words)
    return await trio.to_thread.run_sync(lambda: join(read_token(token.encode()), newcomer))


async def come_and_be_killed(token: JoinToken, directory: Path) -> None:
    """The same in a process that is killed when it was let in and has written everything but the name."""
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from folkmoot.cli.joining import machine\n"
        "machine.put_in_place = lambda *there: os.kill(os.getpid(), signal.SIGKILL)\n"
        "machine.join(machine.read_token(sys.argv[1]), machine.Newcomer(Path(sys.argv[2]), region='eu'))\n"
    )
    words = [sys.executable, "-c", script, token.encode(), str(directory)]
    killed = await trio.run_process(words, check=False)
    assert killed.returncode == -signal.SIGKILL


def node_in(directory: Path) -> Node:
    """The node in a directory that was joined, not running."""
    config = load(directory / "folkmoot.toml").config
    node_id = (directory / "node.id").read_text().strip()
    return Node(with_id(config, node_id))


def wish(token: JoinToken, name: str = "late", **changes: Any) -> dict[str, Any]:
    """The parameters of a `join.admit`, with a key of its own."""
    request = request_for(make_key())
    asked = {"id": token.id, "secret": token.secret, "request": request, "name": name, "region": "eu"}
    return {**asked, "service": KeyPair(bytes(32)).account, **changes}


async def admit(town: Town, asked: Node, params: dict[str, Any]) -> Any:
    """What a node answers somebody who is nobody yet; its refusal is raised as it is."""
    refusal: WireError | None = None
    async with town.client(asked) as client:
        try:
            return await client.call("join.admit", **params)
        except WireError as error:
            refusal = error
    raise refusal
