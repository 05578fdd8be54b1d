"""What a file is, by its own first bytes: its type and, of a picture, how many pixels it will have.

Nothing is decoded: the header of each format says it. What a client claims is compared with that, so that
nobody is served a program as a picture, and no viewer is made to unfold a picture of a hundred gigabytes.

Sources: PNG (ISO 15948, 11.2.1), JPEG (ITU T.81, B.2.2), GIF89a (section 18), WebP (RFC 9649, 2.5 to 2.7),
HEIF and AVIF (ISO 23008-12, 6.5.3), MP4 (ISO 14496-12, 4.3), Matroska (RFC 9559), Ogg (RFC 3533), MPEG audio
(ISO 11172-3, 2.4.1.3).
"""

from __future__ import annotations

import re
import struct
from typing import Final, NamedTuple

TYPES: Final = (
    *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"),
    *("video/mp4", "video/webm", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/webm"),
)
"""The types that are told apart. What can carry programs (HTML, SVG) is not among them."""

_AVIF: Final = frozenset({b"avif", b"avis"})
_MP4: Final = frozenset(
    {*(b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42"), *(b"avc1", b"M4V ", b"M4A ", b"dash")}
)
_JPEG_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})  # markers that nothing belongs to
_ISPE: Final = re.compile(rb"ispe\0{4}(.{8})", re.DOTALL)


class Size(NamedTuple):
    """Of a picture, in pixels."""

    width: int
    height: int


class Kind(NamedTuple):
    """What a file is.

    Attributes:
        types: what it may be called, the usual name first: containers of sound and of pictures look alike.
        size: of a picture; None where its header does not say, and of what is no picture.
    """

    types: tuple[str, ...]
    size: Size | None = None

    @property
    def is_picture(self) -> bool:
        return self.types[0].startswith("image/")


def kind_of(head: bytes) -> Kind | None:
    """What begins with `head`; None when it is none of `TYPES`.

    Args:
        head: the first bytes, all there are or at least some hundred KiB: a JPEG's size comes after whatever
            a camera has to say.
    """
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind(("image/png",), _at(head, ">II", 16) if head[12:16] == b"IHDR" else None)
    if head.startswith(b"\xff\xd8\xff"):
        return Kind(("image/jpeg",), _jpeg_size(head))
    if head.startswith((b"GIF87a", b"GIF89a")):
        return Kind(("image/gif",), _at(head, "<HH", 6))
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Kind(("image/webp",), _webp_size(head))
    if head[4:8] == b"ftyp":
        return _iso_kind(head)
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head[:64]:
        return Kind(("video/webm", "audio/webm"))
    if head.startswith(b"OggS"):
        return Kind(("audio/ogg",))
    if head.startswith(b"ID3") or _is_mpeg_audio(head):
        return Kind(("audio/mpeg",))
    return None


def _at(head: bytes, form: str, offset: int) -> Size | None:
    if len(head) < offset + struct.calcsize(form):
        return None
    return Size(*struct.unpack_from(form, head, offset))


def _jpeg_size(head: bytes) -> Size | None:
    """Walk from marker to marker until one says the size."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        elif marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return Size(width, height)
        else:
            at += 2 + struct.unpack_from(">H", head, at + 2)[0]
    return None


def _webp_size(head: bytes) -> Size | None:
    form = head[12:16]
    if form == b"VP8X" and len(head) >= 30:
        width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
        return Size(width, height)
    if form == b"VP8L" and len(head) >= 25 and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if form == b"VP8 " and len(head) >= 30 and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", head, 26)
        return Size(width & 0x3FFF, height & 0x3FFF)
    return None


def _iso_kind(head: bytes) -> Kind | None:
    """ISO base media: the brands in the first box say what it is."""
    length = int.from_bytes(head[:4], "big")
    box = head[8 : min(length, 256)]
    brands = {box[:4], *(box[at : at + 4] for at in range(8, len(box), 4))}
    if brands & _AVIF:
        sizes = [Size(*struct.unpack(">II", found)) for found in _ISPE.findall(head)]
        return Kind(("image/avif",), max(sizes, key=lambda size: size.width * size.height, default=None))
    if brands & _MP4:
        sound = ("audio/mp4", "video/mp4")
        return Kind(sound if box[:4] == b"M4A " else sound[::-1])
    return None


def _is_mpeg_audio(head: bytes) -> bool:
    """A frame header: eleven bits of sync, then version, layer, bit rate and sampling rate that exist."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != 1 and layer != 0 and head[2] >> 4 not in (0, 15) and head[2] >> 2 & 3 != 3
