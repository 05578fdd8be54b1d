"""What a file is, by its first bytes: each format's own header, and what only looks like one."""

from __future__ import annotations

import struct

import pytest
from folkmoot.node.media.checking import check_kind
from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, ErrorKind, WireError
from folkmoot.protocol.media.kinds import TYPES, Kind, Size, kind_of
from folkmoot.protocol.media.manifest import CHUNK_BYTES
from hypothesis import given
from hypothesis import strategies as st

from tests.media import pictures

SIZE = Size(640, 480)
SOF = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 480, 640) + b"\x03"
EXIF = b"\xff\xe1\xea\x60" + bytes(0xEA60 - 2)
AVIF_BOX = struct.pack(">I4s4sI", 24, b"ftyp", b"avif", 0) + b"mif1miaf"


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, name) + content


def ispe(width: int, height: int) -> bytes:
    return box(b"ispe", bytes(4) + struct.pack(">II", width, height))


def meta(*sizes: bytes) -> bytes:
    return box(b"meta", bytes(4) + box(b"hdlr", bytes(8)) + box(b"iprp", box(b"ipco", b"".join(sizes))))


def frame(width: int, height: int, left: int = 0) -> bytes:
    return b"\x2c" + struct.pack("<HHHHB", left, 0, width, height, 0x80) + bytes(6) + b"\x02\x02\x44\x01\0"


GIF = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(6) + b"\x21\xf9\x04" + bytes(4) + b"\0"
VP8X = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")
VP8L = b"VP8L" + struct.pack("<I", 9) + b"\x2f" + (639 | 479 << 14).to_bytes(4, "little") + bytes(8)
VP8 = b"VP8 " + struct.pack("<I", 20) + bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", 640, 480)


def riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def mp4(brand: bytes, *others: bytes) -> bytes:
    box = brand + bytes(4) + b"".join(others)
    return struct.pack(">I4s", len(box) + 8, b"ftyp") + box


def tracks(*sorts: bytes) -> bytes:
    """An MP4's box that tells of its tracks."""
    made = [box(b"trak", box(b"mdia", box(b"hdlr", bytes(8) + sort + bytes(13)))) for sort in sorts]
    return box(b"moov", box(b"mvhd", bytes(20)) + b"".join(made))


TRACKLESS = box(b"trak", box(b"tkhd", bytes(84)) + box(b"mdia", box(b"mdhd", bytes(24))))
SOUND = box(b"trak", box(b"mdia", box(b"hdlr", bytes(8) + b"soun" + bytes(13))))


def element(name: bytes, content: bytes) -> bytes:
    return name + (len(content) | 1 << 28).to_bytes(4, "big") + content


def entry(*types: int) -> bytes:
    """A WebM's entry of a track, which is said to be all of these."""
    return element(
        b"\xae", element(b"\xd7", b"\1") + b"".join(element(b"\x83", bytes([each])) for each in types)
    )


def webm_of(tracks: bytes) -> bytes:
    """A WebM whose segment says nothing of its length, with a cluster before its tracks."""
    inside = element(b"\x1f\x43\xb6\x75", element(b"\xa3", bytes(99))) + element(b"\x16\x54\xae\x6b", tracks)
    head = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"webm"))
    return head + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + inside


def webm(*sorts: int) -> bytes:
    """A WebM with a track of each sort."""
    return webm_of(b"".join(map(entry, sorts)))


def page(content: bytes, serial: int, flags: int = 0) -> bytes:
    """A page of an Ogg."""
    head = b"OggS\0" + bytes([flags]) + bytes(8) + serial.to_bytes(4, "little") + bytes(8)
    return head + b"\1" + bytes([len(content)]) + content


def ogg(*streams: bytes) -> bytes:
    """An Ogg with the first page of each stream, and a page of data of each."""
    first = [page(each, serial, 2) for serial, each in enumerate(streams)]
    return b"".join(first) + b"".join(page(bytes(5), serial) for serial in range(len(streams)))


