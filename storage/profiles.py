"""Profiles: the fields that an account says of itself, which of them are hidden, and how many follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from folkmoot.protocol import codec
from folkmoot.protocol.crdt.cell import winner_frame
from folkmoot.protocol.key import PLACE_PREFIX_BYTES, kind_prefix, prefix_end
from folkmoot.protocol.limits import PAGE_BYTES, PROFILE_FIELDS
from folkmoot.protocol.record import Record
from folkmoot.storage.decided import Hidden
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import row_cell

_PROFILE_BYTES: Final = 400  # besides its fields, which are there twice


class StoredProfile(NamedTuple):
    """What this store has of an account's profile.

    Args:
        frames: of each field, the display winner's `[payload, signature]`, in the order of the fields' names.
        fields: the shown value of each, by its name; not to be changed.
        complete: whether these are all there are.
        followers: how many follow the account.
        decisions: of the fields that are hidden, the frames of the decisions that hide them, by name.
    """

    frames: Sequence[bytes]
    fields: Mapping[str, Any]
    complete: bool
    followers: int
    decisions: Mapping[str, Sequence[bytes]]

    def weight(self) -> int:
        """About how many bytes it takes."""
        beside = sum(len(frame) for frames in self.decisions.values() for frame in frames)
        return _PROFILE_BYTES + 2 * sum(map(len, self.frames)) + beside

    def to_wire(self) -> dict[str, Any]:
        """The result of `replica.profile`."""
        told = {"frames": list(self.frames), "complete": self.complete, "followers": self.followers}
        return {**told, "decisions": self.decisions} if self.decisions else told


def read_profile(transaction: Transaction, account: bytes, followers: int) -> StoredProfile:
    """An account's profile: as many fields as there may be, and as a message has room for.

    Args:
        account: 34 bytes.
        followers: how many follow it.

    Raises:
        StoreCorrupt: a cell is damaged.
    """
    prefix = kind_prefix(account, "profile")
    frames: list[bytes] = []
    size, complete = 0, True
    for key, row in islice(transaction.scan(Table.CELLS, prefix, prefix_end(prefix)), PROFILE_FIELDS + 1):
        frame = winner_frame(row_cell(key, row))
        size += len(frame)
        if size > PAGE_BYTES or len(frames) == PROFILE_FIELDS:
            complete = False
            break
        frames.append(frame)
    records = [Record.from_wire(codec.unpack(frame)) for frame in frames]
    fields = {record.item.decode(): record.body["value"] for record in records}
    hidden = Hidden(transaction, prefix[:PLACE_PREFIX_BYTES], "profile")
    found = {
        record.item.decode(): hidden.by(record.item, frame)
        for record, frame in zip(records, frames, strict=True)
    }
    decisions = {name: by for name, by in found.items() if by}
    return StoredProfile(frames, fields, complete, followers, decisions)
