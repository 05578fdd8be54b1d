"""What of a record the gate looks at: the texts that people are shown, and what can be counted in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from folkmoot.node.moderation.budget import ENDLESS, Budget
from folkmoot.node.moderation.reading import Forms
from folkmoot.protocol.expressions import Value
from folkmoot.protocol.media.references import references
from folkmoot.protocol.record import Record

Texts = Sequence[tuple[str, str]]
"""Texts, each with the name of the field that it stands in."""

Counting = Callable[[str], Mapping[str, Value]]
"""Counts a record by its text (empty to compare it with none), and tells what came before it; see `flood`."""

_NO_MEDIA: Final[Mapping[str, Value]] = {
    "media.pdq_match": False,
    "media.lists": [],
    "media.categories": [],
    "media.nsfw": 0.0,
}

_LINK: Final = re.compile(r"(?:https?://|\bwww\.)\S", re.IGNORECASE)
_MENTION: Final = re.compile(r"(?<!\w)@\w")


@dataclass(slots=True, eq=False)
class Submission:
    """A record before the gate.

    Args:
        texts: those that are judged.
        record: the same, whole; None for a mere text.
        counting: see there; None for what no flood is made of.
        looked_up: the signals that were looked up for it, as far as they are known.
        scored: what models said of it, by their hashes; what they say now is added.
        budget: what judging it may take.
    """

    texts: Texts
    record: Record | None = None
    counting: Counting | None = None
    looked_up: Mapping[str, Value] = field(default_factory=dict)
    scored: dict[str, list[float]] = field(default_factory=dict)
    budget: Budget = ENDLESS
    _forms: Forms | None = field(default=None, init=False)

    @property
    def language(self) -> str:
        """What it says it is in, in lower case; empty where it says none."""
        said = self.record.body.get("lang") if self.record is not None else None
        return said.lower() if isinstance(said, str) else ""

    def joined(self) -> Forms:
        """All its texts as one."""
        if self._forms is None:
            self._forms = Forms("\n".join(text for _field, text in self.texts))
        return self._forms

    def known(self) -> Mapping[str, Value]:
        """The signals of those families that are looked up; what is unknown is left out."""
        if self.record is not None and references(self.record):
            return self.looked_up
        return {**_NO_MEDIA, **self.looked_up}

    def facts(self) -> dict[str, Value]:
        """What can be counted in it: the signals of the family `post`."""
        body = {} if self.record is None else self.record.body
        texts = [text for _field, text in self.texts]
        said = sum(len(_MENTION.findall(text)) for text in texts if "@" in text)
        return {
            "post.kind": "post" if self.record is None else self.record.kind,
            "post.lang": self.language,
            "post.length": float(sum(map(len, texts))),
            "post.links": float(sum(len(_LINK.findall(text)) for text in texts)),
            "post.mentions": float(max(said, len(body.get("mentions") or ()))),
            "post.tags": float(len(body.get("tags") or ())),
            "post.media": float(len(body.get("media") or ())),
            "post.reply": "reply_to" in body,
            "post.quote": "quote" in body,
        }


def texts_of(record: Record) -> Texts | None:
    """The texts of a record that are judged; None for a kind of which nothing is."""
    shown = _SHOWN_TEXTS.get(record.kind)
    return None if shown is None else list(shown(record))


def _texts_of_post(record: Record) -> Iterator[tuple[str, str]]:
    body = record.body
    for name in ("text", "warning", "tags", "labels"):
        if name in body:
            yield from _texts_in(name, body[name])
    for index, medium in enumerate(body.get("media") or ()):
        if "alt" in medium:
            yield f"media.{index}.alt", medium["alt"]


def _texts_of_profile(record: Record) -> Iterator[tuple[str, str]]:
    yield "item", record.item.decode()
    yield from _texts_in("value", record.body["value"])


def _texts_of_label(record: Record) -> Iterator[tuple[str, str]]:
    for name in ("value", "reason"):
        if name in record.body:
            yield name, record.body[name]


def _texts_of_list(record: Record) -> Iterator[tuple[str, str]]:
    for name in ("name", "about"):
        if name in record.body:
            yield name, record.body[name]


def _texts_of_algorithm(record: Record) -> Iterator[tuple[str, str]]:
    document = record.body.get("document", {})
    yield "name", record.item.decode()
    for name in ("title", "about"):
        if name in document:
            yield name, document[name]
    for number, term in enumerate(document.get("terms", ())):
        yield f"terms.{number}.name", term["name"]


# The texts that people are shown, by kind; nothing else is judged.
_SHOWN_TEXTS: Final[dict[str, Callable[[Record], Iterator[tuple[str, str]]]]] = {
    "post": _texts_of_post,
    "profile": _texts_of_profile,
    "label": _texts_of_label,
    "list": _texts_of_list,
    "algorithm": _texts_of_algorithm,
}


def _texts_in(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Every text in a value of a body, however nested (records are at most 16 deep), with its path; the keys
    of maps too, each under the path of what it names."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _texts_in(f"{name}.{index}", entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield f"{name}.{key}", key
            yield from _texts_in(f"{name}.{key}", entry)
