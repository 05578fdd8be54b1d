"""Whether a medium is what it is said to be, by its own bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.media.kinds import kind_of
from folkmoot.protocol.media.manifest import CHUNK_BYTES, Manifest
from folkmoot.protocol.media.tracks import is_sound_alone
from folkmoot.protocol.media.window import Read, Window


def check_kind(manifest: Manifest, chunk: Callable[[int], bytes], max_megapixels: float) -> None:
    """Refuse what is not what it is said to be, or unfolds to too much. It blocks if `chunk` does.

    Args:
        manifest: with what was said of it.
        chunk: gives a chunk, by its number; of a file that says late how large it is many are asked for.
        max_megapixels: of a picture, in millions of pixels.

    Raises:
        WireError: `bad_request`, `too_large`; or what `chunk` raises.
    """
    kind = kind_of(chunk(0), _reader(manifest, chunk))
    if kind is None or manifest.mime not in kind.types:
        found = "nothing that is known here" if kind is None else kind.types[0]
        raise WireError(
            BAD_REQUEST,
            f"the file was said to be {manifest.mime}, and by its first bytes is {found}; nothing was kept",
        )
    if manifest.mime.startswith("audio/"):
        _check_sound(manifest.mime, Window(_reader(manifest, chunk)))
    if not kind.is_picture:
        return
    if kind.size is None or not kind.size.width or not kind.size.height:
        raise WireError(BAD_REQUEST, "the picture's header does not say how large it is; nothing was kept")
    width, height = kind.size
    if width * height > max_megapixels * 1_000_000:
        raise WireError(
            TOO_LARGE,
            f"the picture has {width} × {height} pixels; this node takes {max_megapixels:g} million. "
            "Nothing was kept: send it smaller",
            details={"width": width, "height": height},
        )


def _check_sound(mime: str, window: Window) -> None:
    if not is_sound_alone(mime, window):
        raise WireError(
            BAD_REQUEST,
            f"the file was said to be {mime}, and has more in it than sound, or cannot be followed; nothing "
            f"was kept: send it as video/{mime.partition('/')[2]} if it is a film",
        )


def _reader(manifest: Manifest, chunk: Callable[[int], bytes]) -> Read:
    """Read from any place of what is kept in chunks."""
    once = lru_cache(maxsize=1)(chunk)  # pieces that follow each other come from one

    def read(offset: int, size: int) -> bytes:
        data, end = b"", min(offset + size, manifest.size)
        while offset < end:
            index, within = divmod(offset, CHUNK_BYTES)
            piece = once(index)[within : within + end - offset]
            data += piece
            offset += len(piece)
        return data

    return read
