"""`folkmoot list`: lists of accounts, public and with a name."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.connection import converse
from folkmoot.cli.errors import Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.social.flags import Speaker, speaker_options
from folkmoot.cli.social.lists import Named, list_called, lists_of, members_of
from folkmoot.cli.social.own_key import own_key, own_key_if_any
from folkmoot.cli.social.writing import Stated, Statement, report_stated, state
from folkmoot.cli.users.who import ShortText, Who, WhoType
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.limits import LIST_ABOUT_CODE_POINTS, LIST_NAME_CODE_POINTS, POST_ITEM_BYTES

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

ABOUT = ShortText(LIST_ABOUT_CODE_POINTS)
NAME = ShortText(LIST_NAME_CODE_POINTS)


@click.group()
def command() -> None:
    """Make lists of accounts, show them, and say who is on them.

    A list is named by its owner and item (did:key:z6Mk…/ITEM); your own also by its name. Lists and who is on
    them are public.
    """


@command.command(
    epilog=examples("folkmoot list create Neighbours", "folkmoot list create Birds --about 'Who sings.'")
)
@click.argument("name", type=NAME)
@click.option("--about", type=ABOUT, default="", help="What it is for.")
@speaker_options
def create(name: str, about: str, speaker: Speaker) -> int:
    """Make a list called NAME."""
    if not name:
        raise Usage("a list has a name")
    signer = own_key(speaker.key_file, speaker.output)
    made = Named(signer.owner, secrets.token_bytes(POST_ITEM_BYTES), name, about)
    statement = Statement("list", made.item, _body(name, about))
    stated = converse(speaker.target, lambda client: state(client, signer, statement, speaker.level))
    return report_stated(speaker.output, stated, made.to_json(), f"{name} ({made.to_json()['list']})")


@command.command(
    epilog=examples(
        "folkmoot list change Neighbours --name Friends", "folkmoot list change Birds --about 'Who sings.'"
    )
)
@click.argument("list_", metavar="LIST")
@click.option("--name", type=NAME, help="What it is called from now on.")
@click.option("--about", type=ABOUT, help="What it is for.")
@speaker_options
def change(list_: str, name: str | None, about: str | None, speaker: Speaker) -> int:
    """Give your list LIST another name or another description."""
    if name is None and about is None:
        raise Usage("give --name or --about")
    if name == "":
        raise Usage("a list has a name")

    def changed(named: Named) -> dict[str, Any]:
        return _body(named.name if name is None else name, named.about if about is None else about)

    return _restate(speaker, list_, changed, "changed")


@command.command(epilog=examples("folkmoot list delete Neighbours"))
@click.argument("list_", metavar="LIST")
@speaker_options
def delete(list_: str, speaker: Speaker) -> int:
    """Delete your list LIST; who was on it stays readable to programs."""
    return _restate(speaker, list_, lambda named: {"deleted": True}, "deleted")


@command.command(epilog=examples("folkmoot list add Neighbours @marit", "folkmoot list add Birds alice.key"))
@click.argument("list_", metavar="LIST")
@click.argument("who", type=WhoType())
@speaker_options
def add(list_: str, who: Who, speaker: Speaker) -> int:
    """Put an account on your list LIST.

    WHO is an account (did:key:z6Mk…), a handle, or a key file.
    """
    return _member(speaker, list_, who, on=True)


@command.command(epilog=examples("folkmoot list remove Neighbours @marit"))
@click.argument("list_", metavar="LIST")
@click.argument("who", type=WhoType())
@speaker_options
def remove(list_: str, who: Who, speaker: Speaker) -> int:
    """Take an account off your list LIST.

    WHO is an account (did:key:z6Mk…), a handle, or a key file.
    """
    return _member(speaker, list_, who, on=False)


@command.command(
    epilog=examples(
        "folkmoot list show",
        "folkmoot list show Neighbours",
        "folkmoot list show did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5 --json",
        "folkmoot list show --of @marit",
    )
)
@click.argument("list_", metavar="[LIST]", required=False)
@click.option("--of", "whose", type=WhoType(), help="Whose lists. [default: your own]")
@speaker_options
def show(list_: str | None, whose: Who | None, speaker: Speaker) -> None:
    """Show who is on LIST; without it, which lists there are."""
    if list_ is not None and whose is not None:
        raise Usage("give LIST or --of, not both")
    key = own_key_if_any(speaker.key_file)
    if key is None and whose is None and (list_ is None or "/" not in list_):
        key = own_key(speaker.key_file, speaker.output, make=False)
    own = None if key is None else key.owner

    async def talk(client: Client) -> tuple[dict[str, Any], list[str]]:
        if list_ is not None:
            named = await list_called(client, list_, own)
            members = await members_of(client, named)
            return {**named.to_json(), "members": members}, members or ["nobody is on the list"]
        owner = own if whose is None else await whose.found(client)
        assert owner is not None, "without LIST, it is somebody's"
        found = [each.to_json() for each in await lists_of(client, owner, own)]
        lines = [f"{each['list']}  {each['name']}" for each in found]
        return {"account": account_to_text(owner), "lists": found}, lines or ["no lists"]

    speaker.output.result(*converse(speaker.target, talk))


def _body(name: str, about: str) -> dict[str, Any]:
    return {"name": name, "about": about} if about else {"name": name}


def _restate(speaker: Speaker, text: str, body_of: Any, verb: str) -> int:
    signer = own_key(speaker.key_file, speaker.output, make=False)

    async def talk(client: Client) -> tuple[Named, Stated]:
        named = await list_called(client, text, signer.owner)
        _check_own(named, signer.owner)
        statement = Statement("list", named.item, body_of(named))
        return named, await state(client, signer, statement, speaker.level)

    named, stated = converse(speaker.target, talk)
    return report_stated(speaker.output, stated, named.to_json(), f"{verb} {named.name}")


def _member(speaker: Speaker, text: str, who: Who, *, on: bool) -> int:
    signer = own_key(speaker.key_file, speaker.output, make=False)

    async def talk(client: Client) -> tuple[Named, bytes, Stated]:
        named = await list_called(client, text, signer.owner)
        _check_own(named, signer.owner)
        member = await who.found(client)
        statement = Statement("listed", named.item + member, {"on": on})
        return named, member, await state(client, signer, statement, speaker.level)

    named, member, stated = converse(speaker.target, talk)
    value = {**named.to_json(), "member": account_to_text(member), "on": on}
    sentence = f"{value['member']} is {'' if on else 'not '}on {named.name}"
    return report_stated(speaker.output, stated, value, sentence)


def _check_own(named: Named, own: bytes) -> None:
    if named.owner != own:
        raise Usage(f"{named.name} is {account_to_text(named.owner)}'s list, and theirs to change")
