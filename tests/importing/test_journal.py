"""Journals: what is appended is read back, a torn end is no entry, and a journal is of one cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from folkmoot.cli.journal import Acknowledged, Journal, JournalError, read_journal
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import held_key
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

from tests.importing.making import entry, records

ADA = KeyPair(b"a" * 32)
ENTRIES = st.lists(
    st.builds(
        Acknowledged,
        key=st.binary(min_size=42, max_size=120),
        id=st.binary(min_size=32, max_size=32),
        device=st.binary(min_size=34, max_size=34),
        stamp=st.integers(0, 2**63 - 1),
        kind=st.sampled_from(["post", "like", "repost"]),
        gone=st.booleans(),
        held=st.booleans(),
        level=st.sampled_from(["one", "quorum", "all"]),
        time_us=st.integers(0, 2**62),
    ),
    max_size=20,
)


def promise(number: int) -> Acknowledged:
    return Acknowledged.of(records([entry(number)])[0], held=False, level="quorum", time_us=number)


@given(ENTRIES, ENTRIES)
def test_what_was_appended_is_read_in_its_order(
    tmp_path_factory: pytest.TempPathFactory, first: list[Acknowledged], second: list[Acknowledged]
) -> None:
    file = tmp_path_factory.mktemp("journals") / "deep" / "a.journal"
    for part in (first, second):
        with Journal(file, "c") as journal:
            journal.append(part)
    assert list(read_journal(file, "c")) == first + second


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_a_torn_last_line_is_no_entry_and_is_cut_off_by_the_next_run(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "a.journal"
    with Journal(file, "c") as journal:
        journal.append([promise(1), promise(2)])
    file.write_bytes(file.read_bytes()[:-cut])
    assert list(read_journal(file, "c")) == [promise(1)]
    with Journal(file, "c") as journal:
        journal.append([promise(3)])
    assert list(read_journal(file, "c")) == [promise(1), promise(3)]


def test_a_torn_heading_is_begun_again(tmp_path: Path) -> None:
    file = tmp_path / "a.journal"
    file.write_bytes(b'{"journal":1,"clus')
    with Journal(file, "c") as journal:
        journal.append([promise(1)])
    assert list(read_journal(file, "c")) == [promise(1)]


def test_a_damaged_line_inside_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "a.journal"
    with Journal(file, "c") as journal:
        journal.append([promise(1), promise(2)])
    heading, first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(heading + first[:20] + b"\n" + second)
    with pytest.raises(JournalError, match=r"a\.journal:2: not a journal entry"):
        list(read_journal(file, "c"))


def test_a_journal_is_of_one_cluster_and_has_one_writer(tmp_path: Path) -> None:
    file = tmp_path / "a.journal"
    with Journal(file, "c"), pytest.raises(JournalError, match="another process"):
        Journal(file, "c")
    with pytest.raises(JournalError, match="of cluster c, not d"):
        Journal(file, "d")
    with pytest.raises(JournalError, match="of cluster c, not d"):
        list(read_journal(file, "d"))


@pytest.mark.parametrize("content", [b"", b"posts\n", b'{"journal":9,"cluster":"c"}\n'])
def test_what_is_no_journal_is_not_read(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.journal"
    file.write_bytes(content)
    with pytest.raises(JournalError):
        list(read_journal(file, "c"))
    with pytest.raises(JournalError, match="cannot be read"):
        list(read_journal(tmp_path / "none", "c"))


def test_entries_say_what_is_gone_and_where_held_records_may_be() -> None:
    post, like, deletion = records([entry(0), entry(1, like_of="e0"), entry(2, deletion_of="e0")])
    off = Record.sign(
        ADA, kind="like", item=post.item + ADA.account, body={"on": False}, stamp=9, place=post.author
    )
    made = [
        Acknowledged.of(record, held=False, level="all", time_us=1) for record in (post, like, deletion, off)
    ]
    assert [each.gone for each in made] == [False, False, True, True]
    assert made[0].keys == (post.key,)
    held = Acknowledged.of(post, held=True, level="all", time_us=1)
    assert held.keys == (held_key(post.key), post.key)
