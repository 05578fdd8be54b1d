"""What a node's gate knew of posts when it judged them, so that another policy can judge them as they stood.

Kept are the signals that nobody can work out from a post again: how fast its author and its address wrote,
for instance. They stand beside the posts that this node keeps itself, and nowhere else: when a post is
deleted, or goes to another node, they go with it, in the same transaction. No text is in them.

There is a bound to how many are kept; what was judged longest ago gives way, not much of it at once. So there
are two tables: one by the key of a post's cell, whose rows have its versions (the newest few), and one by the
time of the judgement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from folkmoot.protocol import codec
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.expressions import Value
from folkmoot.protocol.key import HELD, ITEM_AT, KIND_AT, KIND_BYTE, PLACE_PREFIX_BYTES, held_key
from folkmoot.protocol.moderation.bounds import VERSIONS_JUDGED
from folkmoot.protocol.moderation.decision import Subject
from folkmoot.protocol.moderation.outcome import Outcome, outcome_of
from folkmoot.protocol.record import Record
from folkmoot.storage.decided import decisions_on
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.rows import row_cell, seal, unseal

if TYPE_CHECKING:
    from folkmoot.storage.transaction import WriteTransaction

_POST: Final = KIND_BYTE["post"]
_HELD: Final = KIND_BYTE[HELD]
_KINDS: Final = frozenset((_POST, _HELD))
_TIME_BYTES: Final = 8
_ID_BYTES: Final = 8
_FORGOTTEN: Final = 2  # for each that comes, so that a commit takes as long as what it brings

_NO_SCORES: Final[Mapping[str, list[float]]] = {}


class Judged(NamedTuple):
    """A post that was judged.

    Args:
        key: of its cell.
        record: the id of the version (32 bytes).
        judged_us: when, microseconds since 1970.
        signals: what was known of it beyond its text, by name.
        scores: what models said of its text, by their hashes, so that they need not be asked again.
    """

    key: bytes
    record: bytes
    judged_us: int
    signals: Mapping[str, Value]
    scores: Mapping[str, list[float]] = _NO_SCORES

    @property
    def at(self) -> bytes:
        """Where it stands in the order of time."""
        return self.judged_us.to_bytes(_TIME_BYTES, "big") + self.record[:_ID_BYTES]


class Replayed(NamedTuple):
    """A post that was judged, as it is kept.

    Args:
        judged: what was known of it.
        record: the version.
        outcome: what was decided about it.
    """

    judged: Judged
    record: Record
    outcome: Outcome


class Stretch(NamedTuple):
    """Some of what was judged, in the order of time.

    Args:
        found: what of it is still there.
        gone: how many versions have been edited away since.
        resume: where to go on; None at the end.
    """

    found: list[Replayed]
    gone: int
    resume: bytes | None


def keep(writing: WriteTransaction, judged: Sequence[Judged], most: int) -> int:
    """Keep what was known of posts, as far as this store keeps the posts; how many were kept.

    A version that is judged again is not kept again: what it was judged by first is what it was.

    Args:
        most: how many are kept in all; where there are more, a few more go than come.

    Raises:
        DiskFull: there is no room; nothing was changed.
    """
    transaction, kept, added_bytes = writing.rows, 0, 0
    for each in judged:
        if not _has(transaction, each):
            continue
        before = _versions(transaction, each.key)
        if any(version.record == each.record for version in before):
            continue
        row, at_row = _row(each.key, [*before, each][-VERSIONS_JUDGED:]), seal(each.at, each.key)
        added_bytes += len(row) + len(at_row)
        writing.make_room(added_bytes)
        for late in before[: max(0, len(before) + 1 - VERSIONS_JUDGED)]:
            transaction.delete(Table.JUDGED_ORDER, late.at)
        transaction.put(Table.JUDGED, each.key, row)
        transaction.put(Table.JUDGED_ORDER, each.at, at_row)
        kept += 1
    trim(transaction, most, _FORGOTTEN * len(judged))
    return kept


def count(engine: Engine) -> int:
    """How many versions something is known of."""
    with engine.begin() as transaction:
        return transaction.count(Table.JUDGED_ORDER)


def trim(transaction: Transaction, most: int, at_once: int) -> None:
    """Forget what was judged longest ago, until no more are left than are kept; at most so many at once."""
    over = min(transaction.count(Table.JUDGED_ORDER) - most, at_once)
    for at, row in list(islice(transaction.scan(Table.JUDGED_ORDER), max(0, over))):
        _forget_one(transaction, at, row)


def forget(transaction: Transaction, key: bytes) -> None:
    """Forget what was known of the post whose cell, or held cell, has this key; of other kinds nothing is.

    For a cell that goes, or says that its post is gone.
    """
    if key[KIND_AT] not in _KINDS or (key[KIND_AT] == _HELD and key[ITEM_AT] != _POST):
        return
    own = key if key[KIND_AT] == _POST else key[:KIND_AT] + key[ITEM_AT:]
    for each in _versions(transaction, own):
        transaction.delete(Table.JUDGED_ORDER, each.at)
    transaction.delete(Table.JUDGED, own)


def latest(engine: Engine, most: int) -> tuple[bytes | None, int]:
    """Where the latest of what was judged begin, at most so many; and how many they are."""
    with engine.begin() as transaction:
        count = transaction.count(Table.JUDGED_ORDER)
        some = min(count, most)
        start = next(islice(transaction.scan(Table.JUDGED_ORDER), count - some, None), None)
        return (None, 0) if start is None or not some else (start[0], some)


def stretch(engine: Engine, start: bytes, most: int) -> Stretch:
    """What was judged from a place in the order of time on, at most so many.

    What is damaged counts as gone: it is a help, and nothing is lost with it.
    """
    found: list[Replayed] = []
    gone = 0
    with engine.begin() as transaction:
        rows = list(islice(transaction.scan(Table.JUDGED_ORDER, start), most + 1))
        for at, row in rows[:most]:
            replayed = None
            with suppress(StoreCorrupt):
                replayed = _replayed(transaction, at, unseal(Table.JUDGED_ORDER, at, row))
            if replayed is None:
                gone += 1
            else:
                found.append(replayed)
    return Stretch(found, gone, rows[most][0] if len(rows) > most else None)


def read(transaction: Transaction, key: bytes) -> list[Judged]:
    """What was known of the versions of the post whose cell has this key, in the order of time.

    Raises:
        StoreCorrupt: it is damaged.
    """
    row = transaction.get(Table.JUDGED, key)
    versions = [] if row is None else codec.unpack(unseal(Table.JUDGED, key, row))
    return [Judged(key, *version) for version in versions]


def _replayed(transaction: Transaction, at: bytes, key: bytes) -> Replayed | None:
    judged = next((each for each in read(transaction, key) if each.at == at), None)
    record = None if judged is None else _version(transaction, key, judged.record)
    if judged is None or record is None:
        return None
    place, subject = key[:PLACE_PREFIX_BYTES], Subject("post", key[ITEM_AT:])
    decided = decisions_on(transaction, place, subject)
    return Replayed(judged, record, outcome_of(each.decision for each in decided))


def _has(transaction: Transaction, judged: Judged) -> bool:
    with suppress(StoreCorrupt):
        return _version(transaction, judged.key, judged.record) is not None
    return False


def _version(transaction: Transaction, key: bytes, id: bytes) -> Record | None:
    """A version of a post (a record id), shown, edited or waiting; None when it is not here, or only says
    that the post is gone."""
    for where in (key, held_key(key)):
        row = transaction.get(Table.CELLS, where)
        records: Sequence[Record] = () if row is None else Cell.decode(row_cell(where, row)).records()
        for record in records:
            if record.id == id and not record.takes_back:
                return record
    return None


def _versions(transaction: Transaction, key: bytes) -> list[Judged]:
    """As `read`; nothing where it is damaged, since it is then written anew or goes."""
    with suppress(StoreCorrupt):
        return read(transaction, key)
    return []


def _row(key: bytes, versions: Sequence[Judged]) -> bytes:
    plain = [[each.record, each.judged_us, dict(each.signals), dict(each.scores)] for each in versions]
    return seal(key, codec.pack(plain))


def _forget_one(transaction: Transaction, at: bytes, row: bytes) -> None:
    transaction.delete(Table.JUDGED_ORDER, at)
    with suppress(StoreCorrupt):
        key = unseal(Table.JUDGED_ORDER, at, row)
        if left := [each for each in _versions(transaction, key) if each.at != at]:
            transaction.put(Table.JUDGED, key, _row(key, left))
        else:
            transaction.delete(Table.JUDGED, key)
