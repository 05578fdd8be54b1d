"""Scrub and compaction look at the search index, too: it has the words of posts."""

from __future__ import annotations

from pathlib import Path

import pytest
from folkmoot.protocol.limits import MIB
from folkmoot.storage.compaction import compact
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.lmdb_reader import LmdbReader
from folkmoot.storage.scrub import ScrubReport, scrub
from folkmoot.storage.search.files import FileIndexes
from folkmoot.storage.search.following import step

from tests.storage.making import deletion, open_store, person, post, post_item, put

ANN = person(1)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """Ann said three things; two are deleted, one of them before the index heard of it."""
    directory = tmp_path / "node"
    store = open_store(LmdbEngine(directory, cap_bytes=64 * MIB))
    for number, text in enumerate(("xylophonesecret", "vibraphonesecret", "open")):
        put(store, post(ANN, number, text))
    index = FileIndexes(directory).open(1)
    step(index, store, room=True)
    put(store, deletion(ANN, 0))
    step(index, store, room=True)
    put(store, deletion(ANN, 1))
    index.close()
    store.close()
    return directory


def look(node: Path) -> ScrubReport:
    reader = LmdbReader(node)
    try:
        files = sorted(file for folder in ("store", "search") for file in (node / folder).glob("*"))
        return scrub(reader, files, ANN.account, None, [b"vibraphonesecret"], indexes=FileIndexes(node))
    finally:
        reader.close()


def test_words_that_are_left_in_the_index_are_found(node: Path) -> None:
    report = look(node)
    words = [remain for remain in report.remains if remain.what == "words in the search index"]
    assert [remain.item for remain in words] == [post_item(1).hex()]
    assert report.unsettled, "what was taken out may be there until parts of the index are merged"
    assert any("search" in remain.file for remain in report.remains if remain.what == "a text looked for")


def test_a_compaction_removes_the_index_and_proves_it(node: Path) -> None:
    compact(node)
    report = look(node)
    assert (report.verdict, report.unsettled, report.remains) == ("proven", False, ())
    assert FileIndexes(node).generations() == []


def test_an_index_that_was_merged_proves_as_much(node: Path) -> None:
    compact(node)
    store = open_store(LmdbEngine(node, cap_bytes=64 * MIB))
    index = FileIndexes(node).open(1)
    step(index, store, room=True)
    assert index.settle_erasures()
    index.close()
    store.close()
    assert look(node).verdict == "proven"
    index = FileIndexes(node).open(1)
    index.write(lambda writing: writing.hide(post(ANN, 2).key[:40], hidden=False))
    index.close()
    (node / "search" / "index-1.db").write_bytes(b"damage" * 4096)
    assert look(node).verdict == "searched", "of what cannot be read nothing is proven"
