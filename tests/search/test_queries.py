"""Queries: what is read out of what people type, and what they are told when it cannot be."""

from __future__ import annotations

import sqlite3

import pytest
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.search.documents import tag_token
from folkmoot.protocol.search.query import Query, Term, parse
from folkmoot.protocol.search.tokens import Phrase
from folkmoot.storage.search.finding import matched
from hypothesis import given
from hypothesis import strategies as st

from tests.node.people import Author

ANN = Author(1).account


def body(*tokens: str, excluded: bool = False, open_ended: bool = False) -> Term:
    return Term("body", Phrase(tokens, open_ended), excluded)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("green TEA", (body("green"), body("tea"))),
        ('"green tea" -pot', (body("green", "tea"), body("pot", excluded=True))),
        ('-"green tea" pot', (body("green", "tea", excluded=True), body("pot"))),
        ("foo-bar", (body("foo", "bar"),)),
        ("kett*", (body("kett", open_ended=True),)),
        ("https://x.org", (body("https", "x", "org"),)),
        ("(a OR b) NEAR", (body("a"), body("or"), body("b"), body("near"))),
        ('body:"x', (body("body", "x"),)),
        ("tea ?!", (body("tea"),)),
        ("日本語 x", (body("日本", "本語"), body("x"))),
        ("#Tea", (Term("tags", Phrase((tag_token("tea"),))),)),
        ("tea -#Tea", (body("tea"), Term("tags", Phrase((tag_token("tea"),)), True))),
        ("\u65e5*", (body("\u65e5", open_ended=True),)),
        ("\uc11c\uc6b8*", (body("\uc11c\uc6b8"),)),
        ("\u043a\u0435\u0442*", (body("\u043a\u0435\u0442", open_ended=True),)),
        ("lang:pt-BR", (Term("lang", Phrase(("ptbr",))),)),
        (f"from:{account_to_text(ANN)}", (Term("author", Phrase((ANN[2:].hex(),))),)),
    ],
)
def test_terms_are_read(text: str, terms: tuple[Term, ...]) -> None:
    assert parse(text).terms == terms


def test_times_and_handles_are_read() -> None:
    query = parse("tea from:@Marit -from:ben since:1970-01-02 until:1970-01-03T01:00+01:00")
    assert query == Query((body("tea"),), (("marit", False), ("ben", True)), 86_400_000, 2 * 86_400_000)
    resolved = query.with_accounts({"marit": ANN, "ben": Author(2).account})
    assert [term.column for term in resolved.terms] == ["body", "author", "author"]
    with pytest.raises(WireError, match="no account has the handle ben"):
        query.with_accounts({"marit": ANN})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing to look for"),
        ("-tea", "nothing to look for"),
        ("since:2026-01-01", "nothing to look for"),
        ('tea "open', "character 5: the quotation mark"),
        ("ab*", "character 1: before a \\* stand at least 3"),
        ("\u0438*", "character 1: before a \\* stand at least 3"),
        ("tea \u0627\u0644*", "character 5: before a \\* stand at least 3"),
        ("tea lang:!", "character 5: lang:"),
        ("from:", "character 1: from:"),
        ("from:did:key:z6Mkfoo", "character 1: from:"),
        ("tea since:soon", "character 5: since:"),
        ("tea since:2026-02-29", "character 5: since: there is no such day"),
        ("tea since:0000-01-01", "character 5: since: there is no such day"),
        ("tea until:2026-02-28T24:00", "character 5: until: there is no such time"),
        ("tea until:2026-02-28T\u0661\u0662:00", "character 5: until: is followed by"),
        ("tea -until:2026-01-01", "character 6: until: cannot be excluded"),
        ("tea since:2026-01-01 since:2026-01-01", "character 22: since: is there twice"),
        ("x " * 17, "at most 16 terms"),
        ("x" * 513, "513 characters; at most 512"),
    ],
)
def test_what_cannot_be_read_says_what_is_wrong_and_where(text: str, said: str) -> None:
    with pytest.raises(WireError, match=said) as caught:
        parse(text)
    assert caught.value.kind is BAD_REQUEST


@pytest.fixture(scope="module")
def words() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE VIRTUAL TABLE words USING fts5(body, tags, author, lang, content='', tokenize='ascii')"
    )
    return connection


@given(st.text(max_size=60) | st.text(alphabet="\"*-:()^{}+ abANDORNT#'\\\0\ud7ff", max_size=60))
def test_whatever_is_typed_is_refused_or_is_a_query(words: sqlite3.Connection, text: str) -> None:
    try:
        query = parse(text)
    except WireError as error:
        assert error.kind is BAD_REQUEST
        return
    if not query.handles:
        words.execute("SELECT rowid FROM words WHERE words MATCH ?", (matched(query),)).fetchall()
