"""Labelled texts as models see them, and as they are compared with each other."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from folkmoot.cli.evaluating.folders import Sets
from folkmoot.cli.evaluating.forms import Entry
from folkmoot.node.moderation.normalise import folded
from folkmoot.node.moderation.reading import readings, seen
from folkmoot.protocol.moderation.text.features import features
from folkmoot.protocol.moderation.text.groups import NAMES

_NAMES: Final = sorted(NAMES)
_NAMED: Final = re.compile(rf"\b(?:{'|'.join(_NAMES)})\b")


class Item(NamedTuple):
    """One labelled text.

    Args:
        open, blind: its buckets, with groups of people told apart and not (see `reading`).
        names: what of it names a group.
        label, group, about, answers, tested: see `Entry`.
        form: what is the same for texts that are the same but for how they are written.
        swapped: its buckets, groups told apart, with the names of other groups in it; None where it names
            none, or nobody asked.
    """

    open: array[int]
    blind: array[int]
    names: frozenset[str]
    label: int | None
    group: str | None
    about: str
    answers: Mapping[str, bool]
    tested: bool
    form: bytes
    swapped: array[int] | None = None

    def buckets(self, *, blind: bool) -> array[int]:
        """What a model sees."""
        return self.blind if blind else self.open


Corpus = dict[str, list[Item]]


def prepare(sets: Sets, done: Callable[[], None] = lambda: None, *, swaps: bool = False) -> Corpus:
    """Read every text as models do.

    Args:
        done: called after each text.
        swaps: whether also with other names in it.
    """
    corpus: Corpus = {}
    for name, entries in sets.items():
        corpus[name] = items = []
        for entry in entries:
            item = _item(entry)
            twin = swapped(entry.text) if swaps and item.names else None
            items.append(item if twin is None else item._replace(swapped=twin))
            done()
    return corpus


def form_of(text: str) -> bytes:
    """The same for texts that differ in case, accents, look-alikes, signs and spaces only.

    A text without letters and digits is only the same as itself.
    """
    letters = "".join(filter(str.isalnum, folded(text).text))
    return hashlib.blake2b((letters or text).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def swapped(text: str) -> array[int]:
    """What an open model sees of a text in which each group's name is another's, always the same one."""

    def other(name: re.Match[str]) -> str:
        drawn = hashlib.blake2b(f"{name[0]} {text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        at = _NAMES.index(name[0]) + 1 + int.from_bytes(drawn, "big") % (len(_NAMES) - 1)
        return _NAMES[at % len(_NAMES)]

    return features([_NAMED.sub(other, read) for read in readings(text)])


def _item(entry: Entry) -> Item:
    read = seen(entry.text)
    form = form_of(entry.text)
    return Item(
        read.open,
        read.blind,
        read.names,
        entry.label,
        entry.group,
        entry.about,
        entry.answers,
        entry.tested,
        form,
    )
