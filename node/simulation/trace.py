"""The trace: a running hash over everything that happened, in order, with its virtual time.

Two runs of one seed must have the same trace, in whatever process and under whatever hash seed; where they
differ, something asked the real world. The hash takes in the bytes themselves, so it differs as soon as
anything that is sent, kept or acknowledged does.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Callable
from typing import Final

import trio

_HEAD: Final = struct.Struct("<dII")
_DIGEST_BYTES: Final = 16


class Trace:
    """Takes note of what happens.

    Attributes:
        counts: how often each sort of thing happened.
    """

    def __init__(self, now: Callable[[], float] = trio.current_time) -> None:
        self._now = now
        self._hash = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self.counts: Counter[str] = Counter()

    def note(self, what: str, data: bytes | bytearray = b"") -> None:
        """Something happened now.

        Args:
            what: its sort and who took part, one line.
            data: the bytes it was about.
        """
        words = what.encode()
        self.counts[what.partition(" ")[0]] += 1
        self._hash.update(_HEAD.pack(self._now(), len(words), len(data)))
        self._hash.update(words)
        self._hash.update(data)

    @property
    def digest(self) -> str:
        """The hash so far, 32 hex digits."""
        return self._hash.hexdigest()

    @property
    def events(self) -> int:
        """How many things happened."""
        return self.counts.total()
