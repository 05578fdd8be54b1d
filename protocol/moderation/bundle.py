"""Bundles: the documents that one policy for all nodes is made of, as one value.

    {"version": 1, "top": "community.toml", "files": {"base.toml": …, "community.toml": …, "eu.toml": …}}

It is canonical, so the same files make the same bytes, and its SHA-256, by which the community's register
names it, fixes every byte of every layer: no node can have one layer and lack another. A document that stands
alone is no bundle, and goes by its own hash. Nobody can take one for the other: a document is UTF-8, and no
UTF-8 begins with the first byte of a map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from folkmoot.protocol import codec
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.moderation.bounds import POLICY_FILE_NAME_CODE_POINTS, POLICY_FILES
from folkmoot.protocol.moderation.policy import PolicyError
from msgspec import Meta, Struct

VERSION: Final = 1

_FIRST_BYTES: Final = range(0x80, 0x90)
"""Of a map with up to 15 keys; in UTF-8 they go on with a letter, and begin none."""

FileName = Annotated[
    str,
    Meta(pattern=r"\A[A-Za-z0-9_-][A-Za-z0-9._-]*\Z", max_length=POLICY_FILE_NAME_CODE_POINTS),
]


class _Version(Struct):
    version: int


class Bundle(Struct, frozen=True, forbid_unknown_fields=True):
    """See the module.

    Args:
        version: of this form.
        top: the name of the narrowest document.
        files: the bytes of all of them, by name.
    """

    version: int
    top: FileName
    files: Annotated[dict[FileName, bytes], Meta(min_length=2, max_length=POLICY_FILES)]


def pack_bundle(top: str, files: Mapping[str, bytes]) -> bytes:
    """The bytes of a bundle.

    Args:
        top: the name of the narrowest document.
        files: all of them, by name: two at least.

    Raises:
        PolicyError: there are too many, or one has a name that no bundle takes.
    """
    data = codec.encode_canonical({"version": VERSION, "top": top, "files": dict(files)})
    read_bundle(data)
    return data


def read_bundle(data: bytes) -> Bundle | None:
    """What is in a bundle; None for the bytes of a document.

    Raises:
        PolicyError: it is one that this edition of the program cannot read.
    """
    if not data or data[0] not in _FIRST_BYTES:
        return None
    what = "the layers of a policy"
    try:
        value = codec.decode_canonical(data)
        version = codec.shaped(value, _Version, what).version
        if version != VERSION:
            raise PolicyError([f"{what} in version {version}; this node reads {VERSION}: use a newer one"])
        bundle = codec.shaped(value, Bundle, what)
    except WireError as error:
        raise PolicyError([f"{what} cannot be read: {error.message}"]) from error
    if bundle.top not in bundle.files:
        raise PolicyError([f"{what}: {bundle.top}, the narrowest of them, is missing"])
    return bundle
