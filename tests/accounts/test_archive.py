"""Archives: what was put in comes out, and nothing that was changed, cut off, left out or put in passes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.accounts.actions import AddKey, Create, RevokeKey
from folkmoot.protocol.accounts.archive import (
    MAGIC,
    ArchiveDamaged,
    ArchiveReader,
    ArchiveWriter,
    Header,
    Item,
    PageEnd,
    Seal,
    Unknown,
)
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

ADA, PHONE, LOST, RESCUE, BEN = (KeyPair(bytes([number]) * 32) for number in range(1, 6))
HEADER = Header(ADA.account, "town", 1_700_000_000_000_000)


def chain() -> Chain:
    """Ada's account, with a phone, and another that she has lost."""
    made = Chain(ADA.account)
    steps = (
        Create(RESCUE.account),
        AddKey(PHONE.account, "phone"),
        AddKey(LOST.account),
        RevokeKey(LOST.account),
    )
    for action in steps:
        previous = made.entries[-1].operation if made.entries else None
        operation = Operation.sign(ADA, ADA.account, action, previous=previous, stamp=made.number)
        made = made.followed_by(operation, made.number)
    return made


CHAIN = chain()


def post(number: int, key: KeyPair = ADA, author: KeyPair = ADA, text: str = "hello") -> Record:
    item = bytes(6) + b"\x70\0\x80" + bytes(5) + struct.pack(">H", number)
    return Record.sign(key, author=author.account, kind="post", item=item, body={"text": text}, stamp=number)


RECORDS = [post(1), post(2, PHONE), post(3, LOST), post(4, text="x" * 300)]


def written(records: Iterable[Record] = RECORDS, key: KeyPair | None = ADA, of: Chain = CHAIN) -> list[bytes]:
    """An archive: the magic with the header's frame, and the other frames."""
    writer = ArchiveWriter(HEADER)
    pieces = [writer.begin()]
    for record in records:
        pieces += [writer.record(record), writer.page(record.key)]
    return [*pieces, writer.chain(of), writer.manifest(key)]


def read(data: bytes, sizes: Sequence[int] = (), **options: Any) -> tuple[list[Item], Seal]:
    """Read an archive in pieces of these sizes, and the rest in one."""
    reader = ArchiveReader(**options)
    items: list[Item] = []
    for size in (*sizes, len(data)):
        items += reader.feed(data[:size])
        data = data[size:]
    return items, reader.finish()


def framed(value: list[Any]) -> bytes:
    """A frame whose sum is right, whatever is in it."""
    body = codec.encode_canonical(value)
    whole = struct.pack(">I", len(body)) + body
    return whole + struct.pack(">I", zlib.crc32(whole))


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


def _with_forged_signature() -> list[bytes]:
    return written([Record(RECORDS[0].payload, bytes(64))])


def _with_a_stranger_s_key() -> list[bytes]:
    return written([post(1, BEN)])


def _with_another_s_post() -> list[bytes]:
    return written([post(1, BEN, BEN)])


def _with_a_chain_that_is_cut() -> list[bytes]:
    return written([post(1, PHONE)], of=Chain(ADA.account, CHAIN.entries[:1]))


def _with_a_chain_that_begins_late() -> list[bytes]:
    pieces = written()
    pieces[-2] = framed(["chain", [entry.to_wire() for entry in CHAIN.entries[1:]]])
    return pieces


def _with_a_chain_nobody_signed() -> list[bytes]:
    pieces = written()
    payload, _, decided_us = CHAIN.entries[0].to_wire()
    pieces[-2] = framed(["chain", [[payload, bytes(64), decided_us]]])
    return pieces


def _signed_by_a_revoked_key() -> list[bytes]:
    return written(key=LOST)


def _signed_by_a_stranger() -> list[bytes]:
    return written(key=BEN)


def _with_an_unsigned_manifest_that_names_a_signer() -> list[bytes]:
    pieces = written()
    _, payload, _ = codec.decode_canonical(pieces[-1][4:-4])
    return [*pieces[:-1], framed(["manifest", payload, bytes(64)])]


