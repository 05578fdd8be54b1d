"""Labelled texts as models see them, and as they are compared with each other."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Mapping
from typing import NamedTuple

from folkmoot.cli.evaluating.folders import Sets
from folkmoot.cli.evaluating.forms import Entry
from folkmoot.node.moderation.normalise import folded
from folkmoot.node.moderation.reading import seen


class Item(NamedTuple):
    """One labelled text.

    Args:
        open, blind: its buckets, with groups of people told apart and not (see `reading`).
        names: what of it names a group.
        label, group, about, answers, tested: see `Entry`.
        form: what is the same for texts that are the same but for how they are written.
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

    def buckets(self, *, blind: bool) -> array[int]:
        """What a model sees."""
        return self.blind if blind else self.open


Corpus = dict[str, list[Item]]


def prepare(sets: Sets, done: Callable[[], None] = lambda: None) -> Corpus:
    """Read every text as models do.

    Args:
        done: called after each text.
    """
    corpus: Corpus = {}
    for name, entries in sets.items():
        corpus[name] = items = []
        for entry in entries:
            items.append(_item(entry))
            done()
    return corpus


def form_of(text: str) -> bytes:
    """The same for texts that differ in case, accents, look-alikes, signs and spaces only.

    A text without letters and digits is only the same as itself.
    """
    letters = "".join(filter(str.isalnum, folded(text).text))
    return hashlib.blake2b((letters or text).encode("utf-8", "surrogatepass"), digest_size=16).digest()


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
