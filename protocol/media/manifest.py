"""A medium in chunks: what each of them hashes to, so that a wrong one is known when it arrives.

A medium is named by the SHA-256 of its bytes, which nobody can check before the last of them is there. The
manifest names the chunks as well. It comes from whoever sends the medium and is believed no longer than until
the whole is there: then the bytes have the hash they are named by, or are dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, Any, Final

from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.media import bounds
from msgspec import Meta, Struct

HASH_BYTES: Final = 32
CHUNK_BYTES: Final = limits.MEDIA_CHUNK_BYTES

Hash = Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
Size = Annotated[int, Meta(ge=1, le=bounds.MEDIA_BYTES)]
Mime = Annotated[str, Meta(min_length=1, max_length=limits.POST_MIME_CODE_POINTS)]
Index = Annotated[int, Meta(ge=0, lt=bounds.MEDIA_CHUNKS)]


class Manifest(Struct, frozen=True):
    """What a medium is made of.

    Args:
        hash: SHA-256 of its bytes.
        size: in bytes.
        mime: its type, as who sent it says.
        chunks: SHA-256 of each chunk: 256 KiB each, but for the last.
    """

    hash: Hash
    size: Size
    mime: Mime
    chunks: Annotated[list[Hash], Meta(min_length=1, max_length=bounds.MEDIA_CHUNKS)]

    @classmethod
    def from_wire(cls, value: Any, what: str) -> Manifest:
        """Check what came.

        Raises:
            WireError: `bad_request`.
        """
        manifest = codec.shaped(value, cls, what)
        if len(manifest.chunks) != chunk_count(manifest.size):
            raise WireError(
                BAD_REQUEST,
                f"{what}: {manifest.size} bytes are {chunk_count(manifest.size)} chunks of {CHUNK_BYTES}, "
                f"and {len(manifest.chunks)} are named",
            )
        return manifest

    def to_wire(self) -> dict[str, Any]:
        return {"hash": self.hash, "size": self.size, "mime": self.mime, "chunks": self.chunks}

    def length(self, index: int) -> int:
        """How many bytes a chunk has.

        Raises:
            WireError: `bad_request`, when there is no such chunk.
        """
        if not 0 <= index < len(self.chunks):
            raise WireError(
                BAD_REQUEST, f"there is no chunk {index}: the medium has {len(self.chunks)}, from 0 on"
            )
        return min(CHUNK_BYTES, self.size - index * CHUNK_BYTES)

    def check(self, index: int, data: bytes) -> None:
        """Raise `bad_request` unless `data` is the chunk that is named."""
        length = self.length(index)
        if len(data) != length:
            raise WireError(BAD_REQUEST, f"chunk {index} has {length} bytes; {len(data)} came")
        if hashlib.sha256(data).digest() != self.chunks[index]:
            raise WireError(BAD_REQUEST, f"chunk {index} is not what the manifest says: send it again")


class ManifestMaker:
    """Makes the manifest of what is read piece by piece."""

    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self._chunks: list[bytes] = []
        self._chunk = hashlib.sha256()
        self._size = 0

    def add(self, data: bytes) -> None:
        """The next bytes, as many as there are."""
        self._whole.update(data)
        view = memoryview(data)
        while view:
            room = CHUNK_BYTES - self._size % CHUNK_BYTES
            taken, view = view[:room], view[room:]
            self._chunk.update(taken)
            self._size += len(taken)
            if self._size % CHUNK_BYTES == 0:
                self._chunks.append(self._chunk.digest())
                self._chunk = hashlib.sha256()

    def manifest(self, mime: str) -> Manifest:
        """What has been added, as a manifest."""
        chunks = list(self._chunks)
        if self._size % CHUNK_BYTES:
            chunks.append(self._chunk.digest())
        return Manifest(self._whole.digest(), self._size, mime, chunks)


def manifest_of(pieces: Iterable[bytes], mime: str) -> Manifest:
    """The manifest of bytes that come in pieces."""
    maker = ManifestMaker()
    for piece in pieces:
        maker.add(piece)
    return maker.manifest(mime)


def chunk_count(size: int) -> int:
    """How many chunks `size` bytes are."""
    return -(-size // CHUNK_BYTES)
