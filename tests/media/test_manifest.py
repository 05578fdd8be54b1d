"""Manifests: every chunk is checked by itself, however the file was read; and which cells refer to media."""

from __future__ import annotations

import hashlib

import pytest
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.media.manifest import CHUNK_BYTES, Manifest, ManifestMaker
from folkmoot.protocol.media.references import Reference, hashes_in, may_refer, references
from hypothesis import given
from hypothesis import strategies as st

from tests.media import pictures
from tests.media.uploading import post_with
from tests.node.people import Author

EDGES = [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES]


@given(st.sampled_from(EDGES), st.lists(st.integers(1, CHUNK_BYTES * 2), max_size=6))
def test_a_manifest_is_the_same_however_the_bytes_came(size: int, cuts: list[int]) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    maker, at = ManifestMaker(), 0
    for cut in [*cuts, size]:
        maker.add(data[at : at + cut])
        at += cut
    manifest = maker.manifest("image/png")
    assert manifest == pictures.of(data)
    assert manifest.hash == hashlib.sha256(data).digest() and manifest.size == size
    assert Manifest.from_wire(manifest.to_wire(), "it") == manifest
    for index, chunk in enumerate(pictures.chunks(data, manifest)):
        manifest.check(index, chunk)


def test_a_chunk_that_lies_is_refused() -> None:
    data = pictures.png(2 * CHUNK_BYTES + 5)
    manifest = pictures.of(data)
    first, second, last = pictures.chunks(data, manifest)
    for index, chunk, complaint in (
        (0, second, "chunk 0 is not what the manifest says"),
        (0, first[:-1], "chunk 0 has 262144 bytes"),
        (2, last + b"x", "chunk 2 has 5 bytes; 6 came"),
        (3, last, "there is no chunk 3"),
        (-1, last, "there is no chunk -1"),
    ):
        with pytest.raises(WireError, match=complaint):
            manifest.check(index, chunk)


@pytest.mark.parametrize(
    "change",
    [
        *({"size": 0}, {"size": 2**40}, {"size": CHUNK_BYTES + 1}, {"hash": b"x"}, {"chunks": []}),
        *({"chunks": [b"x"]}, {"mime": ""}, {"mime": "x" * 200}, {"size": "1"}),
    ],
)
def test_a_manifest_of_another_shape_is_refused(change: dict[str, object]) -> None:
    wire = pictures.of(pictures.png(100)).to_wire() | change
    with pytest.raises(WireError) as caught:
        Manifest.from_wire(wire, "it")
    assert caught.value.kind is BAD_REQUEST


def test_only_what_stands_refers() -> None:
    author = Author(1)
    one, two = (pictures.of(pictures.png(100, seed=seed)) for seed in (1, 2))
    post = post_with(author, one)
    edit = author.record("post", post.item, post_with(author, two).body)
    cell = Cell.of(post)
    assert references(post) == [Reference(one.hash, "image/png", 100)]
    assert hashes_in(cell.encode()) == {one.hash} and may_refer(cell.key, cell.encode())
    cell = join(cell, Cell.of(edit))
    assert hashes_in(cell.encode()) == {two.hash}, "an edit refers in place of what it supersedes"
    cell = join(cell, Cell.of(author.deletion(post)))
    assert hashes_in(cell.encode()) == set() and not may_refer(cell.key, cell.encode())


def test_siblings_refer_both() -> None:
    author = Author(1)
    one, two = (pictures.of(pictures.png(100, seed=seed)) for seed in (1, 2))
    post = post_with(author, one)
    other = Author(2)
    twin = other.record("post", post.item, post_with(author, two).body, author=author.account)
    assert hashes_in(join(Cell.of(post), Cell.of(twin)).encode()) == {one.hash, two.hash}


def test_profile_fields_refer_when_they_name_a_hash() -> None:
    author = Author(1)
    avatar = author.record("profile", b"avatar", {"value": {"hash": bytes(32), "mime": "image/png"}})
    name = author.record("profile", b"name", {"value": "Ann"})
    odd = author.record("profile", b"odd", {"value": {"hash": b"short"}})
    assert references(avatar) == [Reference(bytes(32), "image/png", None)]
    assert references(name) == references(odd) == []
    assert may_refer(Cell.of(avatar).key, Cell.of(avatar).encode())
    assert not may_refer(Cell.of(name).key, Cell.of(name).encode())
