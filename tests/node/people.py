"""Who writes in these tests."""

from __future__ import annotations

import itertools
import time
from typing import Any

from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

_item_numbers = itertools.count(1)


class Author:
    """An account that writes, with a clock that never stands still.

    Args:
        number: names it; the same number is the same account.
    """

    def __init__(self, number: int) -> None:
        self.device = KeyPair(number.to_bytes(32, "big"))
        self.account = self.device.account
        self._stamp = 0

    def item(self) -> bytes:
        """A fresh post's item."""
        return make_uuid7(time.time_ns() // 1_000_000, next(_item_numbers))

    def record(self, kind: str, item: bytes, body: dict[str, Any], **more: Any) -> Record:
        return Record.sign(self.device, kind=kind, item=item, body=body, stamp=self.stamp(), **more)

    def stamp(self) -> int:
        """The next stamp: now, and later than the last."""
        self._stamp = max(self._stamp + 1, time.time_ns() // 1000)
        return self._stamp

    def post(self, text: str = "hello", item: bytes | None = None) -> Record:
        return self.record("post", item or self.item(), {"text": text})

    def deletion(self, of: Record) -> Record:
        return self.record("post", of.item, {"deleted": True})


OPERATOR = Author(2**200)
