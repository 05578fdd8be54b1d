"""Supervision: a child that fails is started again after a pause; one that keeps failing ends the node.

A trio nursery alone cancels everything when one task fails. A supervised child is restarted instead, with
growing pauses, until it has failed too often within a window: then the failure goes up, the nursery above
cancels its siblings, and the process exits for its own supervisor to see. Cancellation is never caught.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable

import trio

log = logging.getLogger(__name__)

RESTARTS_MAX = 5
WINDOW_S = 60.0
PAUSE_S = 0.1
PAUSE_MAX_S = 5.0


async def supervise(name: str, child: Callable[[], Awaitable[None]]) -> None:
    """Run `child` until it returns, restarting it when it fails.

    Args:
        name: for the log.
        child: an async function that may be run again after it raised.

    Raises:
        Exception: what the child raised last, once it has failed more than 5 times in a minute.
    """
    failures: deque[float] = deque(maxlen=RESTARTS_MAX + 1)
    while True:
        try:
            await child()
        except Exception:
            now = trio.current_time()
            failures.append(now)
            if len(failures) > RESTARTS_MAX and now - failures[0] <= WINDOW_S:
                log.exception("%s failed %d times within %d s; giving up", name, len(failures), WINDOW_S)
                raise
            pause = min(PAUSE_S * 2 ** (len(failures) - 1), PAUSE_MAX_S)
            log.exception("%s failed; starting it again in %.1f s", name, pause)
            await trio.sleep(pause)
        else:
            return
