"""Readers that follow authors while a run posts, and how long a post takes to reach them."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from folkmoot.cli.bench.tally import spread_ms
from folkmoot.protocol import limits
from folkmoot.protocol.client import Client
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.connection import Notification
from folkmoot.protocol.errors import UNKNOWN_METHOD, WireError
from folkmoot.protocol.record import Record

CREDIT: Final = limits.FOLLOW_CREDIT


class Readers:
    """Subscriptions of one client, and what they brought.

    A delay is from the record's stamp, which is when it was due, to its coming here, by this machine's clock.
    """

    def __init__(self) -> None:
        self.subscriptions = 0
        self.gaps = 0
        self.late_s = array("d")
        self._since_us = time.time_ns() // 1000
        self._owed: Counter[int] = Counter()  # items that came since credit was granted last

    def heard(self, link: Link, notification: Notification) -> None:
        """Take what a node sends by itself, and grant more when half of what was granted has come."""
        if notification.method != "feed.event":
            return
        number = notification.params.get("subscription", -1)
        self._owed[number] += len(notification.params.get("items", ()))
        if 2 * self._owed[number] >= CREDIT and link.has_room:
            more = {"subscription": number, "credit": self._owed.pop(number)}
            link.submit("feed.credit", more, lambda reply: None)
        self.gaps += "gap" in notification.params
        for item in notification.params.get("items", ()):
            record = Record.from_wire(item["record"])
            if record.stamp >= self._since_us:
                self.late_s.append(max(0.0, time.time() - record.stamp / 1e6))

    async def follow(self, client: Client, accounts: Sequence[bytes]) -> bool:
        """Subscribe to some authors; False when the node has no such method.

        Args:
            client: whose notifications come to `heard`.
            accounts: whom (34 bytes each).

        Raises:
            WireError: the node refused for another reason.
        """
        for account in accounts:
            try:
                await client.call("feed.follow", {"what": {"author": account}, "credit": CREDIT})
            except WireError as error:
                if error.kind is UNKNOWN_METHOD:
                    return False
                raise
            self.subscriptions += 1
        return True

    def begin(self) -> None:
        """Count posts from now on."""
        self._since_us = time.time_ns() // 1000

    def summary(self) -> Mapping[str, Any]:
        """For `--json`."""
        return {
            "subscriptions": self.subscriptions,
            "items": len(self.late_s),
            "gaps": self.gaps,
            "ms": spread_ms(self.late_s),
        }
