"""`folkmoot user keys`: the devices of an account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from folkmoot.cli.accounts import AccountType
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.users.conduct import KEY_PATH, conduct, reason_option, say, title_option
from folkmoot.cli.users.decisions import addition, key_called, revocation
from folkmoot.cli.users.key_files import device_key
from folkmoot.cli.users.showing import described, key_lines
from folkmoot.cli.users.who import Who, WhoType
from folkmoot.node.data_directory import read_key, read_key_file
from folkmoot.protocol.accounts.actions import Action
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.identity import account_to_text

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


@click.group("keys")
def keys_group() -> None:
    """List, add and revoke the keys of an account's devices."""


@keys_group.command(
    "list", epilog=examples("folkmoot user keys list alice.key", "folkmoot user keys list @marit --json")
)
@click.argument("who", type=WhoType())
@target_options
@json_option
def list_(who: Who, target: Target, output: Output) -> None:
    """List the keys of an account, the revoked ones too.

    WHO is an account (did:key:z6Mk…), a handle, or a key file.
    """

    async def talk(client: Client) -> Chain:
        return (await client.account_history(await who.found(client))).chain()

    state = converse(target, talk).state
    told = described(state)
    output.result({"account": told["account"], "devices": told["devices"]}, key_lines(state))


@keys_group.command(
    epilog=examples(
        "folkmoot user keys add alice.key phone.key --name phone",
        "folkmoot user keys add alice.key --key did:key:z6Mk… --name laptop",
    )
)
@click.argument("keyfile", type=KEY_PATH)
@click.argument("newfile", type=KEY_PATH, required=False)
@click.option(
    "--key", type=AccountType(), help="The other device's public key, as its `folkmoot keys new` printed it."
)
@title_option
@target_options
@json_option
def add(
    keyfile: Path, newfile: Path | None, key: bytes | None, title: str, target: Target, output: Output
) -> None:
    """Let another device sign for the account of KEYFILE.

    Its key is made in NEWFILE, to be brought to the device; or, so that no secret travels, made there with
    `folkmoot keys new FILE --account ACCOUNT` and named here with --key.
    """
    if (newfile is None) == (key is None):
        raise Usage("give either NEWFILE, in which a key is made, or --key")
    signer = read_key(keyfile)
    new = key if key is not None else device_key(newfile or Path(), signer.owner).account
    done = conduct(target, signer.owner, signer, lambda state: addition(state, new, title))
    where = "" if newfile is None else f"; {newfile} has it: bring the file there, and leave no copy here"
    say(
        output,
        done,
        f"{account_to_text(new)} may sign now{where}",
        f"{account_to_text(new)} could sign already{where}",
        key=account_to_text(new),
        file=None if newfile is None else str(newfile),
    )


@keys_group.command(
    epilog=examples(
        "folkmoot user keys revoke alice.key phone --reason stolen",
        "folkmoot user keys revoke alice.recovery did:key:z6Mk… --reason lost",
    )
)
@click.argument("keyfile", type=KEY_PATH)
@click.argument("key")
@reason_option
@target_options
@json_option
def revoke(keyfile: Path, key: str, reason: str, target: Target, output: Output) -> None:
    """Let a device sign no more for the account of KEYFILE.

    KEY is the device's key (did:key:z6Mk…) or its name; KEYFILE any other of the account's key files, or its
    recovery key file. What the device has written stays. A revoked key never signs again.
    """
    signer = read_key_file(keyfile).pair
    revoked: list[bytes] = []

    def decide(state: Account) -> Action | None:
        revoked[:] = [key_called(state, key)]
        return revocation(state, revoked[0], reason)

    done = conduct(target, signer.owner, signer, decide)
    named = account_to_text(revoked[0])
    own = f"; {keyfile} is of no use any more" if revoked[0] == signer.account else ""
    say(output, done, f"{named} is revoked{own}", f"{named} was revoked already{own}", key=named)
