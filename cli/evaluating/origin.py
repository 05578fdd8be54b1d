"""What a model learnt from: written beside it by `moderate train`, so that others know what it has not seen.

The file names the folder's texts by one hash, and each text by a piece of a hash of its form: whoever has a
text can tell whether the model learnt from it, and nobody can read one out of it.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.evaluating.corpus import Corpus, Item
from folkmoot.cli.evaluating.folders import Sets
from folkmoot.cli.evaluating.jobs import COST
from folkmoot.protocol.moderation.text.features import FEATURES_VERSION
from msgspec import Meta, Struct

SUFFIX: Final = ".taught.json"
VERSION: Final = 1
_MOST_BYTES: Final = 64 << 20
_PIECE: Final = 8  # bytes of a hash; two of a million texts share one once in 40 million cases
_TEXTS: Final = b"folkmoot-labelled-v1\0"

_Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Origin(Struct, forbid_unknown_fields=True):
    """See the module.

    Args:
        version: of this form.
        model: the hash of the model.
        question: what it judges.
        seed: of its training.
        texts: see `texts_hash`.
        cost, features, unicode: how texts were read and learnt from; with others the model is another.
        seen: pieces of hashes of what it learnt from, in Base64.
    """

    version: Literal[1]
    model: _Hash
    question: str
    seed: int
    texts: _Hash
    cost: float
    features: int
    unicode: str
    seen: str

    def has_seen(self) -> frozenset[bytes]:
        """What it learnt from, as `marks_of` gives it.

        Raises:
            ValueError: it is damaged.
        """
        data = b64decode(self.seen, validate=True)
        return frozenset(data[at : at + _PIECE] for at in range(0, len(data), _PIECE))

    @property
    def is_read_alike(self) -> bool:
        """Whether texts are read and learnt from here as they were then."""
        return (self.features, self.unicode, self.cost) == (
            FEATURES_VERSION,
            unicodedata.unidata_version,
            COST,
        )


def asked_of(sets: Sets, question: str) -> Sets:
    """The sets that say something of a question."""
    return {
        name: entries for name, entries in sets.items() if any(question in each.answers for each in entries)
    }


def texts_hash(sets: Sets, question: str) -> str:
    """The SHA-256, in hex, over the labelled texts of a question: sets, rows in their order, and answers.

    Args:
        sets: of a folder.
    """
    hashed = hashlib.sha256(_TEXTS)
    for name, entries in asked_of(sets, question).items():
        for entry in entries:
            answer = entry.answers.get(question)
            row = [name, entry.text, entry.group, entry.about, answer, entry.tested]
            hashed.update(json.dumps(row).encode() + b"\n")
    return hashed.hexdigest()


def marks_of(name: str, item: Item) -> tuple[bytes, ...]:
    """What a text is recognised by: its form, and what it belongs together with.

    Args:
        name: of its set.
    """
    if item.group is None:
        return (item.form[:_PIECE],)
    group = hashlib.sha256(json.dumps([name, item.group]).encode()).digest()
    return item.form[:_PIECE], group[:_PIECE]


def origin_of(corpus: Corpus, question: str, *, model: str, seed: int, texts: str) -> Origin:
    """What a model learnt from that was taught by all that a folder says of a question."""
    marks: Iterable[bytes] = {
        mark
        for name, items in corpus.items()
        for item in items
        if question in item.answers
        for mark in marks_of(name, item)
    }
    seen = b64encode(b"".join(sorted(marks))).decode()
    here = (COST, FEATURES_VERSION, unicodedata.unidata_version)
    return Origin(VERSION, model, question, seed, texts, *here, seen)


def write(file: Path, origin: Origin) -> None:
    """Write it: the same bytes for the same texts.

    Raises:
        OSError: it cannot be written.
    """
    file.write_bytes(msgspec.json.encode(origin) + b"\n")


def read(file: Path, model: str) -> Origin | None:
    """What stands in a file; None where there is none.

    Args:
        model: the hash of the model that it is to be about.

    Raises:
        OperatorError: it is damaged, or about another model.
    """
    hint = "take it away, or fetch it again; folkmoot moderate train writes one beside the model"
    try:
        with file.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise OperatorError(f"{file}: over {_MOST_BYTES:,} bytes", hint=hint)
        origin = msgspec.json.decode(data, type=Origin)
        origin.has_seen()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperatorError(f"{file}: {error.strerror}", hint=hint) from error
    except (msgspec.MsgspecError, NotBase64, ValueError) as error:
        raise OperatorError(f"{file}: does not say what a model learnt from: {error}", hint=hint) from error
    if origin.model != model:
        raise OperatorError(f"{file}: is about another model, {origin.model}", hint=hint)
    return origin
