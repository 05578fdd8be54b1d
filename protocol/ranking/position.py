"""Places in ranked feeds: which ranking, and after which post of it.

Layout: version (16 bytes) ‖ as_of_ms (8) ‖ score + 2^63 (8) ‖ entry (48), numbers big-endian. So the places
of one ranking stand in the order of its posts, the best with the greatest.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from folkmoot.protocol.errors import BAD_REQUEST, WireError

_layout = struct.Struct(">16sQQ48s")
POSITION_BYTES: Final = _layout.size
_ZERO: Final = 2**63


class Position(NamedTuple):
    """See the module.

    Attributes:
        version: of the algorithm, of which the first 16 bytes are kept.
        as_of_ms: when the ranking was made, milliseconds since 1970.
        score: in thousandths, within ±2^62.
        entry: what names the post: its item and its author's 32 bytes.
    """

    version: bytes
    as_of_ms: int
    score: int
    entry: bytes

    def encode(self) -> bytes:
        """The bytes of a cursor's position."""
        return _layout.pack(self.version, self.as_of_ms, self.score + _ZERO, self.entry)

    @classmethod
    def decode(cls, data: bytes) -> Position:
        """The inverse of `encode`.

        Raises:
            WireError: `bad_request`: it has another length.
        """
        if len(data) != POSITION_BYTES:
            raise WireError(BAD_REQUEST, "the cursor names no place in a ranked feed")
        version, as_of_ms, score, entry = _layout.unpack(data)
        return cls(version, as_of_ms, score - _ZERO, entry)

    def is_of(self, version: bytes) -> bool:
        """Whether it is a place in a ranking by this version of an algorithm (32 bytes)."""
        return self.version == version[: len(self.version)]
