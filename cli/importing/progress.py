"""The progress bar of an import, on standard error; it is drawn only where somebody sees it."""

from __future__ import annotations

import sys
from typing import Final

import trio
from folkmoot.cli.importing.tally import Tally

REFRESH_S: Final = 0.1


async def show_progress(tally: Tally, name: str, size_bytes: int) -> None:
    """Draw until cancelled; nothing when standard error is no terminal.

    Args:
        tally: the import's.
        name, size_bytes: of the file that is imported.
    """
    if not sys.stderr.isatty():
        return
    # Rich takes a tenth of a second to import, which a script that is not watched need not pay.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as progress:
        task = progress.add_task(name, total=size_bytes, told="")
        began = trio.current_time()

        def draw() -> None:
            seconds = max(trio.current_time() - began, REFRESH_S)
            sent = tally.acknowledged + tally.refused + tally.uncertain
            told = f"{tally.acknowledged:,} acknowledged, {sent / seconds:,.0f}/s"
            progress.update(task, completed=tally.bytes_read, told=told, refresh=True)

        try:
            while True:
                draw()
                await trio.sleep(REFRESH_S)
        finally:
            draw()
