"""Pictures out of files that strangers made: their frames, small, in one form.

This runs in a process of its own (`worker`), because what decodes pictures is a large amount of C that reads
what anybody sends. Here is what is refused before it costs anything: other formats than the one that was
named, more pixels than are allowed, of which Pillow would merely warn at first.

A picture that is transparent somewhere can be two: what is seen on a page, and the colours of what is not
seen. Both are looked at.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from folkmoot.node.moderation.media.judged import Unjudged
from folkmoot.node.moderation.media.pdq import Matrix
from PIL import Image, UnidentifiedImageError

FORMATS: Final = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/avif": "AVIF",
}
FRAMES: Final = 5  # of a picture that moves, spread over it, that stand for it
FRAMES_WALKED: Final = 1_000  # beyond which none is looked at: each rests on those before it
PICTURES_WALKED: Final = 4  # … and so many of the most pixels a picture may have, all frames together
SIDE: Final = 1_024  # pixels: to at most so many a picture is reduced before anything is made of it

_LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_SIXTEEN_BITS: Final = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_EXTREMES: Final = (0.5, 99.5)  # percent of the pixels, beyond which one is a speck
_CONTRAST_MIN: Final = 8.0  # of 255: less is what compression makes of one colour
_BACKGROUNDS: Final = ("white", "black")
BROKEN: Final = (
    UnidentifiedImageError,
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
)
"""What Pillow raises for files that are not as they should be: there is no one class of it."""
_BROKEN_INSIDE: Final = (IndexError, KeyError, TypeError, OverflowError, AttributeError, NotImplementedError)


class Undecodable(Exception):
    """There is no picture in a file.

    Args:
        reason: why.
    """

    def __init__(self, reason: Unjudged) -> None:
        super().__init__(reason)
        self.reason = reason


class Unfinished(Exception):
    """There are more frames than are looked at."""


class Frame(NamedTuple):
    """What is to be seen at some moment.

    Args:
        image: in RGB, at most `SIDE` on a side.
        stands_out: whether it is one of the few that stand for all.
    """

    image: Image.Image
    stands_out: bool


def frames(data: bytes, mime: str, pixels_max: int) -> Iterator[Frame]:
    """What is to be seen in a picture, moment by moment.

    Args:
        data: the file.
        mime: what it is said to be.
        pixels_max: the most that one frame may have.

    Raises:
        Undecodable, Unfinished: see there; the latter after all frames that are looked at.
    """
    if mime not in FORMATS:
        raise Undecodable("no_decoder")
    Image.MAX_IMAGE_PIXELS = pixels_max
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a camera wrote wrongly beside a picture
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=[FORMATS[mime]]) as image:
                if image.width * image.height > pixels_max:
                    raise Undecodable("too_large")
                count = getattr(image, "n_frames", 1)
                most = PICTURES_WALKED * pixels_max // max(1, image.width * image.height)
                walked = min(count, FRAMES_WALKED, most)
                chosen = {index * walked // FRAMES for index in range(FRAMES)}
                for index in range(walked):
                    image.seek(index)
                    image.draft("RGB", (SIDE, SIDE))  # JPEG alone can be decoded smaller
                    for shown in seen(image):
                        yield Frame(shown, index in chosen)
                if walked < count:
                    raise Unfinished
        except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
            raise Undecodable("too_large") from error
        except (*BROKEN, *_BROKEN_INSIDE) as error:
            raise Undecodable("unreadable") from error


def luminance(image: Image.Image) -> Matrix:
    """How bright a picture in RGB is: rows × columns, 0 to 255."""
    bright: Matrix = np.asarray(image, dtype=np.float32) @ _LUMA
    return bright


def stretched(bright: Matrix) -> Matrix:
    """A picture with all the contrast there can be, which changes no hash; as it is if it has next to none.

    Who takes contrast away takes away what pictures are found worth comparing by, and viewers give it back.
    """
    dark, light = np.percentile(bright, _EXTREMES)
    if light - dark < _CONTRAST_MIN:
        return bright
    whole: Matrix = ((bright - dark) * (255 / (light - dark))).astype(np.float32)
    return whole


def seen(image: Image.Image) -> Iterator[Image.Image]:
    """The colours of a frame, and if some are transparent, how it looks on a page."""
    if image.mode in _SIXTEEN_BITS:
        scaled = np.clip(np.asarray(image, dtype=np.int64) >> 8, 0, 255).astype(np.uint8)
        yield reduced(Image.fromarray(scaled).convert("RGB"))
    elif image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        whole = reduced(image.convert("RGBA"))
        yield whole.convert("RGB")
        if not _is_opaque(whole):
            for colour in _BACKGROUNDS:
                page = Image.new("RGBA", whole.size, colour)
                yield Image.alpha_composite(page, whole).convert("RGB")
    else:
        yield reduced(image.convert("RGB"))


def _is_opaque(image: Image.Image) -> bool:
    return bool(np.asarray(image.getchannel("A")).min() == 255)


def reduced(image: Image.Image) -> Image.Image:
    """A picture in RGB or RGBA, at most `SIDE` on a side."""
    factor = -(-max(image.size) // SIDE)
    return image.reduce(factor) if factor > 1 else image
