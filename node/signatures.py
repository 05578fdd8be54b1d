"""Checking signatures: off the event loop, except for the few that cost less than the way to another thread.

libsodium takes about 60 µs a signature and lets go of the interpreter meanwhile, so large batches belong on
threads. The way there and back costs more than two such checks, and several times that when threads compete
for the interpreter, so a handful is checked where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from folkmoot.node.environment import Executor
from folkmoot.protocol.errors import BAD_REQUEST, BAD_SIGNATURE, WireError
from folkmoot.protocol.identity import is_public_key
from folkmoot.protocol.limits import ACCOUNT_BYTES
from folkmoot.protocol.record import Record, signature_holds

INLINE_MAX: Final = 32

# Whose items name an account at the end, and nothing else does there.
_ABOUT_OTHERS: Final = frozenset({"follow", "block", "listed"})


async def check_signatures(records: Sequence[Record], executor: Executor) -> list[bool]:
    """Whether each record's signature is its device's.

    Args:
        records: as read.
        executor: checks what is more than a handful.
    """

    def check() -> list[bool]:
        return [signature_holds(each.device, each.signature, each.payload) for each in records]

    return check() if len(records) <= INLINE_MAX else await executor.run(check)


async def check_written(records: Sequence[Record], executor: Executor) -> list[WireError | None]:
    """What is wrong with the keys in records that are brought to be written; None where nothing is.

    Besides signatures, who is followed, blocked or put on a list: bytes that are no key are nobody. What was
    stored before that was asked stays readable, and can be taken back.
    """

    def check() -> list[WireError | None]:
        return [_error(each) for each in records]

    return check() if len(records) <= INLINE_MAX else await executor.run(check)


def _error(record: Record) -> WireError | None:
    if not signature_holds(record.device, record.signature, record.payload):
        return WireError(BAD_SIGNATURE, "the signature does not fit payload and signer")
    if record.kind in _ABOUT_OTHERS and record.body["on"] and not is_public_key(record.item[-ACCOUNT_BYTES:]):
        return WireError(BAD_REQUEST, "the item names what is no public key, so it is nobody's account")
    return None
