"""What has been written to an archive, or read of it, so far."""

from __future__ import annotations

import hashlib

from folkmoot.protocol.record import Record


class Tally:
    """Counts what the manifest is to say.

    Args:
        magic: what the file begins with.

    Attributes:
        hash: of all bytes of whole frames.
        frames, records: how many.
        devices: how many records each key signed.
    """

    def __init__(self, magic: bytes) -> None:
        self.hash = hashlib.sha256(magic)
        self.frames = 0
        self.records = 0
        self.devices: dict[bytes, int] = {}

    def count(self, record: Record) -> None:
        """One record more."""
        self.records += 1
        self.devices[record.device] = self.devices.get(record.device, 0) + 1
