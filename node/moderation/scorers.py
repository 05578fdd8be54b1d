"""The text models of a policy: found by their hashes, checked, and asked for scores.

A model is a file named `<hash>.model`, beside the policy or among the node's own. What is absent, damaged or
says other things than the policy expects has no scores: they are unknown, and the policy says what then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from folkmoot.node.moderation.reading import Forms
from folkmoot.protocol.moderation.bounds import POLICY_MODEL_BYTES
from folkmoot.protocol.moderation.policy import Model, PolicyDocument
from folkmoot.protocol.moderation.signals import SCORES, signal_name
from folkmoot.protocol.moderation.text.model import ModelError, TextModel, decode

SUFFIX: Final = ".model"

_DECIMALS: Final = 3


def model_files(document: PolicyDocument, folders: Sequence[Path]) -> list[Path]:
    """The files in which the models of a policy may be."""
    return [folder / f"{model.hash}{SUFFIX}" for model in document.models for folder in folders]


class UnusableModel(ModelError):
    """The bytes are those that were meant, and they cannot be asked: no other copy of them can."""


class _Scorer(NamedTuple):
    hash: str
    model: TextModel
    blind: bool
    names: tuple[str, ...]

    def ask(self, text: Forms, scored: dict[str, list[float]]) -> None:
        """Have the model score a text."""
        margins = self.model.margins(text.scored(blind=self.blind))
        scored[self.hash] = [round(margin, _DECIMALS) for margin in margins[1:]]


class Asked(NamedTuple):
    """A text that scores are wanted of; see `Scorers.scores`."""

    forms: Forms
    wanted: frozenset[str]
    scored: dict[str, list[float]]


class Scorers:
    """Models that are there.

    Args:
        document: the policy that names them.
        folders: where they are looked for, in this order.

    """

    def __init__(self, document: PolicyDocument, folders: Sequence[Path] = ()) -> None:
        self._unread: dict[str, tuple[Model, str]] = {}
        self._told: dict[str, str] = {}
        self._scorers: list[_Scorer] = []
        for model in document.models:
            try:
                self.take_up(model, _read(model, folders))
            except ModelError as error:
                self._unread[model.id] = model, str(error)

    @property
    def problems(self) -> list[str]:
        """One sentence for each model that cannot be asked."""
        return [
            f"model {name}: {'; '.join(filter(None, (why, self._told.get(name))))}; its scores are unknown"
            for name, (_, why) in self._unread.items()
        ]

    @property
    def wanted(self) -> list[Model]:
        """The models that cannot be asked."""
        return [model for model, _ in self._unread.values()]

    def take_up(self, model: Model, read: TextModel) -> None:
        """Ask a model from now on.

        Args:
            model: what the policy says of it.
            read: it, checked; see `checked`.
        """
        names = tuple(str(signal_name(SCORES, label)) for label in model.labels)
        self._scorers.append(_Scorer(model.hash, read, model.blind, names))
        self._unread.pop(model.id, None)
        self._told.pop(model.id, None)

    def tell(self, model: Model, why: str) -> bool:
        """Say of a model that cannot be asked what came of looking for it elsewhere; whether that is news.

        Args:
            model: what the policy says of it.
            why: a sentence without its full stop, in place of what was said before.
        """
        news = why not in (self._told.get(model.id), self._unread[model.id][1])
        if news:
            self._told[model.id] = why
        return news

    def scores(
        self, text: Forms, wanted: frozenset[str], scored: dict[str, list[float]]
    ) -> Iterator[tuple[str, float]]:
        """The scores of a text, by name, as far as there are any; those of models that nothing is wanted of
        are left out. Above 0 a label's class is nearer than the first class is.

        Args:
            text: any text.
            wanted: names of scores.
            scored: what models said of this text before, by their hashes; what they say now is added.
        """
        for each in self._scorers:
            if not wanted.isdisjoint(each.names):
                if each.hash not in scored:
                    each.ask(text, scored)
                yield from zip(each.names, scored[each.hash], strict=True)

    def ask_of(self, texts: Sequence[Asked]) -> None:
        """Ask for the scores of many texts, which takes less time than to ask for those of one after another:
        first all texts are read, then each model is asked, so that what it needs stays near the processor.
        """
        for each in self._scorers:
            unasked = [text for text in texts if each.hash not in text.scored]
            some = [text for text in unasked if not text.wanted.isdisjoint(each.names)]
            for text in some:
                text.forms.scored(blind=each.blind)
            for text in some:
                each.ask(text.forms, text.scored)


def checked(model: Model, data: bytes, where: Path | str) -> TextModel:
    """A model, if it is the one that was meant.

    Args:
        model: what the policy says of it.
        data: the bytes of its file.
        where: what that is called.

    Raises:
        UnusableModel: it is the one, but is not read here, or scores other labels.
        ModelError: it is another one, or damaged.
    """
    if len(data) > POLICY_MODEL_BYTES:
        raise ModelError(f"{where} is larger than {POLICY_MODEL_BYTES} bytes")
    if hashlib.sha256(data).hexdigest() != model.hash:
        raise ModelError(f"{where} is damaged: its hash is another")
    try:
        read = decode(data)
    except ModelError as error:
        raise UnusableModel(str(error)) from error
    if read.classes[1:] != model.labels:
        raise UnusableModel(f"it scores {', '.join(read.classes[1:])}, not {', '.join(model.labels)}")
    return read


def _read(model: Model, folders: Sequence[Path]) -> TextModel:
    """Find a model and check that it is the one that was meant.

    Raises:
        ModelError: it is nowhere, or is not what the policy says it is.
    """
    name = f"{model.hash}{SUFFIX}"
    for folder in folders:
        try:
            with (folder / name).open("rb") as stream:
                data = stream.read(POLICY_MODEL_BYTES + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ModelError(f"{folder / name} cannot be read: {error.strerror}") from error
        return checked(model, data, folder / name)
    where = " or ".join(map(str, folders)) or "any folder"
    raise ModelError(f"{name} is not in {where}")
