"""What the commands that change an account share: talking to the cluster, and saying what became of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.connection import Target, converse
from folkmoot.cli.output import Output
from folkmoot.cli.users.changing import PATIENCE_S, Decide, Done, change
from folkmoot.cli.users.showing import account_lines, described
from folkmoot.cli.users.who import ShortText
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.limits import ACCOUNT_REASON_CHARACTERS, KEY_NAME_CHARACTERS

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

KEY_PATH = click.Path(path_type=Path, dir_okay=False)
reason_option: Callable[..., Any] = click.option(
    "--reason",
    type=ShortText(ACCOUNT_REASON_CHARACTERS),
    default="",
    help="Kept with the account for everybody to read: lost, sold, spam.",
)
title_option: Callable[..., Any] = click.option(
    "--name",
    "title",
    type=ShortText(KEY_NAME_CHARACTERS),
    default="",
    help="What you call the device, for everybody to read.",
)


def conduct(
    target: Target, account: bytes, signer: KeyPair, decide: Decide, *, operator: KeyPair | None = None
) -> Done:
    """Change an account of a cluster.

    Args:
        target: the cluster.
        account: whose (34 bytes).
        signer: the key that signs.
        decide: see `changing`.
        operator: whose key to prove first, for what only operators may do.

    Raises:
        FolkmootError: see `changing.change` and `connection.converse`.
    """

    async def talk(client: Client) -> Done:
        return await change(client, account, signer, decide)

    return converse(target, talk, operator=operator, patience_s=PATIENCE_S)


def say(output: Output, done: Done, changed: str, already: str, **more: Any) -> None:
    """Print what became of a change.

    Args:
        output: where.
        done: the outcome.
        changed: the sentence for when something was done.
        already: the one for when it had been done before.
        more: for programs.
    """
    value = {"changed": done.action is not None, **described(done.account), **more}
    output.result(value, [changed if done.action is not None else already, *account_lines(done.account)])
