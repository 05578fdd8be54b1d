"""What was decided about what is kept: decisions are found by what they are about, and applied.

Those about one subject stand together, in the order of their roles and then of their numbers, so those of the
greatest role and the newest are found by seeking; of more than `DECISIONS_READ` the others say nothing, which
is the same on every replica. Only those who may decide can write them (see `node.moderation.deciders`).

A version that waits for review is *released* where both are known, it and that it was decided to release it:
when either of them comes, the version is joined into its own cell in the same transaction, unless what else
is known of it says otherwise. So no crash comes between the two, no replica has to be told, and who had
missed one of them makes up for it when repair brings it. What is rejected afterwards stays where it was
released to and is hidden when pages are built.

What is put to replace a version that a person holds back, or has rejected, is kept aside as well: the replica
that takes it in joins it into the held cell instead of its own. Joins ask nothing, so replicas come to the
same all the same; where the decision was not known yet, the version is let in as it was before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from folkmoot.protocol import codec
from folkmoot.protocol.crdt.cell import Cell, winner_frame
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import (
    HELD,
    ITEM_AT,
    KIND_AT,
    KIND_BYTE,
    KIND_NAME,
    PLACE_PREFIX_BYTES,
    held_key,
    prefix_end,
)
from folkmoot.protocol.moderation.bounds import DECISIONS_READ
from folkmoot.protocol.moderation.decision import (
    KIND,
    KINDS_DECIDED,
    MEDIA,
    Action,
    Decision,
    Subject,
    parse_decision,
)
from folkmoot.protocol.moderation.outcome import outcome_of
from folkmoot.protocol.record import Record, record_id
from folkmoot.storage.errors import DiskFull, StoreCorrupt
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.lapses import known
from folkmoot.storage.rows import row_cell

DECISION: Final = KIND_BYTE[KIND]
_DECISIONS: Final = bytes((DECISION,))
_ABOUT_POSTS: Final = _DECISIONS + bytes((KIND_BYTE["post"],))
_HELD: Final = bytes((KIND_BYTE[HELD],))
_KINDS_DECIDED: Final = frozenset(KIND_BYTE[kind] for kind in KINDS_DECIDED)
CONCERNS_RELEASES: Final = frozenset((DECISION, KIND_BYTE[HELD]))
"""The kinds of cells of which `release` is to be told, by their bytes."""


class Stored(NamedTuple):
    """A decision that is kept.

    Args:
        decision: what it says.
        frame: its record's `[payload, signature]`, encoded as it was signed.
    """

    decision: Decision
    frame: bytes


def decisions_on(
    transaction: Transaction, place: bytes, subject: Subject, *, held: bool = False
) -> list[Stored]:
    """Of `all_decisions_on` those that count, for all that is known of lost roles; raises as it does."""
    found = all_decisions_on(transaction, place, subject, held=held)
    if held or not found or not (lapses := known(transaction)):
        return found
    return [each for each in found if not lapses.pass_over(each.decision)]


def all_decisions_on(
    transaction: Transaction, place: bytes, subject: Subject, *, held: bool = False
) -> list[Stored]:
    """What is known to have been decided about something, the oldest first, whether it counts or not.

    Args:
        place: what the keys of its author begin with (40 bytes).
        subject: what it is.
        held: whether to look for why its versions wait for review, which nodes say where they wait.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    start = place + (_HELD + _DECISIONS if held else _DECISIONS) + subject.prefix
    rows = transaction.last(Table.CELLS, start, prefix_end(start), DECISIONS_READ)
    frames = [winner_frame(row_cell(key, row)) for key, row in rows]
    found = [Stored(decision_in(frame), frame) for frame in frames]
    return sorted(found, key=lambda each: (each.decision.mark, each.decision.role))


def applied_to(transaction: Transaction, key: bytes, frame: bytes) -> list[bytes]:
    """The frames of the decisions that pages apply to a post.

    Args:
        key: of its cell.
        frame: of the version that is shown.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    start = key[:KIND_AT] + _ABOUT_POSTS + key[ITEM_AT:]
    if not transaction.holds(Table.CELLS, start, prefix_end(start)):
        return []
    found = decisions_on(transaction, key[:PLACE_PREFIX_BYTES], Subject("post", key[ITEM_AT:]))
    outcome = outcome_of(each.decision for each in found)
    frames = {each.decision.item: each.frame for each in found}
    return [frames[each.item] for each in outcome.applied(record_id(codec.unpack(frame)[0]))]


def applied_on_page(
    transaction: Transaction, keys: Sequence[bytes], frames: Sequence[bytes]
) -> dict[bytes, list[bytes]]:
    """The decisions that apply to the posts on a page, by the items of those that have any.

    Args:
        keys, frames: of posts of one author, the newest first.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    start = keys[-1][:KIND_AT] + _ABOUT_POSTS + keys[-1][ITEM_AT:]
    stop = prefix_end(keys[0][:KIND_AT] + _ABOUT_POSTS + keys[0][ITEM_AT:])
    if not transaction.holds(Table.CELLS, start, stop):
        return {}
    posts = zip(keys, frames, strict=True)
    applied = {key[ITEM_AT:]: applied_to(transaction, key, frame) for key, frame in posts}
    return {item: found for item, found in applied.items() if found}


