"""From entries to records: always the same bytes, in order, with nothing lost unsaid."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.cli.importing.authors import Authors
from folkmoot.cli.importing.source import Entry
from folkmoot.protocol.bodies import is_uuid7, post_time_ms
from folkmoot.protocol.limits import POST_TAGS, POST_TEXT_CODE_POINTS
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

from tests.importing.making import SEED, entry, mapped, records

TIMES = st.sampled_from(
    ["2024-05-01T09:30:00Z", "2024-05-01T09:30:00", "2024-05-01T09:29:00.250Z", "2007-10-24T13:45:00", "2024"]
)
IDS = st.sampled_from([f"e{number}" for number in range(12)])
ENTRIES = st.builds(
    Entry,
    id=IDS,
    created_at=TIMES,
    author=st.sampled_from(["ada", "ben", None]),
    author_name=st.sampled_from(["Cy", None]),
    text=st.one_of(st.none(), st.sampled_from(["words", "RT @ada: words", "é" * 4000]), st.text(max_size=20)),
    reply_to=st.one_of(st.none(), IDS),
    repost_of=st.one_of(st.none(), IDS),
    like_of=st.one_of(st.none(), st.none(), IDS),
    deletion_of=st.one_of(st.none(), st.none(), IDS),
    lang=st.sampled_from([None, "en", "pt-BR", "English", "und"]),
    hashtags=st.one_of(st.none(), st.lists(st.text(max_size=70), max_size=40)),
)


def by_kind(made: list[Record | str]) -> list[str]:
    return [each.kind if isinstance(each, Record) else each for each in made]


@given(st.lists(ENTRIES, max_size=30), st.integers(0, 30))
def test_the_beginning_of_a_source_makes_the_beginning_of_its_records(entries: list[Entry], cut: int) -> None:
    assert mapped(entries)[:cut] == mapped(entries[:cut])


@given(st.lists(ENTRIES, max_size=30))
def test_every_entry_is_a_valid_record_or_a_reason(entries: list[Entry]) -> None:
    for each in mapped(entries):
        if isinstance(each, Record):
            Record(each.payload, each.signature).verify()
        else:
            assert each


@given(st.lists(ENTRIES, max_size=30))
def test_a_devices_stamps_only_rise_and_its_posts_stand_in_their_order(entries: list[Entry]) -> None:
    made = [each for each in mapped(entries) if isinstance(each, Record)]
    for device in {record.device for record in made}:
        own = [record for record in made if record.device == device]
        assert [record.stamp for record in own] == sorted({record.stamp for record in own})
        items = [record.item for record in own if record.kind == "post" and not record.deleted]
        assert items == sorted(set(items))


def test_posts_of_one_minute_keep_their_order() -> None:
    same = [entry(number, author="ada", created_at="2024-05-01T09:30:00") for number in range(200)]
    made = records(same)
    assert [record.item for record in made] == sorted(record.item for record in made)
    assert all(is_uuid7(record.item) for record in made)
    assert {post_time_ms(record.item) for record in made} == {1714555800000}


def test_another_master_seed_makes_other_accounts() -> None:
    one, other = mapped([entry(1)]), mapped([entry(1)], Authors(b"t" * 32))
    assert isinstance(one[0], Record) and isinstance(other[0], Record)
    assert one[0].author != other[0].author
    assert one[0].author == Authors(SEED).key_of("ben").account


def test_a_reply_names_its_parent_and_the_first_post_of_its_thread() -> None:
    first, second, third = records([entry(0), entry(1, reply_to="e0"), entry(2, reply_to="e1")])
    assert second.body["reply_to"] == {"author": first.author, "item": first.item} == second.body["root"]
    assert third.body["reply_to"] == {"author": second.author, "item": second.item}
    assert third.body["root"] == {"author": first.author, "item": first.item}


def test_a_repost_lives_with_its_subject_and_whoever_answers_it_answers_the_subject() -> None:
    post, repost, again, answer = records(
        [
            entry(0),
            entry(1, repost_of="e0", text="RT @ada: words 0"),
            entry(3, repost_of="e1", text=None),
            entry(4, reply_to="e3"),
        ]
    )
    for record in (repost, again):
        assert (record.kind, record.place, record.body) == ("repost", post.author, {"on": True})
        assert record.item == post.item + record.author
    assert answer.body["reply_to"] == {"author": post.author, "item": post.item}


def test_a_repost_with_words_of_its_own_is_a_post_that_quotes() -> None:
    post, quote = records([entry(0), entry(1, repost_of="e0", text="Look at this.")])
    assert quote.kind == "post"
    assert quote.body["quote"] == {"author": post.author, "item": post.item}


def test_likes_and_deletions() -> None:
    post, like, deletion = records([entry(0), entry(1, like_of="e0"), entry(2, deletion_of="e0")])
    assert (like.kind, like.place, like.item) == ("like", post.author, post.item + like.author)
    assert deletion.deleted and deletion.key == post.key and deletion.stamp > post.stamp


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"author": None}, "no author"),
        ({"created_at": "yesterday"}, "created_at 'yesterday'"),
        ({"created_at": "1969-12-31T23:59:59Z"}, "before 1970"),
        ({"text": None}, "no text"),
        ({"text": ""}, "no text"),
        ({"text": "x" * (POST_TEXT_CODE_POINTS + 1)}, "longer than 3000"),
        ({"text": "half a pair \ud800"}, "cannot be a record"),
        ({"repost_of": "e9", "text": None}, "not in the source before it"),
        ({"like_of": "e9"}, "not in the source before it"),
        ({"deletion_of": "e9"}, "not in the source before it"),
        ({"deletion_of": "e0"}, "another author's"),
        ({"id": "e0"}, "the same id"),
    ],
)
def test_what_cannot_be_a_record_says_why(changes: dict[str, Any], reason: str) -> None:
    _, unusable = mapped([entry(0), entry(1, **changes)])
    assert isinstance(unusable, str) and reason in unusable


def test_a_text_of_the_greatest_length_fits() -> None:
    assert by_kind(mapped([entry(0, text="é" * POST_TEXT_CODE_POINTS)])) == ["post"]


def test_a_reference_to_what_is_not_there_is_left_out() -> None:
    (record,) = records([entry(0, reply_to="e9", repost_of="e8", text="RT @somebody: words")])
    assert record.body == {"text": "RT @somebody: words"}


def test_an_author_without_an_id_is_known_by_name() -> None:
    one, other, third = records(
        [
            entry(0, author=None, author_name="Cy"),
            entry(1, author=None, author_name="Cy"),
            entry(2, author="Cy"),
        ]
    )
    assert one.author == other.author != third.author


def test_languages_and_tags_are_kept_where_they_are_such() -> None:
    tags = ["soup", "soup", "", "x" * 65, *(f"tag{number}" for number in range(60))]
    one, other = records([entry(0, lang="pt-BR", hashtags=tags), entry(1, lang="English", hashtags=[])])
    assert one.body["lang"] == "pt-BR" and "lang" not in other.body and "tags" not in other.body
    assert one.body["tags"][:2] == ["soup", "tag0"] and len(one.body["tags"]) == POST_TAGS
