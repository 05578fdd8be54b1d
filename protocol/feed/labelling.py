"""Whose labels an account heeds, and how: what it has said in its preferences about labels.

- `labels` is about the labels that the cluster's nodes, moderators and authors themselves give, which are
  always heeded: `{set?: {value: choice}, languages?: [tag]}`. Languages are those in which the account wants
  to be told what labels mean, the dearest first.
- `labels:` and a labeller's account as text is about one other labeller: `{on: bool, set?: {value: choice}}`.
  While it is on, the account *subscribes* to that labeller.

A choice is `ignore`, `warn` or `hide`; what is not set is as the label's definition says. Preferences are
registers: of several survivors the display winner counts. They are checked where they come in; of what cannot
be read nothing is heeded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.identity import account_from_text, account_to_text
from folkmoot.protocol.moderation import bounds
from folkmoot.protocol.moderation.definitions import Choice, check_value, parse_choice
from folkmoot.protocol.moderation.table import LANGUAGE

if TYPE_CHECKING:
    from folkmoot.protocol.record import Record

OWN: Final = b"labels"
"""The preference about the cluster's and authors' own labels."""

_OF: Final = b"labels:"

Settings = Mapping[str, Choice]
"""What was chosen for labels, by their values."""


class Subscription(NamedTuple):
    """What an account has said about one labeller.

    Args:
        on: whether it heeds that labeller.
        settings: what it chose.
    """

    on: bool
    settings: Settings

    def body(self) -> dict[str, Any]:
        """The body of the preference that says so."""
        return {"on": self.on, **_set(self.settings)}


class OwnLabels(NamedTuple):
    """What an account has said about the cluster's and authors' labels.

    Args:
        settings: what it chose.
        languages: in which it wants to be told, in lower case.
    """

    settings: Mapping[str, Choice] = {}
    languages: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        """The body of the preference that says so."""
        return {**_set(self.settings), **({"languages": list(self.languages)} if self.languages else {})}


@dataclass(frozen=True, slots=True)
class Labelling:
    """Whose labels somebody heeds.

    Args:
        labellers: those subscribed to (34 bytes each), with what was chosen of each.
        own: of the cluster's and authors' labels.
        cut: whether there were more labellers than may be.
    """

    labellers: Mapping[bytes, Settings] = field(default_factory=dict)
    own: OwnLabels = field(default_factory=OwnLabels)
    cut: bool = False


NO_LABELLING: Final = Labelling()


def preference_of(labeller: bytes) -> bytes:
    """The name of the preference about one labeller (34 bytes)."""
    return _OF + account_to_text(labeller).encode()


def labeller_of(item: bytes) -> bytes | None:
    """The labeller that a preference of this name is about; None for others."""
    if not item.startswith(_OF):
        return None
    try:
        found = account_from_text(item[len(_OF) :].decode())
    except (UnicodeDecodeError, WireError):
        return None
    return found if preference_of(found) == item else None


def check_labelling(item: bytes, body: Mapping[str, Any]) -> None:
    """Check a preference where it comes in, if it is about labels.

    Raises:
        WireError: `bad_request` or `too_large`, saying what is wrong.
    """
    if item == OWN:
        parse_own(body)
    elif item.startswith(_OF):
        if labeller_of(item) is None:
            raise WireError(BAD_REQUEST, "a preference about a labeller is named labels:did:key:z…")
        parse_subscription(body)


def parse_own(body: Mapping[str, Any]) -> OwnLabels:
    """Read the preference `labels`.

    Raises:
        WireError: `bad_request` or `too_large`.
    """
    languages = body.get("languages", [])
    if not isinstance(languages, list) or len(languages) > bounds.VIEWER_LANGUAGES:
        raise WireError(
            BAD_REQUEST, f"languages are a list of at most {bounds.VIEWER_LANGUAGES} language tags"
        )
    for tag in languages:
        if type(tag) is not str or len(tag) > bounds.LANGUAGE_CODE_POINTS or not LANGUAGE.fullmatch(tag):
            raise WireError(BAD_REQUEST, f"{str(tag)[:64]!r} is no language tag in lower case, such as pt-br")
    return OwnLabels(_settings(body), tuple(dict.fromkeys(languages)))


def parse_subscription(body: Mapping[str, Any]) -> Subscription:
    """Read a preference about a labeller.

    Raises:
        WireError: `bad_request` or `too_large`.
    """
    on = body.get("on", False if "erase" in body else None)
    if type(on) is not bool:
        raise WireError(BAD_REQUEST, "a preference about a labeller is {on: bool, set?: {label: choice}}")
    return Subscription(on, _settings(body))


def labelling_of(records: Iterable[Record]) -> Labelling:
    """What the survivors of an account's preferences come to, in whatever order."""
    winners: dict[bytes, Record] = {}
    for record in records:
        known = winners.get(record.item)
        if known is None or (known.stamp, known.id) < (record.stamp, record.id):
            winners[record.item] = record
    own = OwnLabels()
    found: list[tuple[int, bytes, Settings]] = []
    for item, record in winners.items():
        labeller = labeller_of(item)
        try:
            if item == OWN:
                own = parse_own(record.body)
            elif labeller is not None and (said := parse_subscription(record.body)).on:
                found.append((record.stamp, labeller, said.settings))
        except WireError:
            continue
    if not found and own == OwnLabels():
        return NO_LABELLING
    found.sort(key=lambda each: each[:2], reverse=True)
    newest = {labeller: settings for _, labeller, settings in found[: bounds.LABELLERS]}
    return Labelling(newest, own, len(found) > bounds.LABELLERS)


def _settings(body: Mapping[str, Any]) -> Settings:
    said = body.get("set", {})
    if not isinstance(said, Mapping):
        raise WireError(BAD_REQUEST, "set is a map of labels to ignore, warn or hide")
    if len(said) > bounds.LABEL_SETTINGS:
        raise WireError(TOO_LARGE, f"{len(said)} labels are set; at most {bounds.LABEL_SETTINGS} can be")
    return {check_value(value): parse_choice(choice) for value, choice in said.items()}


def _set(settings: Settings) -> dict[str, Any]:
    return {"set": {value: choice.word for value, choice in settings.items()}} if settings else {}
