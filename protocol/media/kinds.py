"""What a file is, by its own first bytes: its type and, of a picture, how many pixels it will have.

Nothing is decoded: the headers of each format say it, in some formats not the first ones alone: those of a
JPEG stand after what a camera has to say, and each frame of a GIF has a size. What a client claims is
compared with that, so that nobody is served a program as a picture, and no viewer is made to unfold a picture
of a hundred gigabytes.

Sources: PNG (ISO 15948, 11.2.1), JPEG (ITU T.81, B.2.2), GIF89a (section 18), WebP (RFC 9649, 2.5 to 2.7),
HEIF and AVIF (ISO 23008-12, 6.5.3), MP4 (ISO 14496-12, 4.3), Matroska (RFC 9559), Ogg (RFC 3533), MPEG audio
(ISO 11172-3, 2.4.1.3).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from folkmoot.protocol.media.window import Read, Window, reader_of

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
_PROPERTIES: Final = (b"iprp", b"ipco")  # boxes in each other in `meta`, in which an AVIF's sizes stand
_JPEG_SEGMENTS: Final = 4_096  # before the size; of 64 KiB each, no medium has more
_GIF_PARTS: Final = 65_536  # of any length; further ones have at least as many bytes as this, on average:
_GIF_PART_BYTES: Final = 64  # encoders fill blocks, with 255
_AVIF_BOXES: Final = 1_024  # beside each other
_AVIF_META_BYTES: Final = 1 << 20  # of the box in which the sizes stand


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


def kind_of(head: bytes, read: Read | None = None) -> Kind | None:
    """What begins with `head`; None when it is none of `TYPES`.

    Looking takes bounded work for each byte there is. What is so cut up that it would take more has no size.

    Args:
        head: the first bytes, some hundred at least.
        read: all of it; None when `head` is all there is, or the size does not matter.
    """
    window = Window(reader_of(head) if read is None else read)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind(("image/png",), _size_at(head, ">II", 16) if head[12:16] == b"IHDR" else None)
    if head.startswith(b"\xff\xd8\xff"):
        return Kind(("image/jpeg",), _jpeg_size(window))
    if head.startswith((b"GIF87a", b"GIF89a")):
        return Kind(("image/gif",), _gif_size(window))
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Kind(("image/webp",), _webp_size(head))
    if head[4:8] == b"ftyp":
        return _iso_kind(head, window)
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head[:64]:
        return Kind(("video/webm", "audio/webm"))
    if head.startswith(b"OggS"):
        return Kind(("audio/ogg",))
    if head.startswith(b"ID3") or _is_mpeg_audio(head):
        return Kind(("audio/mpeg",))
    return None


def is_kind(mime: str, head: bytes) -> bool:
    """Whether what begins with `head` may be called that."""
    kind = kind_of(head)
    return kind is not None and mime in kind.types


def _at(head: bytes, form: str, offset: int) -> tuple[int, ...] | None:
    return struct.unpack_from(form, head, offset) if len(head) >= offset + struct.calcsize(form) else None


def _size_at(head: bytes, form: str, offset: int) -> Size | None:
    found = _at(head, form, offset)
    return None if found is None else Size(*found)


def _jpeg_size(window: Window) -> Size | None:
    """Walk from marker to marker until one says the size."""
    at = 2
    for _ in range(_JPEG_SEGMENTS):
        head = window.at(at, 9)
        if len(head) < 9 or head[0] != 0xFF:
            return None
        marker = head[1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        elif marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", head, 5)
            return Size(width, height)
        else:
            at += 2 + struct.unpack_from(">H", head, 2)[0]
    return None


def _gif_size(window: Window) -> Size | None:
    """The screen's, or more: viewers make room for a frame that is larger, and skip what means nothing."""
    head = window.at(0, 13)
    size = _size_at(head, "<HH", 6)
    if size is None or len(head) < 13:
        return size
    at, parts = 13 + _colours(head[10]), 0
    while (sign := window.at(at, 1)) and sign != b"\x3b":
        if sign == b"\x2c":
            frame = _at(window.at(at + 1, 9), "<HHHHB", 0)
            if frame is None:
                break
            left, top, width, height, packed = frame
            size = Size(max(size.width, left + width), max(size.height, top + height))
            at += 11 + _colours(packed)
        else:
            at += 2 if sign == b"\x21" else 1
        parts += 1
        if sign in b"\x21\x2c":
            at, parts = _after_blocks(window, at, parts)
        if parts > _most_parts(at):
            return None
    return size


def _after_blocks(window: Window, at: int, parts: int) -> tuple[int, int]:
    """Where blocks of data end, of which an empty one is the last, and how many parts there were so far."""
    while (length := window.at(at, 1)) and length != b"\0" and parts <= _most_parts(at):
        at += 1 + length[0]
        parts += 1
    return at + 1, parts


def _most_parts(at: int) -> int:
    return _GIF_PARTS + at // _GIF_PART_BYTES


def _colours(packed: int) -> int:
    """How many bytes a table of colours takes, by the byte that tells of it."""
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


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


def _iso_kind(head: bytes, window: Window) -> Kind | None:
    """ISO base media: the brands in the first box say what it is."""
    length = int.from_bytes(head[:4], "big")
    box = head[8 : min(length, 256)]
    brands = {box[:4], *(box[at : at + 4] for at in range(8, len(box), 4))}
    if brands & _AVIF:
        return Kind(("image/avif",), _avif_size(window))
    if brands & _MP4:
        sound = ("audio/mp4", "video/mp4")
        return Kind(sound if box[:4] == b"M4A " else sound[::-1])
    return None


def _avif_size(window: Window) -> Size | None:
    """The largest of the sizes that its items may have: where a reader looks for them, and nowhere else."""
    inside = _metas(window)
    for name in _PROPERTIES:
        inside = [body for outer in inside for found, body in _boxes(outer) if found == name]
    found = [body for properties in inside for name, body in _boxes(properties) if name == b"ispe"]
    sizes = [Size(*struct.unpack_from(">II", body, 4)) for body in found if len(body) >= 12]
    return max(sizes, key=lambda size: size.width * size.height, default=None)


def _metas(window: Window) -> list[bytes]:
    """The boxes that are in the box `meta`, which has a version and flags before them; wherever it stands."""
    at, found = 0, list[bytes]()
    for _ in range(_AVIF_BOXES):
        head = window.at(at, 16)
        if len(head) < 8:
            return found
        length, begins = _box_length(head)
        if head[4:8] == b"meta":
            body = window.at(at + begins, _AVIF_META_BYTES + 1)
            body = body[: length - begins] if length else body
            if len(body) > _AVIF_META_BYTES:
                return []
            found.append(body[4:])
        if length < begins:  # it is the last, or none
            return found
        at += length
    return []


def _box_length(head: bytes) -> tuple[int, int]:
    """How long a box is, 0 for all there is, and where in it its content begins."""
    length = int.from_bytes(head[:4], "big")
    return (int.from_bytes(head[8:16], "big"), 16) if length == 1 else (length, 8)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes that follow each other, each with its content, as far as that is there."""
    at = 0
    while at + 8 <= len(data):
        length, begins = _box_length(data[at : at + 16])
        end = at + length if length else len(data)
        if end < at + begins:
            return
        yield data[at + 4 : at + 8], data[at + begins : end]
        at = end


def _is_mpeg_audio(head: bytes) -> bool:
    """A frame header: eleven bits of sync, then version, layer, bit rate and sampling rate that exist."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != 1 and layer != 0 and head[2] >> 4 not in (0, 15) and head[2] >> 2 & 3 != 3
