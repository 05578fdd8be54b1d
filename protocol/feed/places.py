"""Places in change logs: how far somebody has followed a range.

Each replica has a log of its own, so a place names the replica, its log, a boot and a change (a *moment*: see
`storage.boots`), and besides a *time*: whatever that replica had before it has been told. Another replica
goes on from there if it can prove that the first one had, by that time, everything that it had itself at some
change of its own (see docs/decisions/0032).

Layout: node (16 bytes) ‖ log (16) ‖ boot (8) ‖ sequence (8) ‖ time_us (8) ‖ shape (4), numbers big-endian.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from folkmoot.protocol.errors import BAD_REQUEST, WireError

LOG_BYTES: Final = 16
_layout = struct.Struct(">16s16sQQQI")
PLACE_BYTES: Final = _layout.size


class LogPlace(NamedTuple):
    """See the module.

    Attributes:
        node: whose log (16 bytes).
        log: the log's id (16 bytes).
        boot: that wrote it when this place was told.
        sequence: the change up to which all has been told.
        time_us: what the node had before this, by its clock in microseconds since 1970, has been told; 0 when
            that is not known.
        shape: stands for the bounds of what is followed where these may change; else 0.
    """

    node: bytes
    log: bytes
    boot: int
    sequence: int
    time_us: int
    shape: int = 0

    def encode(self) -> bytes:
        """The bytes of a cursor's position."""
        return _layout.pack(*self)

    @classmethod
    def decode(cls, data: bytes) -> LogPlace:
        """The inverse of `encode`.

        Raises:
            WireError: `bad_request`: it has another length.
        """
        if len(data) != PLACE_BYTES:
            raise WireError(BAD_REQUEST, "the cursor names no place in a log")
        return cls(*_layout.unpack(data))