KNOWN = [
    (pictures.png(100), "image/png", SIZE),
    (b"\xff\xd8" + SOF, "image/jpeg", SIZE),
    (b"\xff\xd8" + EXIF + SOF, "image/jpeg", SIZE),
    (b"\xff\xd8\xff\xff\xff\xd0" + SOF.replace(b"\xff\xc0", b"\xff\xc2"), "image/jpeg", SIZE),
    (b"\xff\xd8" + EXIF[:100], "image/jpeg", None),
    (b"\xff\xd8\xff\xc4\x00\x08" + struct.pack(">HH", 480, 640) + bytes(4), "image/jpeg", None),
    (b"GIF89a" + struct.pack("<HH", 640, 480), "image/gif", SIZE),
    (b"GIF89a", "image/gif", None),
    (riff(VP8X), "image/webp", SIZE),
    (riff(VP8L), "image/webp", SIZE),
    (riff(VP8), "image/webp", SIZE),
    (riff(b"XXXX"), "image/webp", None),
    (GIF + frame(8, 8) + frame(640, 480), "image/gif", SIZE),
    (GIF + frame(8, 480, left=632) + b"\x3b", "image/gif", SIZE),
    (GIF + frame(8, 8)[:9], "image/gif", Size(8, 8)),
    (AVIF_BOX + meta(ispe(8, 8), ispe(640, 480)), "image/avif", SIZE),
    (AVIF_BOX + struct.pack(">I4sQ", 1, b"free", 20) + bytes(4) + meta(ispe(640, 480)), "image/avif", SIZE),
    (AVIF_BOX + box(b"free", ispe(8, 8)) + meta(ispe(640, 480)), "image/avif", SIZE),
    (AVIF_BOX + box(b"free", meta(ispe(8, 8))) + box(b"mdat", bytes(99)), "image/avif", None),
    (AVIF_BOX + box(b"mdat", ispe(8, 8)), "image/avif", None),
    (AVIF_BOX + meta(ispe(640, 480)[:-1]), "image/avif", None),
    (mp4(b"isom", b"avc1"), "video/mp4", None),
    (mp4(b"XXXX", b"mp42"), "video/mp4", None),
    (mp4(b"M4A "), "audio/mp4", None),
    (b"\x1a\x45\xdf\xa3" + bytes(16) + b"webm", "video/webm", None),
    (b"OggS\x00", "audio/ogg", None),
    (b"ID3\x04", "audio/mpeg", None),
    (b"\xff\xfb\x90\x64", "audio/mpeg", None),
]


@pytest.mark.parametrize(("data", "mime", "size"), KNOWN)
def test_each_format_is_told_by_its_header(data: bytes, mime: str, size: Size | None) -> None:
    kind = kind_of(data)
    assert kind is not None and (kind.types[0], kind.size) == (mime, size)
    assert set(kind.types) <= set(TYPES)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"<!DOCTYPE html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<?xml version='1.0'?>"),
        *(b"MZ\x90\x00", b"\x7fELF", b"PK\x03\x04", b"%PDF-1.7", b"#!/bin/sh", mp4(b"qt  "), mp4(b"heic")),
        *(b"\xff\xff\xff\xff", b"\xff\xe8\x90\x64", b"RIFF\0\0\0\0WAVE", b"\x1a\x45\xdf\xa3 matroska"),
    ],
)
def test_all_else_is_nothing_that_is_known(data: bytes) -> None:
    assert kind_of(data) is None


@given(
    st.binary(max_size=400),
    st.sampled_from(
        [b"", b"\xff\xd8\xff", AVIF_BOX, b"RIFF\0\0\0\0WEBPVP8 ", b"GIF89a", b"\x89PNG\r\n\x1a\n"]
    ),
)
def test_no_bytes_bring_it_down(data: bytes, start: bytes) -> None:
    kind = kind_of(start + data)
    assert kind is None or isinstance(kind, Kind)


