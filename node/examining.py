"""What of a record takes too long to be looked at on the event loop: its signature, and expressions in it.

That the expressions of a feed algorithm compile is asked where a record comes in, and nowhere else: nodes
with other versions of the library may see it otherwise, and must be able to exchange it all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from folkmoot.node.environment import Executor
from folkmoot.node.signatures import check_written
from folkmoot.protocol.errors import WireError
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


def _uncompiled(record: Record) -> WireError | None:
    try:
        compiled(parse_document(record.body["document"]))
    except WireError as error:
        return error
    return None
