"""Changing a cluster whose nodes come and go: who is away is waited for, and named when it stays away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import trio
from folkmoot.cli.errors import OperatorError, Unreachable
from folkmoot.protocol.errors import WireError

# A node that ends by itself, or has just begun, answers nobody for a while, and still has a process.
ANSWERS_S: Final = 60.0
ASK_AGAIN_S: Final = 0.25


class NotBack(OperatorError):
    """A node that should run does not answer, although it was waited for."""


async def insist(
    change: Callable[[], Any], look: Callable[[], Awaitable[Mapping[str, Any]]], answers_s: float = ANSWERS_S
) -> Any:
    """Make a change in a thread, and again while a node that has a process does not answer.

    Args:
        change: may be made twice; finds out by itself which nodes run.
        look: describes the cluster, as its supervisor does; asked before and after.
        answers_s: how long to go on, in seconds.

    Returns:
        What the change returned.

    Raises:
        NotBack: a node answered nobody for all that time.
        FolkmootError: the change could not be made for another reason.
    """
    deadline = trio.current_time() + answers_s
    while True:
        described = await look()
        try:
            result = await trio.to_thread.run_sync(change)
        except (Unreachable, WireError) as error:
            if isinstance(error, WireError) and not error.kind.retryable:
                raise
            if trio.current_time() > deadline:
                raise _not_back(error, described, answers_s) from error
            await trio.sleep(ASK_AGAIN_S)
        else:
            await look()
            return result


def _not_back(error: Exception, described: Mapping[str, Any], answers_s: float) -> NotBack:
    states = ", ".join(
        f"{node['name']} ({node['address'] or 'no address'}) is {node['state']}"
        for node in described["nodes"]
    )
    return NotBack(
        f"a node did not come back within {answers_s:g} s: {error}; {states}",
        hint=f"folkmoot cluster logs --cluster {described['name']}",
    )
