"""The manifest of a model that was taught by what people found: all it follows from, but for the texts.

It is JSON, and names each lesson by the record that it is about, so that anybody who may read those can teach
the model anew and compare its hash. It holds no text. What it says of people is what the decisions say:
accounts.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from folkmoot.cli.errors import OperatorError
from folkmoot.protocol.moderation.sampling import MILLION
from folkmoot.protocol.moderation.text.challenging import COST
from folkmoot.protocol.moderation.text.features import FEATURES_VERSION
from folkmoot.protocol.moderation.text.lessons import Lesson
from folkmoot.protocol.moderation.text.weighing import Shares
from msgspec import Meta, Struct

VERSION: Final = 1
_bytes = bytes.fromhex
SUFFIX: Final = ".json"
_COLUMNS: Final = Lesson._fields.index("also_drawn")

_Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
_Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2})+$")]
_Share = Annotated[float, Meta(gt=0.0, le=1.0)]
_Row = tuple[int, _Hash, bool, _Hex, _Hex, _Hex, Annotated[int, Meta(ge=0, le=MILLION)]]


class Manifest(Struct, forbid_unknown_fields=True):
    """See the module.

    Args:
        version: of this form.
        question, base, seed, shares: see `challenging.Plan`; `base` by its hash.
        rules: those of the policy that stood for the question.
        cost, features, unicode: how texts were read and learnt from; with others the model is another.
        lessons: see `Lesson`, hashes and accounts in hex, without `also_drawn`, which teaches nothing.
        model: the hash of what was learnt.
    """

    version: Literal[1]
    question: str
    base: _Hash | None
    seed: int
    shares: tuple[_Share, _Share, _Share]
    rules: list[str]
    cost: float
    features: int
    unicode: str
    lessons: list[_Row]
    model: _Hash

    def read_lessons(self) -> list[Lesson]:
        """The lessons, in their order."""
        return [
            Lesson(stamp, _bytes(version), so, _bytes(by), _bytes(author), _bytes(item), millionths)
            for stamp, version, so, by, author, item, millionths in self.lessons
        ]

    @property
    def is_read_alike(self) -> bool:
        """Whether texts are read and learnt from here as they were then."""
        here = FEATURES_VERSION, unicodedata.unidata_version, COST
        return (self.features, self.unicode, self.cost) == here


def manifest_of(
    question: str,
    lessons: Sequence[Lesson],
    *,
    base: str | None,
    seed: int,
    shares: Shares,
    rules: Sequence[str],
    model: str,
) -> dict[str, Any]:
    """The manifest, as JSON has it."""
    return {
        "version": VERSION,
        "question": question,
        "base": base,
        "seed": seed,
        "shares": list(shares),
        "rules": sorted(set(rules)),
        "cost": COST,
        "features": FEATURES_VERSION,
        "unicode": unicodedata.unidata_version,
        "lessons": [
            [part.hex() if isinstance(part, bytes) else part for part in lesson[:_COLUMNS]]
            for lesson in lessons
        ],
        "model": model,
    }


def write(file: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest: the same bytes for the same lessons.

    Raises:
        OSError: it cannot be written.
    """
    file.write_text(json.dumps(manifest, indent=None, separators=(",", ":"), sort_keys=True) + "\n")


def read(file: Path) -> Manifest:
    """The manifest in a file.

    Raises:
        OperatorError: it is none.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Manifest)
    except OSError as error:
        raise OperatorError(f"{file}: {error.strerror}", hint="name the manifest of a model") from error
    except msgspec.MsgspecError as error:
        raise OperatorError(
            f"{file}: no manifest of a model: {error}",
            hint="folkmoot moderate learn writes one beside the model",
        ) from error
