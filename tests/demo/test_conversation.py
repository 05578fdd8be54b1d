"""The embedded conversation: whole, in many languages, with everything the demo has to show."""

from __future__ import annotations

import importlib.resources
from collections import Counter
from pathlib import Path

from folkmoot.cli.demo.stage import CONVERSATION
from folkmoot.cli.importing.authors import Authors
from folkmoot.cli.importing.mapping import Mapper, Planned, sign_planned
from folkmoot.cli.importing.source import Entry, open_source, parse_time_us
from folkmoot.node.moderation.policy_file import load_engine
from folkmoot.protocol.record import Record

from tests.importing.making import SEED

POLICY = Path(str(importlib.resources.files("folkmoot.configs") / "policies" / "default.toml"))


def entries() -> list[Entry]:
    with importlib.resources.as_file(CONVERSATION) as file, open_source(file) as source:
        lines = list(source.lines())
    assert all(line.entry is not None for line in lines)
    return [line.entry for line in lines if line.entry is not None]


def planned() -> list[Planned]:
    mapper = Mapper(Authors(SEED))
    return [mapper.plan(entry) for entry in entries()]


def records() -> list[Record]:
    return [sign_planned(each) for each in planned()]


def test_every_line_is_a_record_and_every_reference_is_found() -> None:
    assert not any(each.unreferenced for each in planned())
    assert len({record.id for record in records()}) == len(entries()) > 300


def test_it_stands_in_the_order_of_time() -> None:
    times = [parse_time_us(entry.created_at) for entry in entries()]
    assert times == sorted(times)


def test_it_has_replies_likes_reposts_a_quote_and_a_deletion() -> None:
    made = records()
    kinds = Counter(record.kind for record in made)
    assert kinds["post"] > 200 and kinds["like"] > 100 and kinds["repost"] > 20
    assert sum(record.deleted for record in made) == 1
    assert sum("quote" in record.body for record in made) == 1
    assert sum("reply_to" in record.body for record in made) > 150


def test_it_is_spoken_in_many_languages_by_many_people() -> None:
    assert len({entry.lang for entry in entries() if entry.lang}) >= 12
    assert len({entry.author for entry in entries()}) >= 20


def test_one_post_is_what_the_default_policy_labels() -> None:
    engine = load_engine(POLICY)
    labelled = {
        entry.author: [finding.label for finding in engine.judge(entry.text).labels]
        for entry in entries()
        if entry.text and engine.judge(entry.text).labels
    }
    assert labelled == {"luckyday": ["spam"]}
