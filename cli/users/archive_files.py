"""Archives of accounts as files: read in pieces, checked, and gone on with where an export broke off."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.progress import OnProgress
from folkmoot.cli.users.archived_media import MediaInFile, note_chunk
from folkmoot.protocol.accounts.archive import (
    MAGIC,
    ArchiveDamaged,
    ArchiveReader,
    Header,
    Item,
    PageEnd,
    Seal,
    Unknown,
)
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.media.chunks import MediaChunk
from folkmoot.protocol.record import Record

PIECE_BYTES: Final = 256 * 1024
NAMES: Final = 16
OTHERS: Final = "others"


class Damaged(OperatorError):
    """A file is no archive, or not any more."""

    def __init__(self, file: Path, error: ArchiveDamaged) -> None:
        super().__init__(
            f"{file}: {error}",
            hint="another copy of the file, or folkmoot user export again",
            details={"frame": error.number, "byte": error.at},
        )


@dataclass(slots=True)
class Contents:
    """What a whole archive has in it.

    Args:
        header, chain, seal: see `protocol.accounts.archive`.
        kinds: how many records there are of each kind.
        devices: how many each key signed.
        unknown: frames that only later versions know, by name.
        media: those that are in it, by their hashes.
    """

    header: Header
    chain: Chain
    seal: Seal
    kinds: Counter[str] = field(default_factory=Counter)
    devices: Counter[bytes] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    media: dict[bytes, MediaInFile] = field(default_factory=dict)


def items_of(file: Path, reader: ArchiveReader, progress: OnProgress) -> Iterator[Item]:
    """Everything in a file, in order, to its end.

    Args:
        file: which.
        reader: fresh; checks what it reads.
        progress: told of bytes.

    Raises:
        Damaged: something is wrong with it.
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        done = 0
        try:
            while piece := opened.read(PIECE_BYTES):
                yield from reader.feed(piece)
                done += len(piece)
                progress(done, size)
        except ArchiveDamaged as error:
            raise Damaged(file, error) from error


def check(file: Path, progress: OnProgress) -> Contents:
    """Read an archive to its end and check all of it.

    Raises:
        Damaged: something is wrong with it, and where.
        OSError: it cannot be read.
    """
    reader = ArchiveReader()
    kinds: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    media: dict[bytes, MediaInFile] = {}
    for item in items_of(file, reader, progress):
        match item:
            case Record():
                kinds[item.kind] += 1
            case MediaChunk():
                note_chunk(media, item, reader.end)
            case Unknown(name):
                count(unknown, name)
    try:
        seal = reader.finish()
    except ArchiveDamaged as error:
        raise Damaged(file, error) from error
    assert reader.header is not None and reader.chain is not None, "a whole archive has them"
    devices = Counter(reader.tally.devices)
    return Contents(reader.header, reader.chain, seal, kinds, devices, unknown, media)


def count(counted: Counter[str], name: str) -> None:
    """Count something that strangers have named: of many names the later ones are counted together."""
    counted[name if name in counted or len(counted) < NAMES else OTHERS] += 1


@dataclass(slots=True)
class Begun:
    """An export that broke off.

    Args:
        reader: has read what is whole of it.
        after: where it goes on.
        media: the hashes of those that are in it.
    """

    reader: ArchiveReader
    after: PageEnd
    media: set[bytes]


def begun(file: Path, progress: OnProgress) -> Begun | None:
    """Cut off what an export that broke off has written since the last page it had finished.

    Returns:
        What is left; None when that is nothing, and the file is gone.

    Raises:
        OperatorError: it is something else, and stands as it was.
        OSError: the file cannot be read or written.
    """
    with file.open("rb") as opened:
        first = opened.read(len(MAGIC))
    if not MAGIC.startswith(first):
        raise OperatorError(
            f"{file} is in the way, and is no export that was begun", hint="another file name"
        )
    whole, after = 0, PageEnd(b"")
    reader = ArchiveReader()
    with suppress(Damaged):  # the end is torn where the machine went down
        for item in items_of(file, reader, progress):
            if isinstance(item, PageEnd):
                whole, after = reader.end, item
    if not whole:
        file.unlink()
        return None
    os.truncate(file, whole)
    reader = ArchiveReader(trusting=True)
    media = {
        item.hash
        for item in items_of(file, reader, lambda done, total: None)
        if isinstance(item, MediaChunk) and item.is_last
    }
    return Begun(reader, after, media)
