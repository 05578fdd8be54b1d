"""Whether a container has nothing but sound: those of sound and of films are the same, and both are played.

What cannot be followed to its end has not been shown to be sound alone. Looking takes bounded work for each
byte there is.

Sources: MP4 (ISO 14496-12, 8.4.3), Matroska (RFC 9559, 5.1.4.1.3; RFC 8794), Ogg (RFC 3533, 6).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Final, NamedTuple

from folkmoot.protocol.media.window import Window

_PARTS: Final = 65_536  # boxes, elements or pages that are followed, whatever they are like …
_PART_BYTES: Final = 64  # … and as many more as have this length, as what programs write has
_SOUND_BOXES: Final = frozenset({b"soun", b"meta", b"text", b"sbtl", b"subt", b"hint"})
_SOUND_STREAMS: Final = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")
_TRACK: Final = b"trak"
_DEPTH: Final = (b"moov", _TRACK, b"mdia")  # in each other, and in the last what a track is

_SEGMENT: Final = b"\x18\x53\x80\x67"
_TRACKS: Final = b"\x16\x54\xae\x6b"
_CLUSTER: Final = b"\x1f\x43\xb6\x75"
_ENTRY: Final = b"\xae"
_TYPE: Final = b"\x83"
_INTO: Final = frozenset({_SEGMENT, _TRACKS, _ENTRY})
_SOUND_TYPES: Final = frozenset({2, 17})  # sound, and subtitles

_PAGE_HEAD: Final = 27
_BEGINS: Final = 0x02
_SERIAL: Final = slice(14, 18)  # of the stream that a page belongs to
_STREAMS: Final = 4_096  # that are followed, as when as many pieces were put one after the other


class _Part(NamedTuple):
    """A box or an element: what it is, and from where to where its content goes; None is the file's end."""

    name: bytes
    begins: int
    ends: int | None


def is_sound_alone(mime: str, window: Window) -> bool:
    """Whether a file has sound in it and nothing to be seen but words.

    Args:
        mime: what it is said to be, which fits its header: `audio/mpeg` or a container.
        window: onto all of it.
    """
    match mime:
        case "audio/mp4":
            return _is_sound_in_mp4(window)
        case "audio/webm":
            return _is_sound_in_webm(window)
        case "audio/ogg":
            return _is_sound_in_ogg(window)
        case _:
            return mime == "audio/mpeg"


def _is_sound_in_mp4(window: Window) -> bool:
    tracks, told = 0, 1  # and how often the latest track says what it is
    for name, begins, _ in _boxes(window, 0, None, _DEPTH):
        if name == _TRACK:
            if told != 1:
                return False
            tracks, told = tracks + 1, 0
        elif name == b"hdlr":
            told += 1
            if window.at(begins + 8, 4) not in _SOUND_BOXES:
                return False
        elif not name:
            return False
    return tracks > 0 and told == 1


def _is_sound_in_webm(window: Window) -> bool:
    tracks, told, entry_ends = 0, 1, 0  # and how often the latest entry says what it is
    for name, begins, ends in _elements(window):
        if name == _ENTRY and ends is not None:
            if told != 1:
                return False
            tracks, told, entry_ends = tracks + 1, 0, ends
        elif name == _TYPE and ends is not None:
            told += 1
            sort = int.from_bytes(window.at(begins, min(ends - begins, 8)), "big")
            if ends > entry_ends or sort not in _SOUND_TYPES:
                return False
        elif not name:
            return False
    return tracks > 0 and told == 1


def _is_sound_in_ogg(window: Window) -> bool:
    at = 0
    begun: set[bytes] = set()  # streams, which may begin anywhere
    for part in count():
        head = window.at(at, _PAGE_HEAD)
        if not head:
            return bool(begun)
        if len(head) < _PAGE_HEAD or not head.startswith(b"OggS") or part > _most(at):
            break
        lengths = window.at(at + _PAGE_HEAD, head[26])
        begins = at + _PAGE_HEAD + len(lengths)
        if head[5] & _BEGINS:
            begun.add(head[_SERIAL])
            if len(begun) > _STREAMS or not window.at(begins, 8).startswith(_SOUND_STREAMS):
                break
        elif head[_SERIAL] not in begun:
            break
        at = begins + sum(lengths)
    return False


def _boxes(window: Window, at: int, end: int | None, into: tuple[bytes, ...]) -> Iterator[_Part]:
    """The boxes that are gone into, each before what is in it, and what is in the innermost of them; one
    without a name where it goes wrong."""
    stack = [(at, end, into)]
    for _ in range(_PARTS):
        at, end, into = stack.pop()
        head = window.at(at, 16)
        if (end is not None and at >= end) or not head:
            if not stack:
                return
            continue
        if len(head) < 8:
            break
        length = int.from_bytes(head[:4], "big")
        begins = at + 8
        if length == 1:
            length, begins = int.from_bytes(head[8:16], "big"), at + 16
        ends = None if length == 0 else at + length
        if ends is not None and ends < begins:
            break
        if ends is not None:
            stack.append((ends, end, into))
        is_gone_into = head[4:8] in into[:1]
        if is_gone_into:
            stack.append((begins, ends, into[1:]))
        if is_gone_into or not into:
            yield _Part(head[4:8], begins, ends)
        if not stack:
            return
    yield _Part(b"", at, None)


def _elements(window: Window) -> Iterator[_Part]:
    """The elements of a Matroska file one after the other, those in the ones that are gone into as well."""
    at = 0
    within: list[int] = []  # where those end that are gone into, the innermost last
    for part in count():
        head = window.at(at, 12)
        if not head:
            return
        if part > _most(at):
            break
        while within and at == within[-1]:
            within.pop()
        name_length = _length_of(head[0])
        size_at = name_length
        if not 1 <= name_length <= 4 or len(head) <= size_at:
            break
        size_length = _length_of(head[size_at])
        raw = head[size_at : size_at + size_length]
        if not size_length or len(raw) < size_length:
            break
        size = int.from_bytes(raw, "big") & (1 << 7 * size_length) - 1
        begins = at + size_at + size_length
        is_unknown = size == (1 << 7 * size_length) - 1
        name = head[:name_length]
        ends = begins if is_unknown else begins + size
        if (is_unknown and name not in (_SEGMENT, _CLUSTER)) or (within and ends > within[-1]):
            break
        yield _Part(name, begins, None if is_unknown else ends)
        if name in _INTO and not is_unknown:
            within.append(ends)
        at = begins if name in _INTO else ends
    yield _Part(b"", at, None)


def _most(at: int) -> int:
    return _PARTS + at // _PART_BYTES


def _length_of(first: int) -> int:
    """How many bytes a number of Matroska has, by its first; 0 for none."""
    return 9 - first.bit_length() if first else 0
