"""Readers that follow authors while a run posts, and how long a post takes to reach them."""

from __future__ import annotations

import time
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from folkmoot.cli.bench.tally import spread_ms
from folkmoot.protocol.client import Client
from folkmoot.protocol.connection import Notification
from folkmoot.protocol.errors import UNKNOWN_METHOD, WireError
from folkmoot.protocol.record import Record


class Readers:
    """Subscriptions of one client, and what they brought.

    A delay is from the record's stamp, which is when it was due, to its coming here, by this machine's clock.
    """

    def __init__(self) -> None:
        self.subscriptions = 0
        self.gaps = 0
        self.late_s = array("d")
        self._since_us = time.time_ns() // 1000

    def heard(self, link: object, notification: Notification) -> None:
        """Take what a node sends by itself."""
        if notification.method != "feed.event":
            return
        self.gaps += "gap" in notification.params
        for item in notification.params.get("items", ()):
            record = Record.from_wire(item["record"])
            if record.stamp >= self._since_us:
                self.late_s.append(max(0.0, time.time() - record.stamp / 1e6))

    async def follow(self, client: Client, accounts: Sequence[bytes], credit: int) -> bool:
        """Subscribe to some authors; False when the node has no such method.

        Args:
            client: whose notifications come to `heard`.
            accounts: whom (34 bytes each).
            credit: how many items each may bring.

        Raises:
            WireError: the node refused for another reason.
        """
        for account in accounts:
            try:
                await client.call("feed.follow", {"what": {"author": account}, "credit": credit})
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
