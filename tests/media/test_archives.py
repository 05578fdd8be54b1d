"""Archives carry what an account's posts show: out of one cluster and into another, checked on the way."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from folkmoot.cli.users.archive_files import Damaged, begun, check
from folkmoot.cli.users.bringing import Brought, Importer
from folkmoot.cli.users.exporting import Exported, export, part_of
from folkmoot.protocol.accounts.archive import ArchiveDamaged, ArchiveReader, ArchiveWriter, Header
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.client import connect
from folkmoot.protocol.media.chunks import MediaChunk
from folkmoot.protocol.media.manifest import CHUNK_BYTES

from tests.media import pictures
from tests.media.keepers import kept, kept_by
from tests.media.test_nodes import impatient, swept
from tests.media.uploading import post_with, read, upload
from tests.node.harness import Town, founded
from tests.node.people import Author
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

ANN = Author(1)
DATA = pictures.png(2 * CHUNK_BYTES + 99)
WHOLE = pictures.of(DATA)
CHUNKS = [
    MediaChunk(WHOLE.hash, WHOLE.size, WHOLE.mime, index, part)
    for index, part in enumerate(pictures.chunks(DATA, WHOLE))
]


def archive(*chunks: MediaChunk) -> bytes:
    """An archive of one post and some chunks."""
    writer = ArchiveWriter(Header(ANN.account, "town", 1))
    pieces = [writer.begin(), writer.record(post_with(ANN, WHOLE))]
    pieces += [writer.media(chunk) for chunk in chunks]
    return b"".join([*pieces, writer.chain(Chain(ANN.account)), writer.manifest(None)])


def read_all(data: bytes) -> list[object]:
    reader = ArchiveReader()
    items = list(reader.feed(data))
    reader.finish()
    return list(items)


def test_chunks_are_read_as_they_were_written() -> None:
    assert [each for each in read_all(archive(*CHUNKS)) if isinstance(each, MediaChunk)] == CHUNKS
    assert read_all(archive()), "an archive without media is one"


@pytest.mark.parametrize(
    ("chunks", "complaint"),
    [
        (CHUNKS[:2], "chunks of medium .* are missing before it"),
        (CHUNKS[1:], "chunk 0 is missing before it"),
        ([CHUNKS[0], CHUNKS[2]], "chunk 1 is missing before it"),
        ([CHUNKS[0], CHUNKS[0]], "chunk 1 is missing before it"),
        (
            [*CHUNKS[:2], MediaChunk(WHOLE.hash, WHOLE.size, WHOLE.mime, 2, bytes(99))],
            "do not have that hash",
        ),
        ([MediaChunk(WHOLE.hash, WHOLE.size, WHOLE.mime, 0, b"short")], "chunk 0 has 262144 bytes, not 5"),
        ([MediaChunk(b"x", 1, "image/png", 0, b"x")], "no hash of 32 bytes"),
        ([MediaChunk(WHOLE.hash, 2**40, "image/png", 0, b"x")], "or no size"),
    ],
)
def test_what_somebody_has_made_up_is_found(chunks: list[MediaChunk], complaint: str) -> None:
    with pytest.raises(ArchiveDamaged, match=complaint):
        read_all(archive(*chunks))


async def exported(town: Town, file: Path, key: Author | None = None) -> Exported:
    async with connect(town[0].address, tls=False) as client:
        device = None if key is None else key.device
        return await export(client, ANN.account, file, device, "quorum", lambda done, total: None)


async def imported(town: Town, file: Path) -> Brought:
    contents = check(file, lambda done, total: None)
    async with connect(town[0].address, tls=False) as client:
        importer = Importer(
            client, file, contents, "quorum", None, lambda done, total: None, lambda note: None
        )
        return await importer.run()


async def test_an_account_moves_with_its_pictures(tmp_path: Path) -> None:
    """Whoever brings it: its posts are its word for what they show."""
    file = tmp_path / "ann.archive"
    async with founded(tmp_path / "here", media=impatient()) as here, here.client(here[0]) as client:
        await client.auth(ANN)
        gone, shown = await upload(client, DATA + b"gone"), await upload(client, DATA)
        first = post_with(ANN, gone)
        assert (await client.put_one(first, "all"))["status"] == "stored"
        edit = ANN.record("post", first.item, post_with(ANN, shown).body)
        other = post_with(ANN, shown)
        assert [each["status"] for each in (await client.put(edit, other))[0]] == ["stored", "stored"]
        await kept_by(here.nodes, ANN, shown.hash)

        async def given_up() -> bool:
            await swept(here)
            return not any(kept(node, ANN, gone.hash) for node in here.nodes)

        await until(given_up, what="the earlier picture to be given up", within_s=30)
        made = await exported(here, file, ANN)
        assert (made.records, made.media, made.lacking) == (3, 1, 1)
    contents = check(file, lambda done, total: None)
    assert list(contents.media) == [shown.hash] and not contents.unknown
    async with founded(tmp_path / "there") as there:
        brought = await imported(there, file)
        assert (brought.media, brought.statuses["stored"], brought.statuses["refused"]) == (1, 2, 1)
        assert any("has not uploaded" in reason for reason in brought.reasons), brought.reasons
        async with there.client(there[1]) as client:
            assert await read(client, ANN.account, shown.hash) == DATA
            assert await client.get(other) is not None
        again = await imported(there, file)
        assert again.statuses["duplicate"] >= 2 and again.statuses["stored"] == 0
        async with there.client(there[0]) as client:
            for post in (edit, other):
                assert (await client.put_one(ANN.deletion(post), "all"))["status"] == "stored"
        third = await imported(there, file)
        assert third.media == 0, "what it shows was deleted, and does not come back"
        assert not any(reason.startswith("medium ") for reason in third.reasons), third.reasons


async def test_every_flipped_bit_is_named_and_an_export_that_broke_off_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "ann.archive"
    async with founded(tmp_path / "here", nodes=1, replicas=1) as town, town.client(town[0]) as client:
        await client.auth(ANN)
        shown = await upload(client, DATA)
        assert (await client.put_one(post_with(ANN, shown)))["status"] == "stored"
        await exported(town, file)
        whole = file.read_bytes()
        for bit in Random(2).sample(range(8 * len(whole)), 30):
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << bit % 8
            file.write_bytes(changed)
            with pytest.raises(Damaged):
                check(file, lambda done, total: None)
        for length in (100, len(whole) // 2, len(whole) - 500):
            file.unlink(missing_ok=True)
            part_of(file).write_bytes(whole[:length])
            assert begun(part_of(file), lambda done, total: None) is None
            assert (await exported(town, file)).media == 1
            assert len(check(file, lambda done, total: None).media) == 1
