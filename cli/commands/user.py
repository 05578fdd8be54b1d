"""`folkmoot user`: accounts, as their owners and operators look after them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from folkmoot.cli.accounts import AccountType
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.members import operator_option
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.users import decisions
from folkmoot.cli.users.archives import export_command, import_command, verify_command
from folkmoot.cli.users.conduct import KEY_PATH, conduct, reason_option, say, title_option
from folkmoot.cli.users.ending import close_command, purge_command
from folkmoot.cli.users.handles import handle_group
from folkmoot.cli.users.key_files import device_key, first_key, read_recovery_key, recovery_key
from folkmoot.cli.users.keys import keys_group
from folkmoot.cli.users.proving import attest_command
from folkmoot.cli.users.searchable import searchable_command
from folkmoot.cli.users.showing import account_lines, described, history, history_lines
from folkmoot.cli.users.who import Who, WhoType
from folkmoot.node.data_directory import read_key, read_key_file
from folkmoot.protocol.identity import account_to_text

if TYPE_CHECKING:
    from folkmoot.cli.users.changing import Decide
    from folkmoot.protocol.accounts.chain import Chain
    from folkmoot.protocol.client import Client

KEEP_APART = (
    "print it or keep it on another medium, and not beside the key: it takes the account back from a thief"
)


@click.group()
def command() -> None:
    """Create, show, protect, move, purge and close accounts.

    An account is known by its first key (did:key:z6Mk…), whatever keys it has later. What is done to it is
    signed by its keys and decided by the cluster, so that a revoked key is refused by every node that has
    learnt of it.
    """


for added in (
    *(keys_group, handle_group),
    *(export_command, import_command, verify_command),
    *(purge_command, attest_command, close_command),
    searchable_command,
):
    command.add_command(added)


@command.command(
    epilog=examples(
        "folkmoot user create alice.key --recovery alice.recovery",
        "folkmoot user create bot.key --no-recovery --cluster local",
    )
)
@click.argument("keyfile", type=KEY_PATH)
@click.option("--recovery", type=KEY_PATH, help="Where the recovery key goes, which is made.")
@click.option("--no-recovery", is_flag=True, help="Have none: if its keys are lost the account is lost.")
@target_options
@json_option
def create(keyfile: Path, recovery: Path | None, no_recovery: bool, target: Target, output: Output) -> None:
    """Create an account with the key in KEYFILE, which is made if it is not there.

    The recovery key signs nothing but what ends trouble: it revokes lost keys and gives the account others.
    Both files are readable by you only, and neither is ever overwritten.
    """
    if (recovery is None) != no_recovery:
        raise Usage(
            "give either --recovery FILE or, for an account that can never be recovered, --no-recovery"
        )
    signer, made = first_key(keyfile)
    if made:
        output.note(f"made the account's key, {keyfile}; whoever has the file can post as the account")
    rescue = None if recovery is None else recovery_key(recovery, signer.account).account
    done = conduct(target, signer.account, signer, lambda state: decisions.creation(state, rescue))
    say(
        output,
        done,
        "the account is created",
        "the account was created already",
        file=str(keyfile),
        recovery_file=None if recovery is None else str(recovery),
    )
    if recovery is not None:
        output.note(f"{recovery} is the recovery key: {KEEP_APART}")


@command.command(
    epilog=examples(
        "folkmoot user show alice.key",
        "folkmoot user show @marit --history",
        "folkmoot user show did:key:z6Mk… --json",
    )
)
@click.argument("who", type=WhoType())
@click.option(
    "--history", "with_history", is_flag=True, help="Also list what was done to it, and who signed."
)
@click.option("--current", is_flag=True, help="Ask most seats, not what the node has heard so far.")
@target_options
@json_option
def show(who: Who, with_history: bool, current: bool, target: Target, output: Output) -> None:
    """Show an account: its keys, handle and state.

    WHO is an account (did:key:z6Mk…), a handle, or a key file. Signatures are checked here: a node could
    leave out what was done last, and change nothing.
    """

    async def talk(client: Client) -> Chain:
        return (await client.account_history(await who.found(client), current=current)).chain()

    chain = converse(target, talk)
    value, lines = described(chain.state), account_lines(chain.state)
    if with_history:
        value["history"] = history(chain)
        lines += ["", *history_lines(chain)]
    output.result(value, lines)


@command.command(
    "rotate-key", epilog=examples("folkmoot user rotate-key alice.key alice-2.key --name laptop")
)
@click.argument("keyfile", type=KEY_PATH)
@click.argument("newfile", type=KEY_PATH)
@title_option
@target_options
@json_option
def rotate_key(keyfile: Path, newfile: Path, title: str, target: Target, output: Output) -> None:
    """Put a new key in NEWFILE in the place of the one in KEYFILE, in one step.

    The old file stays where it is, and signs nothing any more.
    """
    signer = read_key(keyfile)
    new = device_key(newfile, signer.owner).account
    done = conduct(
        target, signer.owner, signer, lambda state: decisions.rotation(state, signer.account, new, title)
    )
    left = f"{newfile} signs for the account; {keyfile} is revoked and can be deleted"
    say(output, done, left, f"nothing was left to do: {left}", key=account_to_text(new), file=str(newfile))


@command.command(
    epilog=examples(
        "folkmoot user recover did:key:z6Mk… new.key --recovery alice.recovery",
        "folkmoot user recover did:key:z6Mk… new.key --recovery old.recovery --new-recovery new.recovery",
    )
)
@click.argument("account", type=AccountType())
@click.argument("newfile", type=KEY_PATH)
@click.option("--recovery", type=KEY_PATH, required=True, help="The account's recovery key file.")
@click.option("--new-recovery", type=KEY_PATH, help="Make another recovery key here. [default: keep it]")
@target_options
@json_option
def recover(
    account: bytes, newfile: Path, recovery: Path, new_recovery: Path | None, target: Target, output: Output
) -> None:
    """Take an ACCOUNT back with its recovery key: every other key is revoked, and NEWFILE gets a new one.

    Also a suspended account can be recovered; it stays suspended.
    """
    signer = read_recovery_key(recovery, account)
    new = device_key(newfile, account).account
    later = None if new_recovery is None else recovery_key(new_recovery, account).account
    done = conduct(target, account, signer, lambda state: decisions.recovering(state, (new,), later))
    kept = f"{recovery} stays its recovery key" if later is None else f"{recovery} is of no use any more"
    left = f"{newfile} signs for the account, and no other key; {kept}"
    say(output, done, left, f"nothing was left to do: {left}", key=account_to_text(new), file=str(newfile))
    if new_recovery is not None:
        output.note(f"{new_recovery} is the recovery key: {KEEP_APART}")


@command.command(
    "new-recovery", epilog=examples("folkmoot user new-recovery alice.recovery alice-2.recovery")
)
@click.argument("recoveryfile", type=KEY_PATH)
@click.argument("newfile", type=KEY_PATH)
@target_options
@json_option
def new_recovery(recoveryfile: Path, newfile: Path, target: Target, output: Output) -> None:
    """Make another recovery key in NEWFILE, in the place of the one in RECOVERYFILE."""
    account = read_key_file(recoveryfile).pair.owner
    signer = read_recovery_key(recoveryfile, account)
    rescue = recovery_key(newfile, account).account
    done = conduct(target, account, signer, lambda state: decisions.next_recovery(state, rescue))
    left = f"{newfile} is the recovery key, and {recoveryfile} is of no use any more"
    say(output, done, left, f"nothing was left to do: {left}", recovery_file=str(newfile))
    output.note(f"{newfile}: {KEEP_APART}")


@command.command(
    epilog=examples(
        "folkmoot user suspend did:key:z6Mk… --reason spam", "folkmoot user suspend @marit --json"
    )
)
@click.argument("who", type=WhoType())
@reason_option
@operator_option
@target_options
@json_option
def suspend(who: Who, reason: str, operator: Path | None, target: Target, output: Output) -> None:
    """Let nobody write for an account until it is restored; for operators.

    WHO is an account (did:key:z6Mk…), a handle, or a key file. What it wrote stays readable.
    """
    _by_operator(
        who,
        lambda state: decisions.suspension(state, reason),
        "the account is suspended",
        "nothing to do: the account is suspended already",
        operator,
        target,
        output,
    )


@command.command(epilog=examples("folkmoot user restore did:key:z6Mk… --reason 'it was somebody else'"))
@click.argument("who", type=WhoType())
@reason_option
@operator_option
@target_options
@json_option
def restore(who: Who, reason: str, operator: Path | None, target: Target, output: Output) -> None:
    """Undo the suspension of an account; for operators.

    WHO is an account (did:key:z6Mk…), a handle, or a key file.
    """
    _by_operator(
        who,
        lambda state: decisions.restoration(state, reason),
        "the account is not suspended any more: its keys sign again",
        "nothing to restore: the account is not suspended",
        operator,
        target,
        output,
    )


def _by_operator(
    who: Who,
    decide: Decide,
    changed: str,
    already: str,
    operator: Path | None,
    target: Target,
    output: Output,
) -> None:
    from folkmoot.cli.clients import operator_of

    signer = operator_of(target, operator)
    if signer is None:
        raise OperatorError("this is for operators, and no operator's key is at hand", hint="--operator FILE")
    account = who.account or converse(target, who.found)
    done = conduct(target, account, signer, decide, operator=signer)
    say(output, done, changed, already)
