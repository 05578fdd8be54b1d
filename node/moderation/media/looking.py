"""Looks at one file: decodes it, and says what its pictures are known by and how a model finds them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator

from folkmoot.node.moderation.media import variants
from folkmoot.node.moderation.media.bounds import ALIKE_BITS, HASHES_TOLD, QUALITY_MIN
from folkmoot.node.moderation.media.decoding import (
    BROKEN,
    FORMATS,
    Frame,
    Undecodable,
    Unfinished,
    frames,
    luminance,
    stretched,
)
from folkmoot.node.moderation.media.judged import Judged, Question
from folkmoot.node.moderation.media.pdq import Matrix, quality
from PIL import Image

Model = Callable[[Image.Image], float]
Source = Callable[[bytes, str, int], Iterator[Frame]]


class Looker:
    """See the module.

    Args:
        pixels_max: the most that a frame may have.
        model: how likely a picture is not for everybody, 0 to 1.
        films: what takes films apart, as `decoding.frames` does pictures.
    """

    def __init__(self, pixels_max: int, model: Model | None, films: Source | None = None) -> None:
        self._pixels_max = pixels_max
        self._model = model
        self._films = films

    def practise(self, *examples: tuple[str, bytes]) -> None:
        """Look at a picture of each form, so that nothing that takes has to be imported any more.

        Args:
            examples: other files to look at, each after its type.
        """
        drawn = Image.linear_gradient("L").resize((64, 64)).convert("RGBA")
        for mime, form in FORMATS.items():
            file = io.BytesIO()
            with contextlib.suppress(*BROKEN, KeyError):  # a form that this Pillow does not know
                image = drawn.convert("RGB") if form == "JPEG" else drawn
                image.save(file, form)
                self.look(file.getvalue(), Question(mime, file.tell(), listed=True))
                self.look(file.getvalue(), Question(mime, file.tell()))
        for mime, data in examples:
            self.look(data, Question(mime, len(data)))

    def look(self, data: bytes, question: Question) -> Judged:
        """Look at a file; what cannot be decoded is told, never raised."""
        gathered = _Gathered(variants.listed if question.listed else variants.looked_up)
        source = self._films if self._films and question.mime.startswith("video/") else frames
        best, worst, whole = 0, None, True
        try:
            for image, stands_out in source(data, question.mime, self._pixels_max):
                bright = luminance(image)
                found = quality(bright)
                if found < QUALITY_MIN:
                    bright = stretched(bright)
                    found = quality(bright)
                best = max(best, found)
                if found >= QUALITY_MIN:
                    whole &= gathered.add(bright, stands_out=stands_out)
                if self._model is not None and stands_out:
                    worst = max(self._model(image), worst or 0.0)
        except Undecodable as error:
            return Judged(unjudged=error.reason)
        except MemoryError:
            return Judged(unjudged="too_large")
        except Unfinished:
            whole = False
        return Judged(list(gathered.hashes), best, worst, whole=whole)


class _Gathered:
    """The hashes of one file's frames: all there are of those that stand for it, and of the others the eight
    positions, with a border and without, unless they look like one that was met before."""

    def __init__(self, make: Callable[[Matrix], list[bytes]]) -> None:
        self.hashes: dict[bytes, None] = {}
        self._make = make
        self._met: list[int] = []

    def add(self, bright: Matrix, *, stands_out: bool) -> bool:
        """Take the hashes of a frame; whether there was room for them."""
        upright = variants.plain(bright)
        own = int.from_bytes(upright[0])
        if not stands_out and any((own ^ each).bit_count() <= ALIKE_BITS for each in self._met):
            return True
        made = self._make(bright) if stands_out else upright
        if len(self.hashes) + len(made) > HASHES_TOLD:
            return False
        self._met.append(own)
        self.hashes |= dict.fromkeys(made)
        return True
