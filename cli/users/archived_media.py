"""The media of an account in its archive: fetched when it is written, and brought along when it is imported.

They stand in the archive after the records that show them, chunk by chunk, each medium once. An import needs
no key for them: a record that shows a medium is its author's word, whoever brings both.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from folkmoot.protocol.errors import CONFLICT, NOT_FOUND, REFUSED_BY_POLICY, WireError
from folkmoot.protocol.media.chunks import MediaChunk
from folkmoot.protocol.media.manifest import CHUNK_BYTES, Manifest
from folkmoot.protocol.media.references import Reference, references
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

_CRC_BYTES: Final = 4


@dataclass(slots=True)
class MediaInFile:
    """A medium in an archive.

    Args:
        size, mime: of the whole.
        offsets: where its chunks stand in the file.
    """

    size: int
    mime: str
    offsets: list[int] = field(default_factory=list)

    def read(self, file: Path, index: int) -> bytes:
        """One of its chunks."""
        with file.open("rb") as opened:
            opened.seek(self.offsets[index])
            return opened.read(min(CHUNK_BYTES, self.size - index * CHUNK_BYTES))

    def manifest(self, file: Path, digest: bytes) -> Manifest:
        """What it is made of."""
        chunks = [hashlib.sha256(self.read(file, index)).digest() for index in range(len(self.offsets))]
        return Manifest(digest, self.size, self.mime, chunks)


def note_chunk(media: dict[bytes, MediaInFile], chunk: MediaChunk, frame_end: int) -> None:
    """Remember where a chunk stands.

    Args:
        media: grows.
        chunk: as it was read.
        frame_end: where its frame ends in the file.
    """
    known = media.setdefault(chunk.hash, MediaInFile(chunk.size, chunk.mime))
    if chunk.index == len(known.offsets):  # a medium that is there twice is looked at once
        known.offsets.append(frame_end - _CRC_BYTES - len(chunk.data))


@dataclass(slots=True)
class MediaWriter:
    """Fetches what records show, for an archive.

    Args:
        client: of the cluster.
        account: whose (34 bytes).
        write: takes a chunk.
        have: the hashes of what is in the archive already; grows.

    Attributes:
        lacking: the hashes of what no node has any more, or what is withheld from who asks.
    """

    client: Client
    account: bytes
    write: Callable[[MediaChunk], object]
    have: set[bytes]
    lacking: set[bytes] = field(default_factory=set)

    async def add(self, records: Iterable[Record]) -> None:
        """All media that some records show and that are not there yet.

        Raises:
            WireError: a node cannot answer.
        """
        for record in records:
            for shown in references(record):
                if record.author == self.account and shown.hash not in self.have | self.lacking:
                    await self._fetch(shown.hash)

    async def _fetch(self, digest: bytes) -> None:
        # Imported here so that a command's help need not wait for the client.
        from folkmoot.protocol.client import media

        index = 0

        def write(data: bytes) -> None:
            nonlocal index
            self.write(MediaChunk(digest, manifest.size, manifest.mime, index, data))
            index += 1

        try:
            manifest = await media.stat(self.client, self.account, digest)
            await media.fetch(self.client, self.account, manifest, write)
        except WireError as error:
            if index or error.kind not in (NOT_FOUND, REFUSED_BY_POLICY):
                raise
            self.lacking.add(digest)
        else:
            self.have.add(digest)


@dataclass(slots=True)
class MediaBringer:
    """Uploads what records show, from an archive.

    Args:
        client: of the cluster.
        file: the archive, which was checked.
        media: what it has.
        level: of replicas that are to have them.

    Attributes:
        brought: the hashes of those that are there now.
        reasons: why others are not, with how many.
    """

    client: Client
    file: Path
    media: dict[bytes, MediaInFile]
    level: str
    brought: set[bytes] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)

    async def bring(self, records: Iterable[Record]) -> None:
        """Upload what some records show, before they are brought themselves.

        Raises:
            WireError: the cluster cannot take it just now.
        """
        for record in records:
            for shown in references(record):
                found = self.media.get(shown.hash)
                if found is not None and shown.hash not in self.brought:
                    await self._upload(record, shown, found)

    async def _upload(self, record: Record, shown: Reference, found: MediaInFile) -> None:
        # Imported here so that a command's help need not wait for the client.
        from folkmoot.protocol.client import media

        manifest = found.manifest(self.file, shown.hash)
        try:
            await media.upload(
                self.client,
                manifest,
                lambda index: found.read(self.file, index),
                level=self.level,
                shown_by=record,
            )
        except WireError as error:
            if error.kind.retryable:
                raise
            if error.kind is not CONFLICT:  # the record was deleted or replaced there
                self.reasons[f"medium {shown.hash.hex()}: {error.message}"] += 1
        else:
            self.brought.add(shown.hash)
