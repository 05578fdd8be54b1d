"""What this node's gate has sent back, so that it can be counted: one sealed row a refusal.

A row says by which rule and why, and neither who wrote what was refused nor what it said, so that nothing in
it is anybody's to have erased. There is a bound to how many are kept; the oldest give way.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Annotated, Final

import msgspec
from folkmoot.protocol import codec, limits
from folkmoot.protocol.moderation.bounds import REFUSALS_KEPT
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.rows import seal, unseal
from folkmoot.storage.transaction import WriteTransaction
from msgspec import Meta, Struct

KEY_BYTES: Final = 10
_TIME_BYTES: Final = 8


class Refusal(Struct, frozen=True, omit_defaults=True):
    """One record that was sent back.

    Args:
        at_us: when, microseconds since 1970.
        kind: of the record.
        rule, policy, reason: as in a verdict.
        field, span: the place that set the rule off, where it was one.
        signals: what the rule looked at besides, as texts.
        language: what the record said it is in, in lower case; empty where it said none.
        media: the families of what it showed, such as `image`.
    """

    at_us: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)]
    kind: str
    rule: str
    policy: str
    reason: str
    field: str | None = None
    span: tuple[int, int] | None = None
    signals: dict[str, str] = {}
    language: str = ""
    media: list[str] = []


def keep(transaction: WriteTransaction, refusals: Iterable[Refusal]) -> None:
    """Keep refusals, and have the oldest make room.

    Raises:
        DiskFull: there is no room; nothing was changed.
    """
    rows = transaction.rows
    for refusal in refusals:
        key = _free_key(transaction, refusal.at_us)
        row = seal(key, codec.pack(msgspec.to_builtins(refusal, builtin_types=(bytes,))))
        transaction.make_room(len(row))
        rows.put(Table.REFUSALS, key, row)
        while rows.count(Table.REFUSALS) > REFUSALS_KEPT:
            oldest = next(rows.scan(Table.REFUSALS))
            rows.delete(Table.REFUSALS, oldest[0])


def page(engine: Engine, after: bytes, since_us: int, most: int) -> list[tuple[bytes, Refusal]]:
    """Refusals since a time (microseconds since 1970), the oldest first, each with the key of its row.

    Args:
        engine: of the store.
        after: the key of the last one that is known; empty for none.
        since_us: see there.
        most: at most so many.

    Raises:
        StoreCorrupt: a row is damaged.
    """
    start = max(after and after + b"\0", since_us.to_bytes(_TIME_BYTES, "big"))
    with engine.begin() as transaction:
        rows = list(islice(transaction.scan(Table.REFUSALS, start), most))
    return [(key, _read(key, row)) for key, row in rows]


def _free_key(transaction: WriteTransaction, at_us: int) -> bytes:
    """A key of its own: the time, and a number among those of the same moment."""
    start = at_us.to_bytes(_TIME_BYTES, "big")
    last = transaction.rows.last(Table.REFUSALS, start, (at_us + 1).to_bytes(_TIME_BYTES, "big"), 1)
    number = int.from_bytes(last[0][0][_TIME_BYTES:], "big") + 1 if last else 0
    return start + number.to_bytes(KEY_BYTES - _TIME_BYTES, "big")


def _read(key: bytes, row: bytes) -> Refusal:
    return codec.shaped(codec.unpack(unseal(Table.REFUSALS, key, row)), Refusal, "a refusal")
