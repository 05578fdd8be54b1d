"""Media as files on this machine: what they are, and how they get to a cluster and back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.output import Output
from folkmoot.cli.progress import progress_bar
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair, account_from_text, account_to_text
from folkmoot.protocol.media.bounds import MEDIA_BYTES
from folkmoot.protocol.media.kinds import TYPES, kind_of
from folkmoot.protocol.media.manifest import CHUNK_BYTES, HASH_BYTES, Manifest, manifest_of

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

_READ_BYTES: Final = 4 * CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class MediaRef:
    """A medium as it is named on a command line.

    Args:
        account: whose (34 bytes).
        hash: 32 bytes.
    """

    account: bytes
    hash: bytes

    def __str__(self) -> str:
        return media_name(self.account, self.hash)


class MediaType(click.ParamType[MediaRef]):
    """`did:key:z6Mk…/HASH`, as `media put` shows it."""

    name = "medium"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> MediaRef:
        """Which it means."""
        if isinstance(value, MediaRef):
            return value
        account, _, digest = str(value).partition("/")
        try:
            named = MediaRef(account_from_text(account), bytes.fromhex(digest))
        except (WireError, ValueError):
            named = None
        if named is None or len(named.hash) != HASH_BYTES:
            self.fail(f"{str(value)[:200]!r} names no medium: did:key:z6Mk…/HASH, as `media put` shows it")
        return named


def media_name(account: bytes, digest: bytes) -> str:
    """How a medium is named on a command line."""
    return f"{account_to_text(account)}/{digest.hex()}"


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file that is to be uploaded.

    Args:
        path: where it is.
        manifest: what it is made of.
    """

    path: Path
    manifest: Manifest

    @classmethod
    def look_at(cls, path: Path, mime: str | None = None) -> MediaFile:
        """Read a file once.

        Args:
            path: where it is.
            mime: its type; told by its first bytes if not given.

        Raises:
            OperatorError: it cannot be read, is empty or too large, or is of no type that can be told.
        """
        try:
            with path.open("rb") as file:
                head = file.read(CHUNK_BYTES)
                found = kind_of(head)
                if mime is None and found is None:
                    raise OperatorError(
                        f"{path} is nothing that posts can show; there are {', '.join(TYPES)}",
                        hint="a picture, sound or film of one of these types",
                    )
                if path.stat().st_size > MEDIA_BYTES:
                    raise OperatorError(f"{path} is larger than any medium, {MEDIA_BYTES} bytes")
                file.seek(0)
                pieces = iter(lambda: file.read(_READ_BYTES), b"")
                manifest = manifest_of(pieces, mime or (found.types[0] if found else ""))
        except OSError as error:
            raise OperatorError(f"{path} cannot be read: {error.strerror}") from error
        if not manifest.size:
            raise OperatorError(f"{path} is empty")
        return cls(path, manifest)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The file, to be read from."""
        try:
            with self.path.open("rb") as file:
                yield file
        except OSError as error:
            raise OperatorError(f"{self.path} cannot be read: {error.strerror}") from error

    def shown(self, alt: str) -> dict[str, Any]:
        """What a post says that shows it."""
        manifest = self.manifest
        told = {"hash": manifest.hash, "mime": manifest.mime, "size": manifest.size}
        return {**told, "alt": alt} if alt else told


async def bring(
    client: Client, signer: KeyPair, file: MediaFile, level: str, output: Output
) -> dict[str, Any]:
    """Upload a file, or the rest of it, with a bar; what the node says of it then."""
    # Imported here so that a command's help need not wait for the client.
    from folkmoot.protocol.client import media

    await client.auth(signer)
    with file.opened() as opened, progress_bar("bytes", quiet=output.as_json) as progress:

        def read(index: int) -> bytes:
            opened.seek(index * CHUNK_BYTES)
            return opened.read(file.manifest.length(index))

        return await media.upload(client, file.manifest, read, level=level, on_progress=progress)


def with_alts(images: tuple[Path, ...], alts: tuple[str, ...]) -> list[tuple[MediaFile, str]]:
    """Files, each with the text for those who do not see it; asked for where somebody can answer.

    Raises:
        Usage: there are more texts than files, or fewer and nobody to ask.
    """
    if len(alts) > len(images):
        raise Usage("there are more --alt than --image")
    texts = list(alts)
    for image in images[len(alts) :]:
        if not sys.stdin.isatty():
            raise Usage(
                f"{image} has no --alt: say what is to be seen, for those who do not see it",
                hint="--alt 'A heron on one leg.', once for each --image; --alt '' for mere decoration",
            )
        texts.append(click.prompt(f"What is to be seen in {image}", default="", show_default=False, err=True))
    return [(MediaFile.look_at(image), text) for image, text in zip(images, texts, strict=True)]
