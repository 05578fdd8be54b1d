"""Ada's account, which moves in these tests: her keys, her history and what she wrote."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from folkmoot.cli.users.archive_files import Contents, check
from folkmoot.protocol.accounts.actions import Action, AddKey, Create, RevokeKey, RotateKey
from folkmoot.protocol.accounts.archive import ArchiveWriter, Header
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

ADA, PHONE, LOST, RESCUE, OPERATOR, NEW = (KeyPair(bytes([number]) * 32) for number in range(1, 7))
Step = tuple[KeyPair, Action]
_stamps = itertools.count(1)


def chain(*what: Step) -> Chain:
    made = Chain(ADA.account)
    for by, action in what:
        previous = made.entries[-1].operation if made.entries else None
        operation = Operation.sign(by, ADA.account, action, previous=previous, stamp=made.number)
        made = made.followed_by(operation, made.number)
    return made


CREATED: Step = (ADA, Create(RESCUE.account))
LIFE: tuple[Step, ...] = (
    CREATED,
    (ADA, AddKey(PHONE.account)),
    (ADA, AddKey(LOST.account)),
    (ADA, RevokeKey(LOST.account)),
    (PHONE, RotateKey(PHONE.account, NEW.account)),
)


def post(number: int, key: KeyPair = ADA, text: str = "hello") -> Record:
    item = bytes(6) + b"\x70\0\x80" + bytes(6) + bytes([number])
    return Record.sign(
        key, author=ADA.account, kind="post", item=item, body={"text": text}, stamp=next(_stamps)
    )


RECORDS = [
    *(post(number, key) for number, key in enumerate([ADA, PHONE, LOST, LOST, NEW])),
    *(post(9, ADA, text) for text in ("first", "second", "third")),
]


def archive(file: Path, records: Sequence[Record] = RECORDS, of: Chain | None = None) -> Contents:
    """An archive in a file, checked."""
    writer = ArchiveWriter(Header(ADA.account, "elsewhere", 1))
    whole = writer.begin() + b"".join(writer.record(record) for record in records)
    file.write_bytes(whole + writer.chain(of or chain(*LIFE)) + writer.manifest(None))
    return check(file, lambda done, total: None)
