"""What is asked about media, by clients and between nodes, as shapes that are checked first of all."""

from __future__ import annotations

from typing import Annotated, Final

from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import CHUNK_BYTES, Hash, Index, Manifest, Mime
from folkmoot.protocol.messages import Account, Level
from msgspec import Meta, Struct

MANIFEST: Final = "media.manifest"
CHUNK: Final = "media.chunk"
KEEP: Final = "media.keep"
ACCOUNT: Final = "media.account"
REFERS: Final = "media.refers"
PURGE: Final = "media.erase"

Claims = Annotated[list[tuple[int, int]], Meta(max_length=limits.MESSAGE_COLLECTION_ITEMS)]
Hashes = Annotated[list[Hash], Meta(max_length=bounds.MEDIA_ASKED)]
Chunk = Annotated[bytes, Meta(max_length=CHUNK_BYTES)]


class Begin(Struct):
    """`media.begin`, besides the manifest: a record that shows the medium, whose author it is then for."""

    record: tuple[bytes, bytes] | None = None


class Put(Struct):
    """`media.put`: one chunk of an upload that was begun, for the account that asks or another."""

    hash: Hash
    index: Index
    data: Chunk
    account: Account | None = None


class Finish(Struct):
    """`media.finish`: the upload is whole, and is to be kept at a level."""

    hash: Hash
    level: Level = "quorum"
    account: Account | None = None


class Get(Struct):
    """`media.get`: one chunk of a medium."""

    account: Account
    hash: Hash
    index: Index = 0


class Named(Struct):
    """`media.stat`: a medium."""

    account: Account
    hash: Hash


class List(Struct):
    """`media.list`: what the account that asks has kept, after one."""

    after: Hash | None = None


class ManifestOf(Struct):
    """`media.manifest`: what a medium that the node has is made of.

    What is `kept` alone is asked for by caches: what caches gave each other would never grow old.
    """

    account: Account
    hash: Hash
    kept: bool = False


class ChunkOf(Struct):
    """`media.chunk`: a chunk of what the node has."""

    account: Account
    hash: Hash
    index: Index


class GivenChunk(Struct):
    """The answer to it."""

    data: Chunk


class Keep(Struct):
    """`media.keep`: a medium that the asker has, for a replica of the account's range to keep.

    What has `moved` with its range is not asked for its quota.
    """

    ranges: Claims
    account: Account
    hash: Hash
    size: Annotated[int, Meta(ge=0)]
    moved: bool = False


class OfAccount(Struct):
    """`media.account`: what a replica keeps of an account, after one, and whether a certain one is there."""

    account: Account
    hash: Hash | None = None
    after: Hash | None = None


class Item(Struct):
    """One medium that is kept. `unused` says that no replica knows of a reference to it."""

    hash: Hash
    size: int
    mime: Mime
    unused: bool


class ToldAccount(Struct):
    """The answer to `media.account`: a page, what of it is `damaged`, and after which the `next` begins."""

    used: int
    quota: int
    kept: bool
    items: Annotated[list[Item], Meta(max_length=bounds.MEDIA_LISTED)]
    damaged: Annotated[list[Hash], Meta(max_length=bounds.MEDIA_LISTED)]
    next: Hash | None


class Asked(Struct):
    """`media.refers`: some media of an account."""

    account: Account
    hashes: Hashes


class Answered(Struct):
    """The answer: those of which it is so."""

    hashes: Hashes


class PurgeAccount(Struct):
    """`media.purge`: whose media are to be gone."""

    account: Account


class Purge(Struct):
    """`media.erase`: whose media; without `erase` it is only told what refers to some.

    With `ranges` the asked node answers as a replica, at that very epoch.
    """

    account: Account
    erase: bool
    ranges: Claims = []


class ToldPurge(Struct):
    """The answer to it.

    Args:
        shown: how many media the node's cells refer to.
        erased: how many files were erased.
        left: how many were not, because something refers to them.
    """

    shown: Annotated[int, Meta(ge=0)]
    erased: Annotated[int, Meta(ge=0)]
    left: Annotated[int, Meta(ge=0)]


def told_manifest(value: object, wanted: bytes) -> Manifest:
    """The manifest that a node told of the medium it was asked for.

    Raises:
        WireError: `bad_request`, when it is another's, or none.
    """
    manifest = Manifest.from_wire(value, "a manifest")
    if manifest.hash != wanted:
        raise WireError(BAD_REQUEST, "a node told the manifest of another medium than it was asked for")
    return manifest
