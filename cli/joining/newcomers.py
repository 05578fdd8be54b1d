"""What a new machine is told on the command line of `folkmoot node join --token`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from folkmoot.cli.config_option import ConfigChoice, home
from folkmoot.cli.errors import Usage
from folkmoot.cli.output import Output
from folkmoot.protocol import limits

Command = TypeVar("Command", bound=Callable[..., Any])

_WORDS: Final = ("directory", "as_name", "region", "clients", "peers", "advertise")
_OPTIONS: Final = {"directory": "dir", "as_name": "name"}


@dataclass(frozen=True, slots=True)
class Invitation:
    """A join token and what goes with it.

    Args:
        token: None when there is none: then a node is made a member that runs already.
        start: whether the node is to run.
        words: what else was said, by parameter.
    """

    token: str | None
    start: bool
    words: dict[str, Any]

    def refuse_without_token(self) -> None:
        """Refuse what only means something with a token.

        Raises:
            Usage: something of that kind was said.
        """
        for word, value in self.words.items():
            if value is not None:
                raise Usage(
                    f"--{_OPTIONS.get(word, word)} goes with --token", hint="folkmoot node join --help"
                )


def newcomer_options(command: Command) -> Command:
    """Give a command `--token` and its company, and pass it an `invitation`."""

    @click.option(
        "--token",
        envvar="FOLKMOOT_JOIN_TOKEN",
        help="A join token, for this machine to become a node; `-` reads it from standard input.",
    )
    @click.option(
        "--dir",
        "directory",
        type=click.Path(path_type=Path, file_okay=False),
        help="With --token: the data directory, absent or empty. [default: the node's home]",
    )
    @click.option("--name", "as_name", help="With --token: the node's name. [default: this host's]")
    @click.option("--region", help="With --token: where the node stands, unless the token says so.")
    @click.option(
        "--clients",
        metavar="HOST:PORT",
        help="With --token: where clients connect. [default: a free port, on the way to the cluster]",
    )
    @click.option(
        "--peers",
        metavar="HOST:PORT",
        help="With --token: where other nodes connect. [default: as for --clients]",
    )
    @click.option("--advertise", metavar="HOST", help="With --token: the host others are told to dial.")
    @click.option(
        "--start/--no-start", default=True, show_default=True, help="With --token: whether to run the node."
    )
    @functools.wraps(command)
    def wrapped(*args: Any, token: str | None, start: bool, **options: Any) -> Any:
        words = {word: options.pop(word) for word in _WORDS}
        return command(*args, invitation=Invitation(token, start, words), **options)

    return wrapped  # type: ignore[return-value]  # the same command with its `invitation` filled in


def accept(invitation: Invitation, output: Output) -> None:
    """Become a node of the cluster that a token is of, and run it.

    Raises:
        FolkmootError: it cannot be; nothing is left of it.
    """
    # Imported here so that `--help` need not wait for the whole node.
    from folkmoot.cli.joining.machine import Newcomer, join, read_token

    assert invitation.token is not None, "whoever has no token is not invited"
    words = dict(invitation.words)
    directory = (words.pop("directory") or home()).absolute()
    token = read_token(_text(invitation.token))
    told = join(token, Newcomer(directory, words.pop("as_name"), **words))
    lines = [
        f"{told['name']} is let in to cluster {told['cluster']} as node {told['id']}, in {told['region']}",
        f"wrote {told['config']}",
    ]
    start = f"folkmoot start --config {told['config']}"
    if not invitation.start:
        output.result({**told, "started": False}, [*lines, f"next: {start}"])
        return
    for line in (*lines, f"starting; from now on: {start}"):
        output.note(line)
    from folkmoot.cli import node_process

    node_process.run(ConfigChoice(Path(told["config"]), ()), output)


def _text(given: str) -> str:
    """The token itself, or what standard input has."""
    return given if given != "-" else sys.stdin.read(2 * limits.JOIN_TOKEN_CHARACTERS + 1)
