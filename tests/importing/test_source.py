"""Reading files of posts: gzipped or not, damaged or not, and the corpora that lie beside a checkout."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from folkmoot.cli.importing import source as sources
from folkmoot.cli.importing.authors import Authors
from folkmoot.cli.importing.known import KnownPosts, Post
from folkmoot.cli.importing.mapping import Mapper, Unusable
from folkmoot.cli.importing.source import SourceError, open_source, parse_time_us
from hypothesis import given
from hypothesis import strategies as st

from tests.importing.making import SEED, write_source

LINE = {"id": "1", "author": "ada", "created_at": "2024-05-01T09:30:00Z", "text": "Grüß Gott 🥣"}


@pytest.mark.parametrize("name", ["posts.jsonl", "posts.jsonl.gz"])
def test_lines_are_read_plain_and_gzipped(tmp_path: Path, name: str) -> None:
    file = write_source(tmp_path / name, [LINE, b"", LINE | {"id": 2, "author": 17, "likes": 4}])
    with open_source(file) as opened:
        first, second = opened.lines()
        assert opened.position_bytes == opened.size_bytes == file.stat().st_size
    assert first.entry is not None and first.entry.text == LINE["text"]
    assert second.number == 3 and second.entry is not None
    assert (second.entry.id, second.entry.author) == ("2", "17")


@pytest.mark.parametrize(
    "damage",
    [
        b"{",
        b"[]",
        b'{"author":"ada"}',
        b'{"id":"1","created_at":5,"text":["a"]}',
        b"\xff\xfe",
        b'{"id":' + b"9" * 5000 + b',"created_at":"2024-05-01"}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"id":"1","created_at":"2024-05-01","tree":' + b'{"a":' * 50_000 + b"0" + b"}" * 50_001,
    ],
    ids=lambda damage: damage[:20],
)
def test_a_line_that_is_no_entry_says_so_and_the_next_is_read(tmp_path: Path, damage: bytes) -> None:
    with open_source(write_source(tmp_path / "posts.jsonl", [damage, LINE])) as opened:
        bad, good = opened.lines()
    assert bad.entry is None and "not an entry" in bad.problem
    assert good.entry is not None


def test_a_cut_gzip_file_is_an_error_that_says_where(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"id":"1","created_at":"2024-05-01"}\n' * 1000)[:-20])
    with open_source(file) as opened, pytest.raises(SourceError, match="after line"):
        list(opened.lines())


def test_an_endless_line_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LINE_BYTES_MAX", 100)
    file = write_source(tmp_path / "posts.jsonl", [LINE | {"text": "x" * 200}])
    with open_source(file) as opened, pytest.raises(SourceError, match="over 100 bytes"):
        list(opened.lines())


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"), open_source(tmp_path / "none.jsonl"):
        pass


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001", 1),
        ("2007-10-24T13:45:00", 1193233500000000),
        ("2024-11-14T09:17:52.738000Z", 1731575872738000),
        ("2024-11-14T10:17:52.738000+01:00", 1731575872738000),
        ("2024-11-14", 1731542400000000),
    ],
)
def test_times(text: str, time_us: int) -> None:
    assert parse_time_us(text) == time_us


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 40))),
        unique_by=lambda row: row[0],
    )
)
def test_the_compact_index_answers_as_a_dictionary_would(rows: list[tuple[int, int, int | None]]) -> None:
    known, model = KnownPosts(), dict[int, Post]()
    for number, author, answers in rows:
        parent = model.get(answers) if answers is not None else None
        post = Post(bytes([author]) * 34, number.to_bytes(16, "big"))
        known.add(str(number), *post[:2], None if parent is None else str(answers))
        model[number] = Post(*post[:2], None if parent is None else Post(*(parent.root or parent)[:2]))
    assert {number: known.get(str(number)) for number in range(41)} == {
        number: model.get(number) for number in range(41)
    }
    assert len(known) == len(rows)


# Lines, those that make records, and posts that lose a reference; counted when the corpora came.
CORPORA = {
    "bluesky_posts": (989, 983, 0),
    "pheme_posts": (14_027, 14_027, 22),
    "stackexchange_meta_posts": (4_774, 4_700, 191),
}


@pytest.mark.parametrize("name", CORPORA)
def test_the_corpora_map_whole(name: str, shared_data: Callable[[str], Path]) -> None:
    mapper, lines, usable, unreferenced = Mapper(Authors(SEED)), 0, 0, 0
    with open_source(shared_data(f"social/{name}.jsonl.gz")) as opened:
        for line in opened.lines():
            assert line.entry is not None
            lines += 1
            try:
                unreferenced += mapper.plan(line.entry).unreferenced
            except Unusable:
                continue
            usable += 1
    assert (lines, usable, unreferenced) == CORPORA[name]
