"""`folkmoot user handle`: what an account is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.users.conduct import KEY_PATH, conduct, say
from folkmoot.cli.users.decisions import naming
from folkmoot.cli.users.who import HandleType, Who
from folkmoot.node.data_directory import read_key
from folkmoot.protocol.identity import account_to_text

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


@click.group("handle")
def handle_group() -> None:
    """Take, give up and look up handles."""


@handle_group.command(
    "set", epilog=examples("folkmoot user handle set alice.key marit", "folkmoot user handle set me.key m.k")
)
@click.argument("keyfile", type=KEY_PATH)
@click.argument("handle", type=HandleType())
@target_options
@json_option
def set_(keyfile: Path, handle: str, target: Target, output: Output) -> None:
    """Call the account of KEYFILE by a handle, which is nobody else's then.

    Nor can anybody take one that people could confuse with it. The handle the account had before is free
    for others after a quarantine of 30 days, and for the account itself at once.
    """
    signer = read_key(keyfile)
    done = conduct(target, signer.owner, signer, lambda state: naming(state, handle))
    say(output, done, f"the account is called @{handle} now", f"the account was called @{handle} already")


@handle_group.command(epilog=examples("folkmoot user handle clear alice.key"))
@click.argument("keyfile", type=KEY_PATH)
@target_options
@json_option
def clear(keyfile: Path, target: Target, output: Output) -> None:
    """Give up the handle of the account of KEYFILE.

    Others can take it after a quarantine of 30 days.
    """
    signer = read_key(keyfile)
    done = conduct(target, signer.owner, signer, lambda state: naming(state, None))
    say(output, done, "the account has no handle now", "the account had no handle")


@handle_group.command(
    epilog=examples("folkmoot user handle who @marit", "folkmoot user handle who marit --json")
)
@click.argument("handle", type=HandleType())
@target_options
@json_option
def who(handle: str, target: Target, output: Output) -> None:
    """Say which account has a HANDLE."""

    async def talk(client: Client) -> bytes:
        return await Who(handle=handle).found(client)

    account = account_to_text(converse(target, talk))
    output.result({"handle": handle, "account": account}, account)
