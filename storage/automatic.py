"""Finding what policies decided: what nodes labelled, and why they had something wait, by the policy's hash.

No index lists it, as none lists what people decided (see `moderated`): it is asked for when a policy is
rolled back, and costs what is written nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final, Literal

from folkmoot.protocol import codec
from folkmoot.protocol.crdt.cell import winner_frame
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import HELD, ITEM_AT, KIND_BYTE
from folkmoot.protocol.limits import KEYS_PER_GET, REACTIONS_STEP_ROWS
from folkmoot.protocol.moderation.compensation import statement_in
from folkmoot.protocol.record import Record
from folkmoot.storage.decided import DECISION
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Engine
from folkmoot.storage.rows import row_cell
from folkmoot.storage.slices import Slice, walk

Sort = Literal["labels", "holds"]

KIND_OF: Final[dict[Sort, int]] = {"labels": KIND_BYTE["label"], "holds": KIND_BYTE[HELD]}
"""The kind of the cells in which each sort stands, by its byte."""


def decided_by(engine: Engine, start: bytes, stop: bytes, policy: str, sort: Sort) -> Slice:
    """What nodes said because of a policy, and have not taken back.

    Args:
        engine: of the store.
        start, stop: where to look; an empty `stop` is the end.
        policy: its hash, in hex.
        sort: labels, or why something waits.
    """
    keys: list[bytes] = []
    with engine.begin() as transaction:
        for rows, looked in enumerate(walk(transaction, KIND_OF[sort], start, stop), 1):
            key = looked.key
            if key is not None and (sort == "labels" or key[ITEM_AT] == DECISION):
                with suppress(StoreCorrupt, WireError):
                    frame = codec.unpack(winner_frame(row_cell(key, looked.row)))
                    said = statement_in(Record.from_wire(frame))
                    if said is not None and said.policy == policy:
                        keys.append(key)
            if rows >= REACTIONS_STEP_ROWS or len(keys) >= KEYS_PER_GET:
                return Slice(keys, looked.next)
    return Slice(keys, None)
