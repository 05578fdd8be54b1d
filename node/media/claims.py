"""What an upload is said to be, compared with its first bytes."""

from __future__ import annotations

from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.media.kinds import kind_of
from folkmoot.protocol.media.manifest import Manifest


def check_kind(manifest: Manifest, head: bytes, max_megapixels: float) -> None:
    """Refuse what is not what it is said to be, or unfolds to too much.

    Args:
        manifest: with what was said of it.
        head: its first chunk.
        max_megapixels: of a picture, in millions of pixels.

    Raises:
        WireError: `bad_request`, `too_large`.
    """
    kind = kind_of(head)
    if kind is None or manifest.mime not in kind.types:
        found = "nothing that is known here" if kind is None else kind.types[0]
        raise WireError(
            BAD_REQUEST,
            f"the file was said to be {manifest.mime}, and by its first bytes is {found}; nothing was kept",
        )
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
