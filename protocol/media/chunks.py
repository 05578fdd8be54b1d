"""A medium as a row of chunks that follow each other, as archives have them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import CHUNK_BYTES, HASH_BYTES, chunk_count


@dataclass(frozen=True, slots=True)
class MediaChunk:
    """A chunk of a medium.

    Args:
        hash: of the whole, 32 bytes.
        size, mime: of the whole.
        index: which chunk, from 0 on.
        data: its bytes.
    """

    hash: bytes
    size: int
    mime: str
    index: int
    data: bytes

    @property
    def is_last(self) -> bool:
        """Whether the medium is whole with it."""
        return self.index + 1 == chunk_count(self.size)


class MediumReader:
    """Checks that chunks are one medium, in order, and that it has the hash it is named by.

    Args:
        first: says what is to come.

    Attributes:
        hash: of the medium.

    Raises:
        WireError: `bad_request`, when there is no such medium.
    """

    def __init__(self, first: MediaChunk) -> None:
        if len(first.hash) != HASH_BYTES or not 1 <= first.size <= bounds.MEDIA_BYTES:
            raise WireError(BAD_REQUEST, "a medium that has no hash of 32 bytes, or no size")
        self.hash = first.hash
        self._of = (first.hash, first.size, first.mime)
        self._whole = hashlib.sha256()
        self._next = 0

    def add(self, chunk: MediaChunk) -> None:
        """The next chunk.

        Raises:
            WireError: `bad_request`, when it is not; or the medium is whole and has another hash.
        """
        length = min(CHUNK_BYTES, chunk.size - chunk.index * CHUNK_BYTES)
        named = f"medium {self.hash.hex()}"
        if (chunk.hash, chunk.size, chunk.mime) != self._of or chunk.index != self._next:
            raise WireError(BAD_REQUEST, f"{named}: chunk {self._next} is missing before it")
        if len(chunk.data) != length:
            raise WireError(
                BAD_REQUEST, f"{named}: chunk {chunk.index} has {length} bytes, not {len(chunk.data)}"
            )
        self._whole.update(chunk.data)
        self._next += 1
        if chunk.is_last and self._whole.digest() != self.hash:
            raise WireError(BAD_REQUEST, f"{named}: its bytes do not have that hash")
