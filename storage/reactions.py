"""Where an account's reactions are: likes, reposts, reports and other statements lie with their subjects.

Their keys end with who made them. No index lists them by who that is: they are found by going through the
store from place to place, and of each place only through what can be one. So finding them costs a look at
every reaction there is, in steps of a bounded number of rows, and making one costs nothing more.
"""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.key import KIND_AT, KIND_BYTE, KINDS_UNDER_SUBJECT, place_prefix, prefix_end
from folkmoot.protocol.limits import KEYS_PER_GET, REACTIONS_STEP_ROWS
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.slices import Slice

_FIRST: Final = min(map(KIND_BYTE.__getitem__, KINDS_UNDER_SUBJECT))
_LAST: Final = max(map(KIND_BYTE.__getitem__, KINDS_UNDER_SUBJECT))
assert len(KINDS_UNDER_SUBJECT) == _LAST - _FIRST + 1, "nothing else lies between"


def reactions_of(engine: Engine, account: bytes, start: bytes, stop: bytes) -> Slice:
    """Find what an account wrote under others' places with start ≤ key < stop (an empty `stop` is the end).

    Whose they are is told by their keys alone; no cell is read.

    Args:
        engine: of the store.
        account: 34 bytes.
        start, stop: where to look.
    """
    own = place_prefix(account)
    keys: list[bytes] = []
    rows = 0
    position: bytes | None = start
    with engine.begin() as transaction:
        while position is not None:
            begun, position = position, None
            for key, _ in transaction.scan(Table.CELLS, begun, stop):
                rows += 1
                position = key + b"\0"
                if key[KIND_AT] < _FIRST:
                    position = key[:KIND_AT] + bytes((_FIRST,))
                elif key[KIND_AT] > _LAST:
                    position = prefix_end(key[:KIND_AT]) or None
                elif key.endswith(account) and not key.startswith(own):
                    keys.append(key)
                if position is None or (stop and position >= stop):
                    return Slice(keys, None)
                if rows >= REACTIONS_STEP_ROWS or len(keys) >= KEYS_PER_GET:
                    return Slice(keys, position)
                if key[KIND_AT] < _FIRST or key[KIND_AT] > _LAST:
                    break  # what lies between is passed by
            else:
                position = None
    return Slice(keys, None)
