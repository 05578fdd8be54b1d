"""Watching a live stream on a terminal, until Ctrl-C, or so many lines."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.output import Output

if TYPE_CHECKING:
    from folkmoot.protocol.client import Event, Follow, Gap

SINCE_MAX_S: Final = 100 * 365 * 86_400.0

Line = tuple[dict[str, Any], list[str]]
"""Something to show: as JSON, and as lines."""


async def watch(
    stream: Follow, told: Callable[[Event], Awaitable[list[Line]]], limit: int | None, output: Output
) -> None:
    """Show what a stream tells.

    Args:
        stream: begun.
        told: what to show of an event.
        limit: end after so many lines; None for at Ctrl-C.
        output: where.
    """
    import trio

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_at_signal, nursery.cancel_scope)
        try:
            await _show(stream, told, limit, output)
        except BrokenPipeError:
            # Whoever read has had enough, as `head` has; nothing is to be flushed there at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        nursery.cancel_scope.cancel()


async def _end_at_signal(scope: Any) -> None:
    """Ctrl-C is how watching ends, and no failure."""
    import trio

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


async def _show(
    stream: Follow, told: Callable[[Event], Awaitable[list[Line]]], limit: int | None, output: Output
) -> None:
    from folkmoot.protocol.client import Unreachable

    shown = 0
    while limit is None or shown < limit:
        try:
            event = await anext(stream)
        except Unreachable as error:
            output.note(f"{error}; trying again")
            continue
        for value, lines in await told(event):
            output.result(value, lines, paged=False)
            shown += 1
            if shown == limit:
                break
    with suppress(Unreachable):
        await stream.aclose()


def gap_line(gap: Gap, cursor: bytes) -> Line:
    """What is said of a stretch of which something may be missing."""
    told: dict[str, Any] = {"from_ms": gap.begin_ms, "to_ms": gap.end_ms, "reason": gap.reason}
    if gap.range is not None:
        told["range"] = gap.range
    if gap.reason == "split":
        rest = "" if gap.range is None else f"; watch range {gap.range} as well"
        words = f"-- part of this range is another one by now{rest} --"
    else:
        words = f"-- something may be missing here ({gap.reason}); read it again to see all there is --"
    return {"gap": told, "cursor": cursor.hex()}, [words, ""]


def since_ms(since_s: float | None, cursor: str | None) -> int | None:
    """The time to begin at (milliseconds since 1970) of somebody who said how long ago, or gave a cursor.

    Raises:
        click.UsageError: they did both.
    """
    if since_s is not None and cursor is not None:
        raise click.UsageError("--since and --cursor each say where to begin; give one of them")
    return None if since_s is None else max(0, int((time.time() - since_s) * 1000))


def read_cursor(text: str | None) -> bytes | None:
    """The cursor that was given.

    Raises:
        click.UsageError: it is none.
    """
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError as error:
        raise click.UsageError("--cursor is not one that --json printed") from error
