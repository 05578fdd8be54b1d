"""Pictures of simulated people: files that are pictures by their first bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from folkmoot.protocol.media.manifest import CHUNK_BYTES, Manifest, manifest_of

MIME: Final = "image/png"
SMALL_BYTES: Final = (200, 20_000)
LARGE_SHARE: Final = 0.2  # of two chunks
_PATTERN_BYTES: Final = 61  # no divisor of a chunk's size, so that no two chunks are equal


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture.

    Args:
        account: whose.
        data: its bytes.
        manifest: what these are.
    """

    account: bytes
    data: bytes
    manifest: Manifest

    @property
    def hash(self) -> bytes:
        """That it is named by."""
        return self.manifest.hash

    def chunk(self, index: int) -> bytes:
        """One chunk."""
        return self.data[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]

    def shown(self) -> dict[str, Any]:
        """As a post shows it."""
        return {"hash": self.hash, "mime": MIME, "size": len(self.data), "alt": "a picture"}


def draw(account: bytes, random: Random) -> Picture:
    """A new picture."""
    size = random.randint(*SMALL_BYTES)
    if random.random() < LARGE_SHARE:
        size += CHUNK_BYTES
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480)
    pattern = random.randbytes(_PATTERN_BYTES)
    data = (head + pattern * (size // _PATTERN_BYTES + 1))[:size]
    return Picture(account, data, manifest_of([data], MIME))
