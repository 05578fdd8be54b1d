"""Looks at one file: decodes it, and says what its pictures are known by and how a model finds them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

from folkmoot.node.moderation.media import variants
from folkmoot.node.moderation.media.bounds import HASHES_TOLD, QUALITY_MIN
from folkmoot.node.moderation.media.decoding import BROKEN, FORMATS, Undecodable, frames, luminance
from folkmoot.node.moderation.media.judged import Judged, Question
from folkmoot.node.moderation.media.pdq import quality
from PIL import Image

Model = Callable[[Image.Image], float]


class Looker:
    """See the module.

    Args:
        pixels_max: the most that a frame may have.
        model: how likely a picture is not for everybody, 0 to 1.
    """

    def __init__(self, pixels_max: int, model: Model | None) -> None:
        self._pixels_max = pixels_max
        self._model = model

    def practise(self) -> None:
        """Look at a picture of each form, so that nothing that takes has to be imported any more."""
        drawn = Image.linear_gradient("L").convert("RGBA")
        for mime, form in FORMATS.items():
            file = io.BytesIO()
            with contextlib.suppress(*BROKEN, KeyError):  # a form that this Pillow does not know
                image = drawn.convert("RGB") if form == "JPEG" else drawn
                image.save(file, form)
                self.look(file.getvalue(), Question(mime, file.tell(), listed=True))
                self.look(file.getvalue(), Question(mime, file.tell()))

    def look(self, data: bytes, question: Question) -> Judged:
        """Look at a file; what cannot be decoded is told, never raised."""
        hashes: dict[bytes, None] = {}
        best, worst = 0, None
        make = variants.listed if question.listed else variants.looked_up
        try:
            for image in frames(data, question.mime, self._pixels_max):
                bright = luminance(image)
                found = quality(bright)
                best = max(best, found)
                if found >= QUALITY_MIN:
                    hashes |= dict.fromkeys(make(bright))
                if self._model is not None:
                    worst = max(self._model(image), worst or 0.0)
        except Undecodable as error:
            return Judged(unjudged=error.reason)
        except MemoryError:
            return Judged(unjudged="too_large")
        return Judged(list(hashes)[:HASHES_TOLD], best, worst)
