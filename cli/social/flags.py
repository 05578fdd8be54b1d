"""What the commands share that switch a flag about somebody or something on or off, and list those on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import Usage
from folkmoot.cli.exit_codes import OK
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.social.own_key import key_option, own_key
from folkmoot.cli.social.said import described, flags_of, line
from folkmoot.cli.social.threads import ThreadOf
from folkmoot.cli.social.writing import Stated, Statement, level_option, report_stated, state
from folkmoot.cli.users.who import Who, WhoType
from folkmoot.protocol.identity import account_to_text

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

Command = TypeVar("Command", bound=Callable[..., Any])


class Speaker(NamedTuple):
    """Who speaks, to which cluster, and how outcomes are told."""

    key_file: Path | None
    level: str
    target: Target
    output: Output


def speaker_options(command: Command) -> Command:
    """Give a command `--key`, `--level`, `--json` and what `target_options` does; pass it a `speaker`."""

    @key_option
    @level_option
    @target_options
    @json_option
    @functools.wraps(command)
    def wrapped(
        *args: Any, key_file: Path | None, level: str, target: Target, output: Output, **options: Any
    ) -> Any:
        return command(*args, speaker=Speaker(key_file, level, target, output), **options)

    return wrapped  # type: ignore[no-any-return]  # the same command with its `speaker` filled in


who_argument: Callable[..., Any] = click.argument("who", type=WhoType(), required=False)


def switch(speaker: Speaker, kind: str, item: bytes | Who | ThreadOf, verb: str, **body: Any) -> int:
    """Switch a flag, and say what became of it.

    Args:
        speaker: see there.
        kind: of the flag.
        item: its item, or the account or thread it is about.
        verb: for example `followed`.
        body: of the record.

    Returns:
        The exit code.
    """
    signer = own_key(speaker.key_file, speaker.output, make=bool(body["on"]))

    async def talk(client: Client) -> Stated:
        if isinstance(item, ThreadOf):
            found = await item.muted(client, signer, on=body["on"])
        else:
            found = await item.found(client) if isinstance(item, Who) else item
        if found == signer.owner:
            raise Usage("that is your own account")
        said = body if body["on"] else {"on": False}  # what is taken back need not be repeated
        return await state(client, signer, Statement(kind, found, said), speaker.level)

    stated = converse(speaker.target, talk)
    about = described(stated.statement.item, kind, body)
    return report_stated(
        speaker.output, stated, {"kind": kind, "on": body["on"], **about}, f"{verb} {line(about)}"
    )


def tell(speaker: Speaker, kind: str, nothing: str) -> int:
    """Print what flags of one kind are on; returns the exit code.

    Args:
        speaker: whose.
        kind: which.
        nothing: the sentence when there are none.
    """
    signer = own_key(speaker.key_file, speaker.output, make=False)
    flags = converse(speaker.target, lambda client: flags_of(client, signer.owner, kind, signer))
    told = [described(record.item, kind, record.body) for record in flags]
    value = {"account": account_to_text(signer.owner), "kind": kind, "items": told}
    speaker.output.result(value, [line(about) for about in told] or [nothing])
    return OK