class Hidden:
    """What is hidden of an account's cells of one kind, where that is not posts.

    Nothing more is looked up where nothing was decided about any of them.

    Args:
        transaction: in which is read.
        place: what the keys of the account begin with (40 bytes).
        kind: `profile`, `list`, `algorithm` or `label`.
    """

    __slots__ = ("_any", "_kind", "_place", "_transaction")

    def __init__(self, transaction: Transaction, place: bytes, kind: str) -> None:
        start = place + _DECISIONS + bytes((KIND_BYTE[kind],))
        self._any = transaction.holds(Table.CELLS, start, prefix_end(start))
        self._transaction = transaction
        self._place = place
        self._kind = kind

    def by(self, item: bytes, frame: bytes) -> list[bytes]:
        """The frames of the decisions that hide something; none where it is to be seen.

        Args:
            item: its own.
            frame: of the version that would be shown.

        Raises:
            StoreCorrupt: a cell is damaged.
        """
        if not self._any:
            return []
        found = decisions_on(self._transaction, self._place, Subject(self._kind, item))
        version = record_id(codec.unpack(frame)[0])
        outcome = outcome_of(each.decision for each in found)
        frames = {each.decision.item: each.frame for each in found}
        return [frames[each.item] for each in outcome.applied(version)] if outcome.hides(version) else []


def waits_too(transaction: Transaction, key: bytes, known: Cell, record: Record) -> bool:
    """Whether a person holds back or has rejected what is shown, so that what replaces it waits for a person.

    Otherwise an edit would undo the decision, which is about a version. What a person has let go does not
    wait again, and what its author takes back is gone.

    Args:
        transaction: in which the record is put.
        key: of its cell.
        known: what stands there.
        record: what is put.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    if key[KIND_AT] not in _KINDS_DECIDED or record.body.get("deleted") is True or known.taken_back:
        return False
    if record.body.get("value") == "":
        return False
    subject, place = Subject(record.kind, record.item), key[:PLACE_PREFIX_BYTES]
    start = place + _DECISIONS + subject.prefix
    if not transaction.holds(Table.CELLS, start, prefix_end(start)):
        return False
    outcome = outcome_of(each.decision for each in decisions_on(transaction, place, subject))
    return outcome.keeps_back(known.winner.id) and not outcome.released(record.id)


def release(
    transaction: Transaction, key: bytes, cell: bytes, join_cell: Callable[[bytes, Cell], Any]
) -> None:
    """Join what waited for review into its own cell, if the decision and what it is about have met.

    What there is no room for, or what meets damage, is not joined now: it comes from other replicas, or when
    whoever decided asks for it again. Refusing the decision for it would lose that as well.

    Args:
        key, cell: of a decision, or of what waits for review, as it is now.
        join_cell: see `WriteTransaction.join_cell`.
    """
    with suppress(StoreCorrupt, WireError):
        if key[KIND_AT] == DECISION:
            decision = decision_in(winner_frame(cell))
            subject = decision.subject
            if subject.kind == MEDIA:  # which wait nowhere: they are looked at when they are served
                return
            waits = held_key(_own_key(key, subject))
            row = transaction.get(Table.CELLS, waits) if decision.action is Action.RELEASE else None
            held = None if row is None else row_cell(waits, row)
        elif key[ITEM_AT] in _KINDS_DECIDED:
            subject, held = Subject(KIND_NAME[key[ITEM_AT]], key[ITEM_AT + 1 :]), cell
        else:
            return
        found = () if held is None else decisions_on(transaction, key[:PLACE_PREFIX_BYTES], subject)
        outcome = outcome_of(each.decision for each in found)
        for record in Cell.decode(held).records() if held is not None and outcome.versions else ():
            if outcome.released(record.id):
                with suppress(DiskFull):
                    join_cell(_own_key(key, subject), Cell.of(record))


def _own_key(key: bytes, subject: Subject) -> bytes:
    return key[:PLACE_PREFIX_BYTES] + bytes((KIND_BYTE[subject.kind],)) + subject.item


def decision_in(frame: bytes) -> Decision:
    """What the record of a decision says."""
    record = Record.from_wire(codec.unpack(frame))
    return parse_decision(record.item, record.body)


def key_of(place: bytes, decision: Decision) -> bytes:
    """The key of a decision under a place (its 40 bytes)."""
    return place + _DECISIONS + decision.item
