"""A progress bar for long work on this machine, on standard error; drawn only where somebody sees it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OnProgress = Callable[[int, int | None], None]


@contextmanager
def progress_bar(what: str, *, quiet: bool) -> Iterator[OnProgress]:
    """A bar that is there until the end of the block.

    Args:
        what: is counted, in the plural; bytes are shown as such.
        quiet: whether nothing is to be drawn in any case.

    Yields:
        A function to be called with how much is done, and how much there is in all
        (None where nobody knows).
    """
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    # Imported here: it takes longer than most commands, and most have no use for it.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    counted = DownloadColumn() if what == "bytes" else MofNCompleteColumn()
    columns = (BarColumn(), counted, what, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
