"""`folkmoot keys`: key files of accounts."""

from __future__ import annotations

import secrets
from pathlib import Path

import click
from folkmoot.cli.accounts import AccountType
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.output import Output, json_option
from folkmoot.node.data_directory import read_key_file, write_key
from folkmoot.protocol.identity import SEED_BYTES, account_to_text


@click.group()
def command() -> None:
    """Make and show key files."""


@command.command(
    epilog=examples("folkmoot keys new alice.key", "folkmoot keys new phone.key --account did:key:z6Mk…")
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--account", type=AccountType(), help="Whose key it is to be. [default: a new account's first]")
@json_option
def new(file: Path, account: bytes | None, output: Output) -> None:
    """Make a new account's key in FILE, readable by you only.

    Whoever has the file can post as the account; there is no other copy. With --account it is the key of
    another device of an account there is: `folkmoot user keys add --key`, where a key of the account already
    is, lets it sign.
    """
    try:
        write_key(file, secrets.token_bytes(SEED_BYTES), owner=account)
    except FileExistsError as error:
        raise OperatorError(
            f"{file} exists; a key is never overwritten", hint=f"folkmoot keys show {file}"
        ) from error
    _show(file, output)


@command.command(epilog=examples("folkmoot keys show alice.key", "folkmoot keys show alice.key --json"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def show(file: Path, output: Output) -> None:
    """Print the account (did:key) of the key in FILE, and the public key where it is another; never the key.

    Whether it may sign for the account `folkmoot user show FILE` says, which asks the cluster.
    """
    _show(file, output)


def _show(file: Path, output: Output) -> None:
    held = read_key_file(file)
    account, key = account_to_text(held.pair.owner), account_to_text(held.pair.account)
    use = "recovery" if held.recovers else "signing"
    lines = [account] if key == account else [f"account {account}", f"key     {key}"]
    lines += ["its recovery key"] if held.recovers else []
    output.result({"account": account, "key": key, "use": use, "file": str(file)}, lines)
