"""Finding posts made since a time with all that moderation did to them, for audits.

Posts stand in the order of their making, so of each place those from a moment on are found by a look, and
what stands beside a post by one each: no index is kept for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from folkmoot.protocol import codec
from folkmoot.protocol.crdt.cell import Cell, winner_frame
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import HELD, ITEM_AT, KIND_AT, KIND_BYTE, PLACE_PREFIX_BYTES, prefix_end
from folkmoot.protocol.limits import PAGE_LABELS_PER_POST
from folkmoot.protocol.moderation.bounds import AUDIT_ROWS, VOTES_READ
from folkmoot.protocol.moderation.decision import Subject
from folkmoot.protocol.moderation.fairness.counting import Found
from folkmoot.protocol.moderation.label import Label, labeller_prefix, parse_label
from folkmoot.protocol.record import Record
from folkmoot.storage.decided import decisions_on
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.rows import row_cell

_POST: Final = KIND_BYTE["post"]
_HELD: Final = KIND_BYTE[HELD]
_OWN: Final = bytes((_POST,))
_WAITING: Final = bytes((_HELD, _POST))
_LABELS: Final = bytes((KIND_BYTE["label"],))
_VOTES: Final = bytes((KIND_BYTE["vote"], _POST))
_TIME_BYTES: Final = 6  # of milliseconds, which the items of posts begin with


class Step(NamedTuple):
    """One look.

    Args:
        next: where the next one is; None at the end.
        found: a post, where there is one that is not deleted.
    """

    next: bytes | None
    found: Found | None = None


def posts_since(
    engine: Engine, start: bytes, stop: bytes, since_us: int, nodes: Collection[bytes]
) -> Iterator[Step]:
    """The posts with start ≤ key < stop that were made since a time, as far as their items say; a bounded
    number of looks.

    Args:
        engine: of the store.
        start, stop: where to look; an empty `stop` is the end.
        since_us: microseconds since 1970.
        nodes: the accounts (34 bytes) of the cluster's nodes, whose labels and statements count.
    """
    since = (since_us // 1000).to_bytes(_TIME_BYTES, "big")
    prefixes = sorted(map(labeller_prefix, nodes))
    with engine.begin() as transaction:
        position: bytes | None = start
        for _ in range(AUDIT_ROWS):
            if position is None:
                return
            row = next(iter(transaction.scan(Table.CELLS, position, stop)), None)
            found = None
            if row is None:
                position = None
            elif (elsewhere := _elsewhere(row[0], since)) is not None:
                position = elsewhere or None
            else:
                position = row[0] + b"\0"
                with suppress(StoreCorrupt, WireError):
                    found = _found(transaction, *row, nodes, prefixes)
            if stop and position is not None and position >= stop:
                position = None
            yield Step(position, found)


def _elsewhere(key: bytes, since: bytes) -> bytes | None:
    """Where to look instead of at a key, empty at the end; None where it is one that is wanted."""
    place, rest = key[:PLACE_PREFIX_BYTES], key[KIND_AT:]
    for wanted in (_OWN, _WAITING):
        if rest < wanted + since:
            return place + wanted + since
        if rest.startswith(wanted):
            return None
    return prefix_end(place)


def _found(
    transaction: Transaction, key: bytes, row: bytes, nodes: Collection[bytes], prefixes: list[bytes]
) -> Found | None:
    place = key[:PLACE_PREFIX_BYTES]
    held = key[KIND_AT] == _HELD
    item = key[ITEM_AT + 1 :] if held else key[ITEM_AT:]
    if held and transaction.get(Table.CELLS, place + _OWN + item) is not None:
        return None  # it is counted where it is shown
    cell = Cell.decode(row_cell(key, row))
    if cell.taken_back:
        return None
    subject = Subject("post", item)
    # What a gate says stands under the stamp of the version that it is about.
    statements = decisions_on(transaction, place, subject, held=True)
    why = [(each.decision, Record.from_wire(codec.unpack(each.frame)).stamp) for each in statements]
    return Found(
        cell.winner,
        not held,
        _labels(transaction, place, item, nodes, prefixes),
        [each for each in why if each[0].decider in nodes],
        [each.decision for each in decisions_on(transaction, place, subject)],
        _votes(transaction, place + _VOTES + item),
    )


def _labels(
    transaction: Transaction, place: bytes, item: bytes, nodes: Collection[bytes], prefixes: list[bytes]
) -> list[Label]:
    of_post = place + _LABELS + item
    if not transaction.holds(Table.CELLS, of_post, prefix_end(of_post)):
        return []
    labels = []
    for prefix in prefixes:
        start = of_post + prefix
        for key, row in transaction.last(Table.CELLS, start, prefix_end(start), PAGE_LABELS_PER_POST):
            record = Record.from_wire(codec.unpack(winner_frame(row_cell(key, row))))
            label = parse_label(record.item, record.body)
            if label.labeller in nodes and not label.negated:
                labels.append(label)
    return labels


def _votes(transaction: Transaction, start: bytes) -> list[Record]:
    if not transaction.holds(Table.CELLS, start, prefix_end(start)):
        return []
    rows = transaction.last(Table.CELLS, start, prefix_end(start), VOTES_READ)
    return [Record.from_wire(codec.unpack(winner_frame(row_cell(key, row)))) for key, row in rows]
