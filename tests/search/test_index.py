"""The index: what is put into it is found, in order, and what is taken out is gone, from the file as well."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from folkmoot.protocol.bodies import make_uuid7, post_time_ms
from folkmoot.protocol.key import cell_key, kind_prefix
from folkmoot.protocol.search.documents import TIME_MS_MAX, Document, author_token
from folkmoot.protocol.search.query import parse
from folkmoot.protocol.search.tokens import tokens
from folkmoot.storage.search import finding, rederiving
from folkmoot.storage.search.errors import IndexDamaged
from folkmoot.storage.search.finding import Asked, Hit, find, member_of
from folkmoot.storage.search.index import MEMORY, IndexWriting, Position, SearchIndex, Waiting

from tests.node.people import Author

ANN, BEN = Author(1).account, Author(2).account
NOW_MS = 1_800_000_000_000


def key(time_ms: int = NOW_MS, number: int = 0, author: bytes = ANN) -> bytes:
    return cell_key(author, "post", make_uuid7(time_ms, number))


def document(text: str, author: bytes = ANN, lang: str = "") -> Document:
    return Document(" ".join(tokens(text)), "", author_token(author), lang)


def put(index: SearchIndex, posts: dict[bytes, Document | None]) -> None:
    def job(writing: IndexWriting) -> None:
        for each, document in posts.items():
            writing.put(each, document)

    index.write(job)


def found(
    index: SearchIndex,
    query: str,
    *,
    best: bool = False,
    after: Hit | None = None,
    limit: int = 100,
    ranges: Sequence[bytes] = (b"",),
) -> list[Hit]:
    asked = Asked(parse(query), best, TIME_MS_MAX if not best else NOW_MS, after, limit)
    return find(index, asked, lambda each: each.startswith(tuple(ranges))).hits


def all_pages(index: SearchIndex, query: str, limit: int, *, best: bool = False) -> list[bytes]:
    pages: list[Hit] = []
    while page := found(index, query, limit=limit, best=best, after=pages[-1] if pages else None):
        assert len(page) <= limit
        pages += page
    return [hit.member for hit in pages]


@pytest.fixture(params=["file", "memory"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SearchIndex]:
    opened = SearchIndex(MEMORY if request.param == "memory" else tmp_path / "index.db")
    yield opened
    opened.close()


@pytest.mark.parametrize("best", [False, True])
def test_pages_are_in_order_whatever_came_first(index: SearchIndex, best: bool) -> None:
    random = Random(1)
    keys = [key(NOW_MS - n // 7, n, (ANN, BEN)[n % 2]) for n in range(100)]
    random.shuffle(keys)
    put(index, {each: document("tea") for each in keys})
    newest_first = sorted(map(member_of, keys), reverse=True)
    for limit in (1, 3, 50, 200):
        assert all_pages(index, "tea", limit, best=best) == newest_first


def test_a_page_goes_on_where_it_was_whatever_is_put_in_meanwhile(index: SearchIndex) -> None:
    put(index, {key(NOW_MS + n): document("tea") for n in range(0, 40, 2)})
    first = found(index, "tea", limit=10)
    put(index, {key(NOW_MS + n): document("tea") for n in range(1, 60, 2)})
    rest = found(index, "tea", after=first[-1])
    assert max(rest) < min(first)
    assert len(rest) == 10 + 10


def test_only_ranges_that_are_asked_for_are_searched(index: SearchIndex) -> None:
    put(index, {key(author=author): document("tea", author) for author in (ANN, BEN)})
    [hit] = found(index, "tea", ranges=[key(author=BEN)[:8]])
    assert hit.member == member_of(key(author=BEN))


@pytest.mark.parametrize("best", [False, True])
def test_what_is_in_the_way_is_said_and_passed_by(
    index: SearchIndex, monkeypatch: pytest.MonkeyPatch, best: bool
) -> None:
    """Posts of ranges that are not asked for stand before others, whole milliseconds full of them, too."""
    monkeypatch.setattr(finding, "ROWS_MAX", 10)
    flood: dict[bytes, Document | None] = {
        key(NOW_MS - number // 6, number, BEN): document("tea", BEN) for number in range(33)
    }
    mine = [key(NOW_MS - moment, 99 - number) for number, moment in enumerate((0, 2, 4, 4, 9, 10))]
    put(index, flood | dict.fromkeys(mine, document("tea")))
    asked, looks = Asked(parse("tea"), best, NOW_MS, None, 5), 0
    hits: list[Hit] = []
    ann = kind_prefix(ANN, "post")
    while (found := find(index, asked, lambda each: each.startswith(ann))).reached is not None and not best:
        assert asked.after is None or found.reached < asked.after, "it gets on"
        hits, looks = hits + found.hits, looks + 1
        asked = asked._replace(after=found.reached, limit=5 - len(hits))
    assert best == (found.reached is not None), "the best are not looked for any further, and that is said"
    if not best:
        expected = sorted((member_of(each) for each in mine), reverse=True)[:5]
        assert [hit.member for hit in hits + found.hits] == expected and looks > 2


def test_a_dense_moment_loses_nothing(index: SearchIndex) -> None:
    posts = [key(NOW_MS - number % 2, 7 * number % 5_003, (ANN, BEN)[number % 2]) for number in range(5_000)]
    put(index, dict.fromkeys(posts, document("tea")))
    assert all_pages(index, "tea", 800) == sorted(map(member_of, posts), reverse=True)


def test_putting_again_replaces_and_none_takes_out(index: SearchIndex) -> None:
    put(index, {key(): document("green tea", lang="en")})
    put(index, {key(): document("green coffee", lang="en")})
    assert not found(index, "tea")
    assert len(found(index, "coffee green lang:en")) == 1
    assert index.erased == 1
    put(index, {key(): None, key(number=5): None})
    assert not found(index, "green")
    assert rederiving.held(index) == {}


def test_who_is_hidden_is_not_found(index: SearchIndex) -> None:
    put(index, {key(author=author): document("tea", author) for author in (ANN, BEN)})
    index.write(lambda writing: writing.hide(key()[:40], hidden=True))
    assert [hit.member for hit in found(index, "tea")] == [member_of(key(author=BEN))]
    assert index.write(lambda writing: writing.waiting()) == Waiting(key()[:40], b"")


def test_a_failed_write_changes_nothing(index: SearchIndex) -> None:
    position = Position(bytes(16), 1, 7, 3)
    index.write(lambda writing: writing.advance(position, complete=True))

    def fails(writing: IndexWriting) -> None:
        writing.put(key(), document("tea"))
        writing.advance(position._replace(sequence=9), complete=True)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        index.write(fails)
    assert not found(index, "tea")
    assert index.position == position


def test_what_was_taken_out_is_in_no_byte_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "index.db"
    index = SearchIndex(file)
    secret = b"xylophonesecret"
    put(index, {key(n): document(f"common words and number {n}") for n in range(2_000)})
    put(index, {key(n, 1): document(f"xylophonesecret {n}") for n in range(50)})
    assert secret in b"".join(each.read_bytes() for each in tmp_path.iterdir())
    put(index, {key(n, 1): None for n in range(50)})
    with index.reading() as connection:
        rows = connection.execute("SELECT key FROM posts")
        rows.fetchone()
        assert not index.settle_erasures()
        assert index.erased == 50
        rows.close()
    assert index.settle_erasures()
    assert index.erased == 0
    assert secret not in b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert len(found(index, "common")) == 100
    index.close()


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    index = SearchIndex(tmp_path / "index.db")
    put(index, {key(): document("tea")})
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert index.size_bytes() == sum(file.stat().st_size for file in tmp_path.iterdir())
    index.close()


def test_a_damaged_file_is_told_and_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "index.db"
    index = SearchIndex(file)
    put(index, {key(n): document(f"tea number {n}") for n in range(500)})
    index.empty_log()
    index.check()
    index.close()
    data = bytearray(file.read_bytes())
    data[4096 : len(data) : 3] = bytes(len(range(4096, len(data), 3)))
    file.write_bytes(data)
    with pytest.raises(IndexDamaged):
        SearchIndex(file).check()
    file.write_bytes(b"no index at all" * 1000)
    with pytest.raises(IndexDamaged):
        SearchIndex(file)


def test_an_index_by_other_rules_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SearchIndex(tmp_path / "index.db").close()
    monkeypatch.setattr("folkmoot.storage.search.index._FORMAT", "another")
    with pytest.raises(IndexDamaged, match="other rules"):
        SearchIndex(tmp_path / "index.db")


def test_what_it_holds_can_be_read_out_of_it(index: SearchIndex) -> None:
    posts = {key(NOW_MS + n): document(f"日本語 tea {n} tea", lang="en") for n in range(20)}
    put(index, dict(posts))
    assert rederiving.held(index) == posts
    assert rederiving.differences(posts, rederiving.held(index)) == []
    first, *others = posts
    fewer = {each: posts[each] for each in others}
    assert len(rederiving.differences(posts, fewer)) == len(rederiving.differences(fewer, posts)) == 1
    assert len(rederiving.differences(posts, {**posts, first: document("other")})) == 1
    assert post_time_ms(first[41:]) == NOW_MS
