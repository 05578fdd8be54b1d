"""Load while it runs: figures as they come, and Ctrl-C, after which what there is is told."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

import click
import trio
from folkmoot.cli.output import Output

REFRESH_S: Final = 1.0


class Running(Protocol):
    """Load, as one watches it."""

    async def run(self) -> float: ...

    def stop(self) -> None: ...


async def watched(load: Running, output: Output, figures: Callable[[float], str]) -> tuple[float, bool]:
    """Run, showing figures once a second on standard error, until done or a signal.

    Args:
        load: what to run.
        output: without figures, when it is for programs.
        figures: given the seconds so far, a line about what came since it was called last.

    Returns:
        The seconds that it took, and whether it was a signal that ended it.
    """
    stopped = False

    async def stop_on_signal(signals: AsyncIterator[int]) -> None:
        nonlocal stopped
        async for _number in signals:
            stopped = True
            output.note("stopping")
            load.stop()

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_on_signal, signals)
            if not output.as_json:
                nursery.start_soon(_show, figures)
            seconds = await load.run()
            nursery.cancel_scope.cancel()
    return seconds, stopped


async def _show(figures: Callable[[float], str]) -> None:
    """On a terminal the line stays one line."""
    terminal = sys.stderr.isatty()
    began = trio.current_time()
    try:
        while True:
            await trio.sleep(REFRESH_S)
            line = figures(trio.current_time() - began)
            click.echo(f"\r{line}\033[K" if terminal else line, err=True, nl=not terminal)
    finally:
        if terminal:
            click.echo(err=True)
