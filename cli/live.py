"""A view that is drawn anew all the time on a terminal, until whatever it shows has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio
from rich.console import Console, RenderableType
from rich.live import Live

REFRESH_S: Final = 0.125


async def show_live(render: Callable[[], RenderableType], console: Console) -> None:
    """Draw what `render` gives, until cancelled."""
    with Live(render(), console=console, auto_refresh=False, transient=True) as live:
        while True:
            await trio.sleep(REFRESH_S)
            live.update(render(), refresh=True)
