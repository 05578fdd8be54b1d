"""Files for these tests: real headers, and as many bytes after them as are wanted."""

from __future__ import annotations

import struct
from random import Random

from folkmoot.protocol.media.manifest import Manifest, manifest_of


def png(size: int, *, width: int = 640, height: int = 480, seed: int = 1) -> bytes:
    """A PNG by its header, of so many bytes."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    return head + Random(seed).randbytes(size - len(head))


def of(data: bytes, mime: str = "image/png") -> Manifest:
    """Its manifest."""
    return manifest_of([data], mime)


def chunks(data: bytes, manifest: Manifest) -> list[bytes]:
    """The file, cut as its manifest says."""
    cut, at = [], 0
    for index in range(len(manifest.chunks)):
        cut.append(data[at : at + manifest.length(index)])
        at += manifest.length(index)
    return cut
