"""Having a store go by other lapses: what follows from it is worked out anew.

What waits for review depends on which decisions count. So when the lapses change, everything that is held is
gone through once, in steps, and a named value notes from where on that is still to be done: whoever is
stopped goes on there. Until it is done the list of what waits may say too little, or too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from folkmoot.protocol.community.lapses import encode
from folkmoot.protocol.community.value import Lapse
from folkmoot.protocol.key import HELD, KIND_BYTE
from folkmoot.protocol.limits import STORE_STEP_ROWS
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Engine
from folkmoot.storage.lapses import KNOWN
from folkmoot.storage.slices import walk
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import WriteTransaction
from folkmoot.storage.waiting import settle

UNSETTLED: Final = "lapses-unsettled"

_FROM: Final = b"+"  # what notes begin with, so that one from the beginning is not empty
_HELD: Final = KIND_BYTE[HELD]


def keep(transaction: WriteTransaction, lapses: Sequence[Lapse]) -> bool:
    """Go by other lapses from now on; whether they are others than were known.

    Raises:
        DiskFull: nothing was changed.
    """
    data = encode(lapses)
    with suppress(StoreCorrupt):
        if (transaction.meta_get(KNOWN) or encode(())) == data:
            return False
    transaction.meta_put(KNOWN, data)
    transaction.meta_put(UNSETTLED, _FROM)
    return True


def unsettled(store: Store) -> bytes | None:
    """From where on what is held is still to be gone through (a note, not a key); None when it was.

    Raises:
        StoreCorrupt: the note is damaged.
    """
    return store.meta_get(UNSETTLED) or None


def step(engine: Engine, note: bytes) -> tuple[list[bytes], bytes]:
    """The next held cells, by their keys, from a note of `unsettled` on; and the note after them."""
    held: list[bytes] = []
    with engine.begin() as transaction:
        for rows, looked in enumerate(walk(transaction, _HELD, note[len(_FROM) :], b""), 1):
            held += [] if looked.key is None else [looked.key]
            if rows >= STORE_STEP_ROWS:
                return held, b"" if looked.next is None else _FROM + looked.next
    return held, b""


def resettle(transaction: WriteTransaction, held: Sequence[bytes], note: bytes, following: bytes) -> bool:
    """Bring what is listed to wait up to what is known now, unless that has changed since the step was made.

    Args:
        held, following: what `step` gave.
        note: what it was given.

    Raises:
        DiskFull, StoreCorrupt: nothing was changed.
    """
    if transaction.meta_get(UNSETTLED) != note:
        return False
    settle(transaction.rows, held)
    transaction.meta_put(UNSETTLED, following)
    return True
