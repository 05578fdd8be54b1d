"""Archives: what was put in comes out, and nothing that was changed, cut off, left out or put in passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from folkmoot.protocol.accounts.archive import (
    MAGIC,
    ArchiveDamaged,
    ArchiveReader,
    ArchiveWriter,
    Item,
    PageEnd,
    Seal,
    Unknown,
)
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

from tests.accounts.archives import ADA, CHAIN, FORGERIES, HEADER, PHONE, RECORDS, post, written


def read(data: bytes, sizes: Sequence[int] = (), **options: Any) -> tuple[list[Item], Seal]:
    """Read an archive in pieces of these sizes, and the rest in one."""
    reader = ArchiveReader(**options)
    items: list[Item] = []
    for size in (*sizes, len(data)):
        items += reader.feed(data[:size])
        data = data[size:]
    return items, reader.finish()


@given(st.lists(st.integers(1, 400), max_size=20), st.sampled_from([ADA, PHONE, None]))
def test_what_was_put_in_comes_out_however_it_is_read(sizes: list[int], key: KeyPair | None) -> None:
    items, seal = read(b"".join(written(key=key)), sizes)
    assert items[0] == HEADER
    assert [item for item in items if isinstance(item, Record)] == RECORDS
    assert [item.key for item in items if isinstance(item, PageEnd)] == [each.key for each in RECORDS]
    [read_chain] = [item for item in items if isinstance(item, Chain)]
    assert read_chain.hashes == CHAIN.hashes
    assert seal.signer == (None if key is None else key.account)
    assert seal.manifest.records == 4 and seal.manifest.devices[PHONE.account.hex()] == 1


def test_an_account_without_a_chain_has_an_archive_too() -> None:
    _, seal = read(b"".join(written([post(1)], of=Chain(ADA.account))))
    assert seal.manifest.number == 0 and seal.manifest.head is None and seal.signer == ADA.account


@pytest.mark.parametrize("key", [ADA, None])
def test_a_flipped_bit_is_found_and_its_frame_named(key: KeyPair | None) -> None:
    pieces = written(key=key)
    whole = b"".join(pieces)
    ends = [sum(map(len, pieces[: number + 1])) for number in range(len(pieces))]
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        with pytest.raises(ArchiveDamaged) as error:
            read(bytes(flipped), trusting=True)
        number = 0 if at < len(MAGIC) else next(n for n, end in enumerate(ends, 1) if at < end)
        assert error.value.number == number
        assert error.value.at == (0 if number == 0 else len(MAGIC) if number == 1 else ends[number - 2])


def test_whatever_is_cut_off_is_missed() -> None:
    whole = b"".join(written())
    for end in range(len(whole)):
        with pytest.raises(ArchiveDamaged, match="ends"):
            read(whole[:end], trusting=True)


@given(st.data())
def test_frames_that_are_left_out_put_twice_or_moved_are_missed(data: st.DataObject) -> None:
    pieces = written(key=None)
    index = data.draw(st.integers(1, len(pieces) - 1))
    changed = data.draw(
        st.sampled_from(
            [
                [*pieces[:index], *pieces[index + 1 :]],
                [*pieces[:index], pieces[index], *pieces[index:]],
                [*pieces[: index - 1], pieces[index], *pieces[index:]],
            ]
        )
    )
    with pytest.raises(ArchiveDamaged):
        read(b"".join(changed))


@pytest.mark.parametrize(("made", "complaint"), FORGERIES)
def test_what_somebody_has_made_up_is_found(made: Callable[[], list[bytes]], complaint: str) -> None:
    with pytest.raises(ArchiveDamaged, match=complaint):
        read(b"".join(made()))


def test_what_is_for_later_versions_is_counted_and_passed_by() -> None:
    writer = ArchiveWriter(HEADER)
    pieces = [writer.begin(), writer._frame(["film", bytes(32), b"picture"]), writer.record(RECORDS[0])]
    pieces += [writer.chain(CHAIN), writer.manifest(ADA)]
    items, seal = read(b"".join(pieces))
    assert items[1] == Unknown("film") and seal.manifest.frames == 4
    with pytest.raises(ArchiveDamaged, match="other frames"):
        read(b"".join([pieces[0], *pieces[2:]]))


def test_where_an_export_goes_on_with_what_lies_elsewhere() -> None:
    first = written()[0]
    reader = ArchiveReader()
    list(reader.feed(first))
    writer = ArchiveWriter.resumed(reader)
    place = PageEnd(b"\x80", elsewhere=True)
    items, _ = read(b"".join([first, writer.page(place), writer.chain(CHAIN), writer.manifest(None)]))
    assert items[1] == place


def test_an_archive_that_was_begun_is_gone_on_with() -> None:
    first, *others = written()
    begun = b"".join([first, *others[:4]])
    reader = ArchiveReader()
    assert len(list(reader.feed(begun))) == 5 and reader.end == len(begun)
    writer = ArchiveWriter.resumed(reader)
    rest = [writer.record(record) + writer.page(PageEnd(record.key)) for record in RECORDS[2:]]
    whole = b"".join([begun, *rest, writer.chain(CHAIN), writer.manifest(ADA)])
    assert whole == b"".join([first, *others])
