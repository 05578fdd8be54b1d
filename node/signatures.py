"""Checking signatures: off the event loop, except for the few that cost less than the way to another thread.

libsodium takes about 60 µs a signature and lets go of the interpreter meanwhile, so large batches belong on
threads. The way there and back costs more than two such checks, and several times that when threads compete
for the interpreter, so a handful is checked where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from folkmoot.node.environment import Executor
from folkmoot.protocol.record import Record, signature_holds

INLINE_MAX: Final = 32


async def check_signatures(records: Sequence[Record], executor: Executor) -> list[bool]:
    """Whether each record's signature is its device's.

    Args:
        records: as read.
        executor: checks what is more than a handful.
    """

    def check() -> list[bool]:
        return [signature_holds(each.device, each.signature, each.payload) for each in records]

    return check() if len(records) <= INLINE_MAX else await executor.run(check)
