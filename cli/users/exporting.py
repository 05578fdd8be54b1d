"""An account's export: page after page into a file that can be gone on with, then chain and manifest."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.progress import OnProgress
from folkmoot.cli.users.archive_files import begun
from folkmoot.cli.users.archived_media import MediaWriter
from folkmoot.cli.users.written import reaction_page, written_page
from folkmoot.node.data_directory import give_name, sync_directory
from folkmoot.protocol.accounts.archive import ArchiveWriter, Header, PageEnd
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export has made.

    Args:
        header: whose it is.
        records: how many.
        resumed: how many of them an earlier attempt had brought.
        chain: the account's.
        media: how many are in it.
        lacking: how many records show that no node has any more.
    """

    header: Header
    records: int
    resumed: int
    chain: Chain
    media: int
    lacking: int


async def export(
    client: Client, account: bytes, file: Path, key: KeyPair | None, level: str, progress: OnProgress
) -> Exported:
    """Write an account's archive.

    Args:
        client: of the cluster.
        account: whose (34 bytes).
        file: where it goes when it is whole; until then it has another name.
        key: proves the account, so that what is private is told, and signs the manifest; None for neither.
        level: what reads ask.
        progress: told of records.

    Raises:
        OperatorError: the file is there, or what was begun is another export's.
        WireError: the node cannot answer; the same again goes on from there.
    """
    if key is not None:
        await client.auth(key)
    cluster = (await client.ready()).cluster
    begun = _begin(file, Header(account, cluster, time.time_ns() // 1000, private=key is not None), progress)
    writer, after, resumed = begun.writer, begun.after, begun.writer.records
    private = writer.header.private
    with begun.opened as opened:
        media = MediaWriter(client, account, lambda chunk: opened.write(writer.media(chunk)), begun.media)
        while True:
            records, following = await _page(client, account, after, level, private=private)
            for record in records:
                opened.write(writer.record(record))
            await media.add(records)
            progress(writer.records, None)
            if following is None:
                break
            if records or following.elsewhere != after.elsewhere:
                opened.write(writer.page(following))
            after = following
        chain = (await client.account_history(account, current=True)).chain()
        _check(writer, chain, key)
        opened.write(writer.chain(chain) + writer.manifest(key))
        opened.flush()
        os.fsync(opened.fileno())
    _finish(file)
    return Exported(writer.header, writer.records, resumed, chain, len(media.have), len(media.lacking))


async def _page(
    client: Client, account: bytes, after: PageEnd, level: str, *, private: bool
) -> tuple[list[Record], PageEnd | None]:
    """Some of what an account wrote, and where the next page begins; None when there is none.

    What it wrote under others' places comes last, and is told to nobody but itself.
    """
    if not after.elsewhere:
        own = await written_page(client, account, after.key or None, level)
        if own.after is not None:
            return own.records, PageEnd(own.after)
        return own.records, PageEnd(b"", elsewhere=True) if private else None
    others = await reaction_page(client, account, after.key, level)
    return others.records, None if others.after is None else PageEnd(others.after, elsewhere=True)


def part_of(file: Path) -> Path:
    """What an archive is called while it is not whole."""
    return file.with_name(f"{file.name}.part")


@dataclass(frozen=True, slots=True)
class _Begun:
    """An archive that is open, and what is in it already."""

    writer: ArchiveWriter
    after: PageEnd
    opened: BinaryIO
    media: set[bytes]


def _begin(file: Path, header: Header, progress: OnProgress) -> _Begun:
    """Begin an archive, or go on with one.

    Raises:
        OperatorError: the file is there, or what was begun is another export's.
    """
    if file.exists():
        raise _exists(file)
    part = part_of(file)
    earlier = begun(part, progress) if part.exists() else None
    if earlier is not None:
        writer = ArchiveWriter.resumed(earlier.reader)
        _require_same(part, writer.header, header)
        return _Begun(writer, earlier.after, part.open("ab"), earlier.media)
    writer = ArchiveWriter(header)
    opened = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    opened.write(writer.begin())
    return _Begun(writer, PageEnd(b""), opened, set())


def _finish(file: Path) -> None:
    """Give a whole archive its name.

    Raises:
        OperatorError: something has it by now.
    """
    part = part_of(file)
    try:
        give_name(part, file)
    except FileExistsError as error:
        raise _exists(file) from error
    part.unlink(missing_ok=True)
    sync_directory(file.absolute().parent)


def _exists(file: Path) -> OperatorError:
    return OperatorError(
        f"{file} exists; an archive is never overwritten", hint=f"folkmoot user verify {file}"
    )


def _require_same(part: Path, begun: Header, wanted: Header) -> None:
    """Refuse to go on with an export of something else.

    Raises:
        OperatorError: it is.
    """
    same = ("account", "cluster", "private")
    if any(getattr(begun, name) != getattr(wanted, name) for name in same):
        whose = "with" if begun.private else "without"
        raise OperatorError(
            f"{part} is an export that was begun, of {account_to_text(begun.account)} in cluster "
            f"{begun.cluster}, {whose} a key",
            hint=f"finish that one, or delete {part}",
        )


def _check(writer: ArchiveWriter, chain: Chain, key: KeyPair | None) -> None:
    """See that what was written is an archive that holds.

    Raises:
        OperatorError: it would not.
    """
    strangers = writer.devices - chain.state.keys.keys()
    if strangers:
        raise OperatorError(
            f"the node sent records that a key signed which was never the account's: {min(strangers).hex()}",
            hint="ask another node",
        )
    if key is not None and key.account not in chain.state.signing_keys():
        raise OperatorError(
            "the key is none of the account's, or was revoked", hint="folkmoot user keys list"
        )