@pytest.mark.parametrize(
    ("data", "mime", "error"),
    [
        (pictures.png(99), "image/png", None),
        (pictures.png(99), "image/jpeg", BAD_REQUEST),
        (b"<html>", "image/png", BAD_REQUEST),
        (pictures.png(99, width=0), "image/png", BAD_REQUEST),
        (b"\xff\xd8" + EXIF[:90], "image/jpeg", BAD_REQUEST),
        (pictures.png(99, width=1000, height=1000), "image/png", None),
        (pictures.png(99, width=1001, height=1000), "image/png", TOO_LARGE),
        (webm(2), "audio/webm", None),
        (webm(1), "audio/webm", BAD_REQUEST),
        (webm(1), "video/webm", None),
        (webm(), "audio/webm", BAD_REQUEST),
        (b"\x1a\x45\xdf\xa3" + bytes(16) + b"webm", "audio/webm", BAD_REQUEST),
        (mp4(b"isom") + tracks(b"soun"), "audio/mp4", None),
        (mp4(b"isom") + tracks(b"soun", b"vide"), "audio/mp4", BAD_REQUEST),
        (mp4(b"isom") + box(b"mdat", bytes(99)) + tracks(b"vide"), "audio/mp4", BAD_REQUEST),
        (mp4(b"isom") + tracks(b"soun", b"vide"), "video/mp4", None),
        (mp4(b"M4A "), "audio/mp4", BAD_REQUEST),
        (mp4(b"isom") + tracks(b"soun")[:-1] + b"\xff\xff\xff", "audio/mp4", BAD_REQUEST),
        (ogg(b"OpusHead"), "audio/ogg", None),
        (ogg(b"OpusHead", b"\x80theora"), "audio/ogg", BAD_REQUEST),
        (ogg(b"OpusHead") + b"OVP80", "audio/ogg", BAD_REQUEST),
        (ogg(b"OpusHead", b"\x01vorbis"), "audio/ogg", None),
        (ogg(b"OpusHead") + ogg(b"\x01vorbis", b"OpusHead"), "audio/ogg", None),
        (ogg(b"OpusHead") + page(b"OpusHead", 7, 2) + page(bytes(5), 7, 4), "audio/ogg", None),
        (ogg(b"OpusHead") + page(b"\x80theora", 7), "audio/ogg", BAD_REQUEST),
        (ogg(b"OpusHead") + page(b"\x80theora", 0, 2), "audio/ogg", BAD_REQUEST),
        (page(b"\x80theora", 0) + ogg(b"OpusHead"), "audio/ogg", BAD_REQUEST),
        (ogg(b"OpusHead")[:-3], "audio/ogg", None),
        (mp4(b"isom") + box(b"moov", SOUND + SOUND), "audio/mp4", None),
        (mp4(b"isom") + box(b"moov", SOUND + TRACKLESS), "audio/mp4", BAD_REQUEST),
        (mp4(b"isom") + box(b"moov", TRACKLESS + SOUND), "audio/mp4", BAD_REQUEST),
        (mp4(b"isom") + box(b"moov", SOUND + box(b"trak", b"")), "audio/mp4", BAD_REQUEST),
        (mp4(b"isom") + box(b"moov", TRACKLESS) + box(b"moov", SOUND), "audio/mp4", BAD_REQUEST),
        (mp4(b"isom") + box(b"moov", TRACKLESS), "audio/mp4", BAD_REQUEST),
        (mp4(b"isom") + struct.pack(">I4s", 0, b"moov") + SOUND, "audio/mp4", None),
        (
            mp4(b"isom") + struct.pack(">I4s", 0, b"moov") + struct.pack(">I4s", 0, b"udta"),
            "audio/mp4",
            BAD_REQUEST,
        ),
        (webm(2, 17), "audio/webm", None),
        (webm_of(entry(2) + entry()), "audio/webm", BAD_REQUEST),
        (webm_of(entry() + entry(2)), "audio/webm", BAD_REQUEST),
        (webm_of(entry() + entry(2, 2)), "audio/webm", BAD_REQUEST),
        (webm_of(entry(2) + entry() + element(b"\x83", b"\2")), "audio/webm", BAD_REQUEST),
        (webm_of(entry(2)[:-3] + b"\xec\x90" + entry(1)), "audio/webm", BAD_REQUEST),
        (b"ID3\x04" + bytes(99), "audio/mpeg", None),
    ],
)
def test_a_claim_is_held_against_the_header(data: bytes, mime: str, error: ErrorKind | None) -> None:
    manifest = pictures.of(data, mime)
    if error is None:
        check_kind(manifest, pictures.chunks(data, manifest).__getitem__, 1.0)
    else:
        with pytest.raises(WireError) as caught:
            check_kind(manifest, pictures.chunks(data, manifest).__getitem__, 1.0)
        assert caught.value.kind is error


COMMENT = b"\x21\xfe" + 1_100 * (b"\xff" + bytes(255)) + b"\0"
EXIFS = 5 * EXIF
FREE = box(b"free", bytes(300_000))


@pytest.mark.parametrize(
    ("data", "mime", "error"),
    [
        (GIF + COMMENT + frame(65_535, 65_535) + b"\x3b", "image/gif", TOO_LARGE),
        (GIF + COMMENT + frame(8, 8) + b"\0" + frame(65_535, 65_535), "image/gif", TOO_LARGE),
        (GIF + COMMENT + frame(8, 8) + b"\x3b", "image/gif", None),
        (b"\xff\xd8" + EXIFS + SOF, "image/jpeg", None),
        (b"\xff\xd8" + EXIFS + SOF.replace(struct.pack(">H", 640), b"\xff\xff"), "image/jpeg", TOO_LARGE),
        (b"\xff\xd8" + EXIFS, "image/jpeg", BAD_REQUEST),
        (AVIF_BOX + FREE + meta(ispe(640, 480)), "image/avif", None),
        (AVIF_BOX + meta(ispe(8, 8), FREE, ispe(65_535, 65_535)), "image/avif", TOO_LARGE),
        (AVIF_BOX + meta(ispe(8, 8), 4 * FREE, ispe(65_535, 65_535)), "image/avif", BAD_REQUEST),
    ],
)
def test_a_size_is_found_however_late_it_stands(data: bytes, mime: str, error: ErrorKind | None) -> None:
    assert len(data) > CHUNK_BYTES
    test_a_claim_is_held_against_the_header(data, mime, error)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"\xff\xd8", b"\xff\xe1\x00\x02"),
        (b"\xff\xd8", b"\xff"),
        (GIF + b"\x21\xfe", b"\x01!"),
        (GIF, b"\x21\xfe\0"),
        (GIF, b"\0"),
        (AVIF_BOX, box(b"free", b"")),
    ],
)
def test_what_is_cut_into_crumbs_is_not_walked_to_its_end(start: bytes, piece: bytes) -> None:
    data = start + 150_000 * piece
    looked = []

    def read(offset: int, size: int) -> bytes:
        looked.append(offset)
        return data[offset : offset + size]

    kind = kind_of(data[:400], read)
    assert kind is not None and kind.is_picture and kind.size is None and max(looked) < 2 * len(data) // 3