def _with_a_signature_of_nobody() -> list[bytes]:
    pieces = written(key=None)
    _, payload, _ = codec.decode_canonical(pieces[-1][4:-4])
    return [*pieces[:-1], framed(["manifest", payload, bytes(64)])]


def _of_a_later_version() -> list[bytes]:
    pieces = written(key=None)
    _, payload, _ = codec.decode_canonical(pieces[-1][4:-4])
    later = codec.encode_canonical({**codec.decode_canonical(payload), "version": 2})
    return [*pieces[:-1], framed(["manifest", later, b""])]


def _with_a_header_twice() -> list[bytes]:
    first, *others = written(key=None)
    return [first, first[len(MAGIC) :], *others]


def _without_a_header() -> list[bytes]:
    return [MAGIC, *written(key=None)[1:]]


def _with_more_behind() -> list[bytes]:
    return [*written(), framed(["page", b"key"])]


def _with_a_frame_without_a_name() -> list[bytes]:
    return [*written()[:1], framed([1, 2])]


def _with_a_misshapen_record() -> list[bytes]:
    return [*written()[:1], framed(["record", b"payload"])]


def _with_a_payload_that_is_none() -> list[bytes]:
    return [*written()[:1], framed(["record", b"payload", bytes(64)])]


def _with_a_frame_that_never_ends() -> list[bytes]:
    return [*written()[:1], b"\xff" * 4096]


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        (_with_forged_signature, "is not signed by its device's key"),
        (_with_a_stranger_s_key, "never the account's"),
        (_with_another_s_post, "is another account's"),
        (_with_a_chain_that_is_cut, "never the account's"),
        (_with_a_chain_that_begins_late, "does not follow"),
        (_with_a_chain_nobody_signed, "is not signed by the key it names"),
        (_signed_by_a_revoked_key, "or was revoked"),
        (_signed_by_a_stranger, "none of the account's"),
        (_with_an_unsigned_manifest_that_names_a_signer, "is not signed by the key it names"),
        (_with_a_signature_of_nobody, "nobody named"),
        (_of_a_later_version, "other version"),
        (_with_a_header_twice, "in the wrong place"),
        (_without_a_header, "does not say whose"),
        (_with_more_behind, "something follows the manifest"),
        (_with_a_frame_without_a_name, "does not say what it is"),
        (_with_a_misshapen_record, "misshapen"),
        (_with_a_payload_that_is_none, "not one MessagePack value"),
        (_with_a_frame_that_never_ends, "which no frame has"),
    ],
)
def test_what_somebody_has_made_up_is_found(made: Callable[[], list[bytes]], complaint: str) -> None:
    with pytest.raises(ArchiveDamaged, match=complaint):
        read(b"".join(made()))


def test_what_is_for_later_versions_is_counted_and_passed_by() -> None:
    writer = ArchiveWriter(HEADER)
    pieces = [writer.begin(), writer._frame(["media", bytes(32), b"picture"]), writer.record(RECORDS[0])]
    pieces += [writer.chain(CHAIN), writer.manifest(ADA)]
    items, seal = read(b"".join(pieces))
    assert items[1] == Unknown("media") and seal.manifest.frames == 4
    with pytest.raises(ArchiveDamaged, match="other frames"):
        read(b"".join([pieces[0], *pieces[2:]]))


def test_an_archive_that_was_begun_is_gone_on_with() -> None:
    first, *others = written()
    begun = b"".join([first, *others[:4]])
    reader = ArchiveReader()
    assert len(list(reader.feed(begun))) == 5 and reader.end == len(begun)
    writer = ArchiveWriter.resumed(reader)
    rest = [writer.record(record) + writer.page(record.key) for record in RECORDS[2:]]
    whole = b"".join([begun, *rest, writer.chain(CHAIN), writer.manifest(ADA)])
    assert whole == b"".join([first, *others])
