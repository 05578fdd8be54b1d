"""The hashes of pictures, as lists of known ones have them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import trio
from folkmoot.cli.errors import OperatorError
from folkmoot.node.moderation.media.decoders import Decoders
from folkmoot.node.moderation.media.judged import Judged, Question
from folkmoot.protocol.media.bounds import MEDIA_BYTES
from folkmoot.protocol.media.kinds import kind_of
from folkmoot.protocol.media.manifest import CHUNK_BYTES

_WHY = {
    None: "there is too little in it to be known by",
    "no_decoder": "no decoder for it; pictures need the extra [media], films [video]: "
    "pip install 'folkmoot[media,video]'",
    "unreadable": "it is no whole picture or film",
    "too_large": "it unfolds to too many pixels",
    "too_long": "it lasts too long, or there is too much in it",
}


class Hashed(NamedTuple):
    """What is made of a file."""

    file: Path
    judged: Judged

    @property
    def problem(self) -> str | None:
        """Why it has no hashes; None when it has."""
        if self.judged.hashes:
            return None
        return _WHY.get(self.judged.unjudged, "its decoder did not come to an end with it")

    def lines(self, category: str | None) -> Iterator[str]:
        """What stands for it in a list; a comment when nothing can."""
        name = json.dumps(self.file.name)  # in one line, whatever the file is called
        if self.problem is not None:
            yield f"# {name}: {self.problem}"
        for number, digest in enumerate(self.judged.hashes):
            words = [digest.hex(), *([category] if category else []), *([f"# {name}"] if not number else [])]
            yield " ".join(words)


def hashes_of(files: Sequence[Path], pixels_max: int) -> list[Hashed]:
    """Have some pictures hashed, by a process of its own as a node would.

    Raises:
        OperatorError: a file cannot be read, or is larger than any medium.
    """
    return trio.run(_hashes_of, files, pixels_max)


async def _hashes_of(files: Sequence[Path], pixels_max: int) -> list[Hashed]:
    decoders = Decoders(pixels_max)
    found: list[Hashed] = []
    problem: OperatorError | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(decoders.run)
        try:
            for file in files:
                found.append(Hashed(file, await _judged(decoders, file)))
        except OperatorError as error:  # a nursery would wrap it
            problem = error
        nursery.cancel_scope.cancel()
    if problem is not None:
        raise problem
    return found


async def _judged(decoders: Decoders, file: Path) -> Judged:
    try:
        with file.open("rb") as opened:
            data = opened.read(MEDIA_BYTES + 1)
    except OSError as error:
        raise OperatorError(f"{file} cannot be read: {error.strerror}") from error
    if len(data) > MEDIA_BYTES:
        raise OperatorError(f"{file} is larger than any medium, {MEDIA_BYTES} bytes")
    kind = kind_of(data[:CHUNK_BYTES])
    if kind is None or not data:
        return Judged(unjudged="unreadable")

    async def read(index: int) -> bytes:
        return data[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]

    question = Question(kind.types[0], len(data), listed=True)
    return await decoders.judge(question, -(-len(data) // CHUNK_BYTES), read)
