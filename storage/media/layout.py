"""Where a node's media lie, and how one file is laid out.

    media/kept/AA/PLACE/HASH          what this node keeps, as a replica of the account's range
    media/kept/AA/PLACE/HASH.unused   since when (its time of change) no replica knows of a reference to it
    media/cache/AA/PLACE/HASH         what was fetched to be served, and may go at any time
    media/partial/AA/PLACE/HASH       what has not wholly come yet
    media/sealed/AA/PLACE/HASH        what a sealed list knows (see `sealed`)
    media/sealed/AA/PLACE/HASH.custody   the record of who found it, opened it, handed it over and erased it

PLACE is the 40 bytes with which every key under the account begins, in hex, AA the first of them, HASH the
medium's SHA-256. So the folders stand in the order of the key space, and an account's media lie together.

A file is `fmmedia1`, the length of the body (4 bytes, big-endian), the body, the CRC-32 (IEEE) of all these,
and the medium. The body is the manifest as canonical MessagePack: a chunk that is read is compared with it,
so that what the disk has changed is never served.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import INTERNAL, NOT_FOUND, WireError
from folkmoot.protocol.identity import MULTICODEC_ED25519
from folkmoot.protocol.key import HASH_BYTES as PLACE_HASH_BYTES
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.media.manifest import CHUNK_BYTES, Manifest
from folkmoot.storage.errors import StorageError
from folkmoot.storage.media.files import File

MAGIC: Final = b"fmmedia1"
UNUSED: Final = ".unused"
CUSTODY: Final = ".custody"
_LENGTH: Final = struct.Struct(">I")
_CRC_BYTES: Final = 4
_BLOCK_BYTES: Final = 4 * limits.KIB
_HEAD_BYTES: Final = len(MAGIC) + _LENGTH.size
_BODY_BYTES_MAX: Final = 64 * limits.KIB
_READ_BYTES: Final = 1 * limits.MIB


class Area(enum.Enum):
    """Why a file is here."""

    KEPT = "kept"
    CACHE = "cache"
    PARTIAL = "partial"
    SEALED = "sealed"


OPEN_AREAS: Final = (Area.KEPT, Area.CACHE, Area.PARTIAL)
"""Where media are their account's, which may have them gone; what is sealed is evidence, and nobody's."""


class Name(NamedTuple):
    """A medium: the account (34 bytes) that brought it, and its hash (32 bytes)."""

    account: bytes
    hash: bytes


class MediumDamaged(StorageError):
    """A file of a medium is not what was written. It is never served; other replicas may have it whole."""

    kind = INTERNAL
    plainly = "this node's own copy is damaged; other nodes may have it whole"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is damaged: {reason}; it is taken away and fetched again from the other replicas"
        )


def folder_of(area: Path, account: bytes) -> Path:
    """Where the media of an account lie in an area."""
    place = place_prefix(account).hex()
    return area / place[:2] / place


def account_of(folder: str) -> bytes | None:
    """The account (34 bytes) whose media lie in a folder of this name; None when it is none's."""
    try:
        account = MULTICODEC_ED25519 + bytes.fromhex(folder)[PLACE_HASH_BYTES:]
    except ValueError:
        return None
    return account if place_prefix(account).hex() == folder else None


def room_of(file_bytes: int) -> int:
    """How much room a file takes: whole blocks, so that many small ones do not count as nothing."""
    return -(-file_bytes // _BLOCK_BYTES) * _BLOCK_BYTES


def head_of(manifest: Manifest) -> bytes:
    """What stands before the medium's own bytes."""
    body = codec.encode_canonical(manifest.to_wire())
    head = MAGIC + _LENGTH.pack(len(body)) + body
    return head + _LENGTH.pack(zlib.crc32(head))


def read_head(file: File, path: Path) -> tuple[Manifest, int]:
    """The manifest in a file, and where the medium's own bytes begin.

    Raises:
        MediumDamaged: it is not as it was written.
    """
    start = file.read(_HEAD_BYTES, 0)
    if len(start) < _HEAD_BYTES or not start.startswith(MAGIC):
        raise MediumDamaged(path, "it does not begin as media do")
    (length,) = _LENGTH.unpack_from(start, len(MAGIC))
    if length > _BODY_BYTES_MAX:
        raise MediumDamaged(path, "its manifest has no such length")
    rest = file.read(length + _CRC_BYTES, _HEAD_BYTES)
    if zlib.crc32(start + rest[:length]) != int.from_bytes(rest[length:], "big"):
        raise MediumDamaged(path, "the checksum of its manifest does not fit")
    try:
        manifest = Manifest.from_wire(codec.decode_canonical(rest[:length]), "a manifest")
    except WireError as error:
        raise MediumDamaged(path, error.message) from error
    return manifest, _HEAD_BYTES + length + _CRC_BYTES


def offset_of(begins: int, index: int) -> int:
    """Where a chunk stands in a file whose medium begins at `begins`."""
    return begins + index * CHUNK_BYTES


def whole_chunks(file: File, manifest: Manifest, begins: int) -> Iterator[int]:
    """The chunks that are in a file as they should be."""
    for index in range(len(manifest.chunks)):
        with contextlib.suppress(WireError):
            manifest.check(index, file.read(manifest.length(index), offset_of(begins, index)))
            yield index


def hash_of(file: File, begins: int) -> bytes:
    """The SHA-256 of what stands in a file from `begins` on."""
    whole = hashlib.sha256()
    while data := file.read(_READ_BYTES, begins):
        whole.update(data)
        begins += len(data)
    return whole.digest()


def not_found() -> WireError:
    """What is said where a medium is not."""
    return WireError(NOT_FOUND, "this node has no such medium")
