"""Labels as people define and choose them: files of definitions, and what an account has chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.feeds import check_signers
from folkmoot.cli.social.said import cells_of
from folkmoot.cli.toml_text import render_value
from folkmoot.node.configuration.toml_source import TomlSource, TomlSyntaxError
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.feed.labelling import (
    OWN,
    OwnLabels,
    Settings,
    Subscription,
    labeller_of,
    parse_own,
    parse_subscription,
)
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.limits import RECORD_BYTES
from folkmoot.protocol.moderation.definitions import (
    CHOICES,
    FIELD,
    Choice,
    Definitions,
    parse_definitions,
    read_definitions,
)
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

UNSET: Final = "default"
"""What a choice is called that is taken back."""

_FILE_BYTES: Final = 8 * RECORD_BYTES  # more than fits in a record, however it is laid out
_EXAMPLE: Final = """\
[[labels]]
value = "rumour"
severity = "inform"    # or "alert", "none"
blurs = "none"         # or "content", "media"
default = "warn"       # or "ignore", "hide"
name = {en = "Rumour", de = "Gerücht"}
about = {en = "Nobody has confirmed it yet.", de = "Niemand hat es bisher bestätigt."}
"""


class Chosen(NamedTuple):
    """What an account has said about labels.

    Args:
        own: about the cluster's and authors'.
        labellers: about others, by their accounts; those it subscribes to.
    """

    own: OwnLabels
    labellers: Mapping[bytes, Settings]

    def told(self) -> dict[str, Any]:
        """For programs."""
        return {
            "languages": list(self.own.languages),
            "set": _words(self.own.settings),
            "labellers": [
                {"labeller": account_to_text(account), "set": _words(settings)}
                for account, settings in self.labellers.items()
            ],
        }

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"labels of the cluster and of authors{_in_words(self.own.settings)}"]
        if self.own.languages:
            lines.append(f"in {', '.join(self.own.languages)}")
        return lines + [
            f"{account_to_text(account)}{_in_words(settings)}" for account, settings in self.labellers.items()
        ]


async def chosen_by(client: Client, signer: KeyPair) -> Chosen:
    """What an account has said about labels, as far as it can be read.

    Args:
        client: connected.
        signer: one of the account's keys.
    """
    own, labellers = OwnLabels(), {}
    for cell in await cells_of(client, signer.owner, "preference", signer):
        winner, labeller = cell.winner, labeller_of(cell.winner.item)
        try:
            if winner.item == OWN:
                own = parse_own(winner.body)
            elif labeller is not None and (said := parse_subscription(winner.body)).on:
                labellers[labeller] = said.settings
        except WireError:
            continue
    return Chosen(own, labellers)


async def defined_by(client: Client, labeller: bytes) -> Definitions:
    """What a labeller defines; nothing, if it publishes nothing that can be read.

    Raises:
        OperatorError: a record is signed by none of its keys.
        WireError: from the node.
    """
    (cell,) = await client.get([(labeller, "profile", FIELD)])
    if cell is None:
        return {}
    records = [Record.from_wire(frame) for frame in cell["records"]]
    await check_signers(client, labeller, records)
    return read_definitions(records[0].body["value"])


async def defined_by_community(client: Client) -> list[dict[str, Any]]:
    """What the labels of the cluster and of authors mean, as the node says."""
    labels: list[dict[str, Any]] = (await client.call("label.definitions", {}))["labels"]
    return labels


def read_file(file: Path) -> dict[str, Any]:
    """The definitions in a TOML file, as a profile field has them.

    Raises:
        OperatorError: it is none; it says why.
    """
    with file.open("rb") as stream:
        data = stream.read(_FILE_BYTES + 1)
    if len(data) > _FILE_BYTES:
        raise OperatorError(f"{file} is larger than any labeller's definitions: {_FILE_BYTES} bytes at most")
    try:
        document = TomlSource(file, data.decode()).data
        parse_definitions(document)
    except TomlSyntaxError as error:
        raise OperatorError(str(error), hint="folkmoot labeller example") from None
    except WireError as error:
        raise OperatorError(f"{file}: {error.message}", hint="folkmoot labeller example") from None
    except ValueError as error:
        raise OperatorError(f"{file}: {error}", hint="folkmoot labeller example") from None
    return document


def example() -> str:
    """A file of definitions to begin with."""
    return _EXAMPLE.rstrip("\n")


def as_toml(labels: Sequence[Mapping[str, Any]]) -> list[str]:
    """Definitions as a file that can be published again."""
    lines: list[str] = []
    for label in labels:
        lines.append("[[labels]]")
        lines += [f"{key} = {render_value(value)}" for key, value in label.items() if key != "fixed"]
        lines.append("")
    return lines[:-1]


def definition_lines(labels: Sequence[Mapping[str, Any]], settings: Settings) -> list[str]:
    """Definitions for people: a line for each label, and what was chosen of it."""
    return [_line(label, settings.get(label["value"])) for label in labels]


def to_wire(definitions: Definitions) -> list[dict[str, Any]]:
    """Definitions as programs are told them."""
    return [each.to_wire() for each in definitions.values()]


def changed(settings: Settings, value: str, choice: str) -> Settings:
    """Settings once something else was chosen for a label."""
    others = {label: each for label, each in settings.items() if label != value}
    return others if choice == UNSET else {**others, value: CHOICES[choice]}


def subscription(settings: Settings) -> dict[str, Any]:
    """The body of a preference by which one subscribes."""
    return Subscription(on=True, settings=settings).body()


def _line(label: Mapping[str, Any], chosen: Choice | None) -> str:
    bare = {key: value for key, value in label.items() if key != "fixed"}
    [definition] = parse_definitions({"labels": [bare]}).values()
    words = definition.said_in(())
    about = f": {words.about}" if words.about else ""
    shown = f"{definition.severity}, blurs {definition.blurs}, {definition.default.word} by default"
    fixed = ", and no less" if label.get("fixed") else ""
    said = f"; you: {chosen.word}" if chosen is not None else ""
    return f"{label['value']}  {words.name}{about} ({shown}{fixed}{said})"


def _words(settings: Settings) -> dict[str, str]:
    return {value: choice.word for value, choice in sorted(settings.items())}


def _in_words(settings: Settings) -> str:
    said = ", ".join(f"{choice} {value}" for value, choice in _words(settings).items())
    return f": {said}" if said else ""
