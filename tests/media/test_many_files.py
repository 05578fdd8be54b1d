"""Accounts with many media: listed page by page, whatever is on one, and swept by one look at their posts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from folkmoot.node.media import keeping
from folkmoot.node.media.references import references_of
from folkmoot.protocol.media import bounds
from folkmoot.storage.media.layout import Area, Name
from folkmoot.storage.store import Store

from tests.media import pictures
from tests.media.keepers import blobs_of
from tests.media.test_nodes import impatient
from tests.media.uploading import upload
from tests.node.harness import founded
from tests.node.nodes import Node
from tests.node.people import Author

pytestmark = pytest.mark.timeout(120)


def damage(node: Node, author: Author, digest: bytes) -> None:
    """Change what a file says of itself, behind the node's back."""
    blobs_of(node)._file(Area.KEPT, Name(author.account, digest)).write_bytes(b"not what was written")


async def test_a_page_of_damaged_files_does_not_end_the_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MEDIA_LISTED", 2)
    author = Author(15)
    async with founded(tmp_path, nodes=1, replicas=1) as town, town.client(town[0]) as client:
        await client.auth(author)
        files = [await upload(client, pictures.png(1000, seed=seed)) for seed in range(5)]
        hashes = sorted(each.hash for each in files)
        for each in hashes[:2]:
            damage(town[0], author, each)
        pages = [await client.call("media.list")]
        while "next" in pages[-1]:
            pages.append(await client.call("media.list", after=pages[-1]["next"]))
        assert [each["damaged"] for each in pages] == [hashes[:2], [], []]
        listed = [[item["hash"] for item in each["items"]] for each in pages]
        assert listed == [[], hashes[2:4], hashes[4:]]
        assert len({each["used"] for each in pages}) == 1 and pages[0]["used"] >= sum(f.size for f in files)


async def test_a_sweep_reads_the_posts_of_an_account_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    author, reads = Author(16), Counter[int]()

    def counted(store: Store, account: bytes) -> set[bytes]:
        reads[id(store)] += 1
        return references_of(store, account)

    async with founded(tmp_path, nodes=2, replicas=2, media=impatient()) as town:
        async with town.client(town[0]) as client:
            await client.auth(author)
            for seed in range(5):
                await upload(client, pictures.png(1000, seed=seed), level="all")
        monkeypatch.setattr(keeping, "references_of", counted)
        sweep = town[0].parts.media.sweeper
        await sweep.sweep()
        assert (sweep.statistics.marked, sorted(reads.values())) == (5, [1, 1])
        await sweep.sweep()
        assert (sweep.statistics.erased, sorted(reads.values())) == (5, [2, 3]), "once more before it erases"
        reads.clear()
        many = [number.to_bytes(32, "big") for number in range(bounds.MEDIA_ASKED)]
        assert await sweep.unused(author.account, many) == set(many)
        assert list(reads.values()) == [1]
