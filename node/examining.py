"""What is asked of records where they come in, and nowhere else, whatever the policy says.

Signatures and the expressions of feed algorithms take too long to be looked at on the event loop. That these
compile, and that label definitions and what accounts choose about labels are as they should be, is not asked
of records that nodes exchange: nodes of other versions may see it otherwise, and must have the same cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from folkmoot.node.environment import Executor
from folkmoot.node.signatures import check_written
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.feed.labelling import check_labelling
from folkmoot.protocol.moderation.definitions import FIELD, parse_definitions
from folkmoot.protocol.ranking.document import parse_document
from folkmoot.protocol.ranking.program import compiled
from folkmoot.protocol.record import Record

ALGORITHM: Final = "algorithm"


async def examine(records: Sequence[Record], executor: Executor) -> list[WireError | None]:
    """Why each record cannot be accepted, whatever the policy says; None for one that can.

    Args:
        records: as read.
        executor: does what takes long.
    """
    errors = await check_written(records, executor)
    for number, record in enumerate(records):
        errors[number] = errors[number] or _unfit(record)
    algorithms = [
        number
        for number, record in enumerate(records)
        if record.kind == ALGORITHM and errors[number] is None and "document" in record.body
    ]
    if algorithms:
        found = await executor.run(lambda: [_uncompiled(records[number]) for number in algorithms])
        for number, error in zip(algorithms, found, strict=True):
            errors[number] = error
    return errors


def _unfit(record: Record) -> WireError | None:
    """Why nobody could heed what a record says about labels."""
    try:
        if record.kind == "preference":
            check_labelling(record.item, record.body)
        elif record.kind == "profile" and record.item == FIELD and not record.erases:
            parse_definitions(record.body["value"])
    except WireError as error:
        return error
    return None


def _uncompiled(record: Record) -> WireError | None:
    try:
        compiled(parse_document(record.body["document"]))
    except WireError as error:
        return error
    return None
