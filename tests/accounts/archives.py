"""Archives made for tests: one that holds, and many that somebody has made up."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Final

from folkmoot.protocol import codec
from folkmoot.protocol.accounts.actions import AddKey, Create, RevokeKey
from folkmoot.protocol.accounts.archive import MAGIC, ArchiveWriter, Header, PageEnd
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

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
        pieces += [writer.record(record), writer.page(PageEnd(record.key))]
    return [*pieces, writer.chain(of), writer.manifest(key)]


def framed(value: list[Any]) -> bytes:
    """A frame whose sum is right, whatever is in it."""
    body = codec.encode_canonical(value)
    whole = struct.pack(">I", len(body)) + body
    return whole + struct.pack(">I", zlib.crc32(whole))


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


FORGERIES: Final[tuple[tuple[Callable[[], list[bytes]], str], ...]] = (
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
)
"""What somebody has made up, frame by frame, and what is said of it."""
