"""`folkmoot labeller`: whose labels you heed and what becomes of posts that bear them; and your own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.connection import converse
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.numbers import counted
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.social import labelling
from folkmoot.cli.social.flags import Speaker, speaker_options
from folkmoot.cli.social.own_key import own_key, own_key_if_any
from folkmoot.cli.social.writing import Stated, Statement, report_stated, state
from folkmoot.cli.users.who import ShortText, Who, WhoType
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.feed.labelling import OWN, OwnLabels, Settings, parse_own, preference_of
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.moderation.bounds import LABELLERS
from folkmoot.protocol.moderation.definitions import CHOICES, FIELD, Choice, check_value

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

_file = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))


@click.group()
def command() -> None:
    """Choose whose labels you heed, and what becomes of posts that bear them.

    Anybody may label posts; you see only what those say whom you subscribe to, the cluster's nodes and
    moderators, and authors of their own posts. Of each label you choose to ignore it, to be warned, or not to
    see the posts at all. What you choose is private: you and those who run nodes can see it, and nobody else.
    """


@command.command(epilog=examples("folkmoot labeller example > mine.toml"))
@json_option
def example(output: Output) -> None:
    """Show a file of definitions that `publish` takes."""
    output.result({"example": labelling.example()}, labelling.example())


@command.command(epilog=examples("folkmoot labeller check mine.toml"))
@_file
@json_option
def check(file: Path, output: Output) -> None:
    """Check FILE without publishing it; no node is needed."""
    document = labelling.read_file(file)
    number = counted(len(document["labels"]), "label")
    output.result({"file": str(file), **document}, f"{file} defines {number}")


@command.command(
    epilog=examples("folkmoot labeller publish mine.toml", "folkmoot labeller publish mine.toml --key f.key")
)
@_file
@speaker_options
def publish(file: Path, speaker: Speaker) -> int:
    """Publish FILE: which labels you put on posts, and what they mean.

    What was published before is replaced. Who subscribes to you sees the labels that you put on posts with
    `folkmoot label`.
    """
    document = labelling.read_file(file)
    signer = own_key(speaker.key_file, speaker.output)
    statement = Statement("profile", FIELD, {"value": document})
    stated = converse(speaker.target, lambda client: state(client, signer, statement, speaker.level))
    values = [label["value"] for label in document["labels"]]
    value = {"labeller": account_to_text(signer.owner), "labels": values}
    said = f"{counted(len(values), 'label')} by {account_to_text(signer.owner)}"
    return report_stated(speaker.output, stated, value, said)


@command.command(
    epilog=examples(
        "folkmoot labeller show", "folkmoot labeller show @facts", "folkmoot labeller show @facts --file"
    )
)
@click.argument("who", type=WhoType(), required=False)
@click.option("--file", "as_file", is_flag=True, help="As a file that `publish` takes.")
@speaker_options
def show(who: Who | None, as_file: bool, speaker: Speaker) -> None:
    """Show which labels somebody defines, and what you chose of them.

    WHO is an account (did:key:z6Mk…), a handle, or a key file. Without it, those of the cluster and of
    authors.
    """
    signer = own_key_if_any(speaker.key_file)

    async def talk(client: Client) -> tuple[bytes | None, list[dict[str, Any]], Settings]:
        chosen = None if signer is None else await labelling.chosen_by(client, signer)
        if who is None:
            labels = await labelling.defined_by_community(client)
            return None, labels, chosen.own.settings if chosen else {}
        account = await who.found(client)
        labels = labelling.to_wire(await labelling.defined_by(client, account))
        return account, labels, chosen.labellers.get(account, {}) if chosen else {}

    account, labels, settings = converse(speaker.target, talk)
    if not labels and account is not None:
        raise OperatorError(
            f"{account_to_text(account)} defines no labels",
            hint=f"folkmoot user show {account_to_text(account)}",
        )
    value = {
        "labeller": None if account is None else account_to_text(account),
        "labels": labels,
        "set": {label: choice.word for label, choice in settings.items()},
    }
    lines = labelling.as_toml(labels) if as_file else labelling.definition_lines(labels, settings)
    speaker.output.result(value, lines)


@command.command(epilog=examples("folkmoot labeller ls", "folkmoot labeller ls --json"))
@speaker_options
def ls(speaker: Speaker) -> None:
    """List whose labels you heed, and what you chose."""
    signer = own_key(speaker.key_file, speaker.output, make=False)
    chosen = converse(speaker.target, lambda client: labelling.chosen_by(client, signer))
    speaker.output.result({"account": account_to_text(signer.owner), **chosen.told()}, chosen.lines())


@command.command(epilog=examples("folkmoot labeller subscribe @facts"))
@click.argument("who", type=WhoType())
@speaker_options
def subscribe(who: Who, speaker: Speaker) -> int:
    """Heed the labels of WHO: an account (did:key:z6Mk…), a handle, or a key file.

    What becomes of posts is as WHO has defined, until you `set` something else.
    """
    signer = own_key(speaker.key_file, speaker.output)

    async def talk(client: Client) -> tuple[bytes, int, Stated]:
        account = await who.found(client)
        if account == signer.owner:
            raise Usage("that is your own account")
        chosen = await labelling.chosen_by(client, signer)
        if account not in chosen.labellers and len(chosen.labellers) >= LABELLERS:
            raise OperatorError(
                f"you subscribe to {LABELLERS} labellers, and more are not heeded",
                hint="folkmoot labeller unsubscribe WHO, with one of folkmoot labeller ls",
            )
        defined = await labelling.defined_by(client, account)
        body = labelling.subscription(chosen.labellers.get(account, {}))
        stated = await _prefer(client, signer, preference_of(account), body, speaker.level)
        return account, len(defined), stated

    account, defined, stated = converse(speaker.target, talk)
    if not defined:
        speaker.output.note("that account defines no labels: those it puts on posts are shown as they are")
    name = account_to_text(account)
    value = {"labeller": name, "labels": defined}
    return report_stated(speaker.output, stated, value, f"you heed the labels of {name}")


@command.command(epilog=examples("folkmoot labeller unsubscribe @facts"))
@click.argument("who", type=WhoType())
@speaker_options
def unsubscribe(who: Who, speaker: Speaker) -> int:
    """Heed the labels of WHO no more; what you chose of them is forgotten."""
    signer = own_key(speaker.key_file, speaker.output, make=False)

    async def talk(client: Client) -> tuple[str, Stated]:
        account = await who.found(client)
        chosen = await labelling.chosen_by(client, signer)
        item = preference_of(account)
        if account not in chosen.labellers:
            return account_to_text(account), Stated(Statement("preference", item, {"on": False}))
        stated = await _prefer(client, signer, item, {"on": False}, speaker.level)
        return account_to_text(account), stated

    name, stated = converse(speaker.target, talk)
    return report_stated(speaker.output, stated, {"labeller": name}, f"you do not heed the labels of {name}")


@command.command(
    "set",
    epilog=examples(
        "folkmoot labeller set spam hide",
        "folkmoot labeller set rumour ignore --of @facts",
        "folkmoot labeller set spam default   (as it is defined)",
    ),
)
@click.argument("value", type=ShortText())
@click.argument("choice", type=click.Choice([*CHOICES, labelling.UNSET]))
@click.option("--of", "who", type=WhoType(), help="Of which labeller. [default: the cluster and authors]")
@speaker_options
def set_(value: str, choice: str, who: Who | None, speaker: Speaker) -> int:
    """Choose what becomes of posts with the label VALUE.

    `ignore` shows them as if they had none, `warn` says so first, `hide` leaves them out; `default` is as the
    label is defined. Your own posts are never left out.
    """
    signer = own_key(speaker.key_file, speaker.output)

    async def talk(client: Client) -> tuple[str | None, Stated]:
        chosen = await labelling.chosen_by(client, signer)
        if who is None:
            _check_choice(await labelling.defined_by_community(client), value, choice)
            own = chosen.own._replace(settings=labelling.changed(chosen.own.settings, value, choice))
            return None, await _prefer(client, signer, OWN, own.body(), speaker.level)
        account = await who.found(client)
        name = account_to_text(account)
        if account not in chosen.labellers:
            raise OperatorError(f"you do not subscribe to {name}", hint=f"folkmoot labeller subscribe {name}")
        settings = chosen.labellers[account]
        if value not in await labelling.defined_by(client, account) and value not in settings:
            raise OperatorError(f"{name} defines no label {value!r}", hint=f"folkmoot labeller show {name}")
        body = labelling.subscription(labelling.changed(settings, value, choice))
        return name, await _prefer(client, signer, preference_of(account), body, speaker.level)

    _check_words(value)
    name, stated = converse(speaker.target, talk)
    told = {"labeller": name, "label": value, "choice": choice}
    return report_stated(speaker.output, stated, told, f"{value}: {choice}")


@command.command(
    epilog=examples("folkmoot labeller languages de en", "folkmoot labeller languages   (back to English)")
)
@click.argument("tags", nargs=-1, type=ShortText())
@speaker_options
def languages(tags: tuple[str, ...], speaker: Speaker) -> int:
    """Say in which languages you want to be told what labels mean: TAGS, the dearest first."""
    try:
        said = parse_own({"languages": [tag.lower() for tag in tags]}).languages
    except WireError as error:
        raise Usage(error.message) from None
    signer = own_key(speaker.key_file, speaker.output)

    async def talk(client: Client) -> Stated:
        own: OwnLabels = (await labelling.chosen_by(client, signer)).own
        return await _prefer(client, signer, OWN, own._replace(languages=said).body(), speaker.level)

    stated = converse(speaker.target, talk)
    return report_stated(
        speaker.output, stated, {"languages": list(said)}, ", ".join(said) or "English, where there is"
    )


async def _prefer(
    client: Client, signer: KeyPair, item: bytes, body: Mapping[str, Any], level: str
) -> Stated:
    return await state(client, signer, Statement("preference", item, body), level)


def _check_words(value: str) -> None:
    try:
        check_value(value)
    except WireError as error:
        raise Usage(error.message, hint="folkmoot labeller show") from None


def _check_choice(labels: list[dict[str, Any]], value: str, choice: str) -> None:
    """Refuse what the community does not leave to readers."""
    label = next((each for each in labels if each["value"] == value and each.get("fixed")), None)
    if label is None or choice == labelling.UNSET:
        return
    least = CHOICES[label.get("default", Choice.WARN.word)]
    if CHOICES[choice] < least:
        raise OperatorError(
            f"the community leaves nobody the choice to {choice} {value!r}: {least.word} is the least",
            hint="folkmoot labeller show",
        )
