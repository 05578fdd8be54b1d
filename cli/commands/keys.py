"""`folkmoot keys`: key files of accounts."""

from __future__ import annotations

import secrets
from pathlib import Path

import click
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.output import Output, json_option
from folkmoot.node.data_directory import read_key, write_key
from folkmoot.protocol.identity import SEED_BYTES, account_to_text


@click.group()
def command() -> None:
    """Make and show key files."""


@command.command(epilog=examples("folkmoot keys new alice.key"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def new(file: Path, output: Output) -> None:
    """Make a new account's key in FILE, readable by you only.

    Whoever has the file can post as the account; there is no other copy.
    """
    try:
        write_key(file, secrets.token_bytes(SEED_BYTES))
    except FileExistsError as error:
        raise OperatorError(
            f"{file} exists; a key is never overwritten", hint=f"folkmoot keys show {file}"
        ) from error
    _show(file, output)


@command.command(epilog=examples("folkmoot keys show alice.key", "folkmoot keys show alice.key --json"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def show(file: Path, output: Output) -> None:
    """Print the account (did:key) of the key in FILE; never the key."""
    _show(file, output)


def _show(file: Path, output: Output) -> None:
    account = account_to_text(read_key(file).account)
    output.result({"account": account, "file": str(file)}, account)
