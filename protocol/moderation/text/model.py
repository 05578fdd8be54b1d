"""A text model: classes, a linear head for each, and the bytes it is kept and compared as.

A class is chosen by the greatest margin plus *offset*. Margins are not frequencies, and a head of a rare
class seldom wins; the offsets are what evidence says they should be (see `learning`). Of two classes the
second has the only head, and the first is what is left.

The bytes are canonical MessagePack (see `codec`), weights as 32 bits, least significant byte first. So one
model has one form, and its SHA-256 names it: a policy can say by which model it judges, and two nodes can
tell whether they learnt the same.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from folkmoot.protocol.codec import decode_canonical, encode_canonical
from folkmoot.protocol.errors import FolkmootError, WireError
from folkmoot.protocol.moderation.text.features import BUCKETS, FEATURES_VERSION
from folkmoot.protocol.moderation.text.linear import ONE, LinearModel

FORMAT_VERSION: Final = 1
CLASSES_MAX: Final = 16

_WEIGHT_BYTES: Final = 4
_OFFSET_MAX: Final = 1 << 40


class ModelError(FolkmootError):
    """Bytes that are no model, or one for other texts than are made here."""


@dataclass(frozen=True, slots=True)
class TextModel:
    """What judges texts.

    Args:
        classes: their names, 2 to 16; the first is what nothing is wrong with.
        heads: one a class; of two classes only the second's.
        offsets: what is added to the margin of each head, in units of 1 / `ONE`.
    """

    classes: tuple[str, ...]
    heads: tuple[LinearModel, ...]
    offsets: tuple[int, ...]

    def margins(self, buckets: Collection[int]) -> tuple[float, ...]:
        """The margin of each class, offset included; the greatest wins, the first of equals."""
        margins = tuple(
            head.margin(buckets) + offset / ONE for head, offset in zip(self.heads, self.offsets, strict=True)
        )
        return (0.0, *margins) if len(self.classes) == 2 else margins

    def decide(self, buckets: Collection[int]) -> int:
        """The number of the class that a text is in."""
        return winner(self.margins(buckets))

    def score(self, buckets: Collection[int]) -> float:
        """How far a text is from the first class, whichever of the others it is; higher is worse."""
        if len(self.classes) == 2:
            return self.heads[0].margin(buckets)
        return -self.heads[0].margin(buckets)

    def encode(self) -> bytes:
        """The model's only form in bytes."""
        return encode_canonical(
            {
                "version": FORMAT_VERSION,
                "features": FEATURES_VERSION,
                "classes": list(self.classes),
                "offsets": list(self.offsets),
                "heads": [{"bias": head.bias, "weights": _packed(head.weights)} for head in self.heads],
            }
        )

    def hash(self) -> str:
        """The SHA-256 of `encode`, in hexadecimal."""
        return hashlib.sha256(self.encode()).hexdigest()


def winner(margins: Sequence[float]) -> int:
    """The class with the greatest margin, the first of equals."""
    return max(range(len(margins)), key=margins.__getitem__)


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    bias: int
    weights: bytes


class _Form(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    features: int
    classes: list[str]
    offsets: list[int]
    heads: list[_Head]


def decode(data: bytes) -> TextModel:
    """The model that `TextModel.encode` wrote.

    Raises:
        ModelError: these bytes are no model, damaged, or of a version that is not read here.
    """
    form = _form(data)
    if (form.version, form.features) != (FORMAT_VERSION, FEATURES_VERSION):
        raise ModelError(
            f"a text model of version {form.version}, features {form.features}; this folkmoot reads version "
            f"{FORMAT_VERSION}, features {FEATURES_VERSION}: train it anew"
        )
    if not 2 <= len(form.classes) <= CLASSES_MAX or len(set(form.classes)) < len(form.classes):
        raise ModelError(f"a text model has 2 to {CLASSES_MAX} classes with names of their own")
    wanted = 1 if len(form.classes) == 2 else len(form.classes)
    if len(form.heads) != wanted or len(form.offsets) != wanted:
        raise ModelError(
            f"a text model of {len(form.classes)} classes has {wanted} heads with an offset each"
        )
    if any(abs(number) > _OFFSET_MAX for number in (*form.offsets, *(head.bias for head in form.heads))):
        raise ModelError(f"an offset or a bias of a text model is beyond {_OFFSET_MAX}")
    heads = tuple(LinearModel(_unpacked(head.weights), head.bias) for head in form.heads)
    return TextModel(tuple(form.classes), heads, tuple(form.offsets))


def _form(data: bytes) -> _Form:
    try:
        value: Any = decode_canonical(data)
        return msgspec.convert(value, _Form)
    except WireError as error:
        raise ModelError(f"not a text model: {error.message}") from error
    except msgspec.ValidationError as error:
        raise ModelError(f"not a text model: {error}") from error


def _packed(weights: Sequence[int]) -> bytes:
    words = array("i", weights)
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()


def _unpacked(data: bytes) -> array[int]:
    if len(data) != BUCKETS * _WEIGHT_BYTES:
        raise ModelError(
            f"a head of a text model has {BUCKETS * _WEIGHT_BYTES} bytes of weights, not {len(data)}"
        )
    words = array("i", data)
    if sys.byteorder == "big":
        words.byteswap()
    return words
