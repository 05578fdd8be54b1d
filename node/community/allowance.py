"""What other nodes may have this one do about policies, which takes it a while: so much a minute of each."""

from __future__ import annotations

import trio
from folkmoot.node.moderation.quota import Rate, TokenBuckets
from folkmoot.protocol.community.bounds import ALLOWED_AT_ONCE, ALLOWED_NODES, ALLOWED_PER_MINUTE
from folkmoot.protocol.errors import BUSY, WireError


class Allowance:
    """See the module."""

    def __init__(self) -> None:
        self._nodes = TokenBuckets(Rate(ALLOWED_PER_MINUTE / 60, ALLOWED_AT_ONCE), ALLOWED_NODES)

    def spend(self, node_id: bytes) -> None:
        """Have a node let one thing more be done.

        Raises:
            WireError: `busy`: it has had its share.
        """
        now = trio.current_time()
        wait_s = self._nodes.wait_s(node_id, now)
        if wait_s:
            raise WireError(
                BUSY,
                f"this node compiles {ALLOWED_PER_MINUTE} policies a minute for one other, and has done so",
                retry_after_ms=int(wait_s * 1000) + 1,
            )
        self._nodes.take(node_id, now)
