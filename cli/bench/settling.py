"""Waiting until nodes have made of what was written all that comes of it: then a run measures only itself.

A new follow is put into an index, and the latest posts of who is followed into an inbox, after it has been
acknowledged. Meanwhile a node is busy with that, and home feeds lack something.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import trio
from folkmoot.cli.clients import open_client
from folkmoot.cli.connection import Target
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.errors import Unreachable as NotThere
from folkmoot.cli.output import Output
from folkmoot.cli.progress import progress_bar
from folkmoot.protocol.client import Client, Unreachable
from folkmoot.protocol.errors import WireError

POLL_S: Final = 0.25
TOLD_S: Final = 5.0
MOMENT_S: Final = 1.0  # within which what was acknowledged elsewhere has come to a node


async def settled(target: Target, within_s: float, output: Output) -> float | None:
    """Wait until home feeds of all nodes have all that was written before.

    Args:
        target: the nodes; those that do not answer are not waited for.
        within_s: how long, at most; 0 for not at all.
        output: told what is waited for.

    Returns:
        How long it took, seconds; None when it was not waited for.

    Raises:
        OperatorError: it took too long.
    """
    if not within_s:
        return None
    began = trio.current_time()
    left: dict[str, str] = dict.fromkeys(target.addresses, "has not answered yet")
    with trio.move_on_after(within_s), progress_bar("nodes", quiet=output.as_json) as progress:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_tell, left, output)
            async with trio.open_nursery() as waiting:
                for address in target.addresses:
                    waiting.start_soon(_wait, replace(target, addresses=(address,)), began, left)
                waiting.start_soon(_show, left, len(target.addresses), progress)
            nursery.cancel_scope.cancel()
    if left:
        behind = "; ".join(f"{address} {why}" for address, why in left.items())
        raise OperatorError(
            f"after {within_s:g} s home feeds do not have all follows: {behind}",
            hint="folkmoot projection ls; a longer --settle, or --settle 0 to measure all the same",
        )
    return round(trio.current_time() - began, 3)


async def _wait(target: Target, began: float, left: dict[str, str]) -> None:
    """Wait for one node, and strike it out."""
    [address] = target.addresses
    try:
        async with open_client(target) as client:
            while (why := await _behind(client, began)) is not None:
                left[address] = why
                await trio.sleep(POLL_S)
    except (NotThere, Unreachable):
        pass  # what the run asks for goes to the others
    del left[address]


async def _behind(client: Client, began: float) -> str | None:
    """What a node has still to do; None when that is nothing."""
    try:
        status = await client.call("cluster.status", {})
    except WireError as error:
        return f"says {error}"
    told: dict[str, Any] = status["node"].get("projections", {})
    lag_ms, backfills = told.get("lag_ms", 0), told.get("backfills", 0)
    if lag_ms is None:
        return "has not read all ranges yet"
    if "widening" in told:
        return f"has read {told['widening']:.0%} of what it has come to keep"
    if lag_ms / 1000 > trio.current_time() - began - MOMENT_S:
        return f"may be {lag_ms / 1000:.1f} s behind"
    return f"has {backfills:,} home feeds or more to fill" if backfills else None


async def _show(left: dict[str, str], nodes: int, progress: Any) -> None:
    while left:
        progress(nodes - len(left), nodes)
        await trio.sleep(POLL_S)


async def _tell(left: dict[str, str], output: Output) -> None:
    while True:
        await trio.sleep(TOLD_S)
        output.note("waiting for home feeds: " + "; ".join(f"{at} {why}" for at, why in left.items()))
