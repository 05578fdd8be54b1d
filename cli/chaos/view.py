"""How a run of chaos looks: live on a terminal, line by line elsewhere; always on standard error."""

from __future__ import annotations

from typing import Final

import trio
from folkmoot.cli.chaos.scene import Scene
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

LINES_S: Final = 5.0
HAPPENED_SHOWN: Final = 12
BAR_COLUMNS: Final = 60


async def show_lines(scene: Scene) -> None:
    """Say how the load goes, every few seconds, until cancelled; what happens is told as it happens."""
    while True:
        await trio.sleep(LINES_S)
        if scene.load_began is not None:
            scene.told(f"{scene.seconds:6.1f} s  {scene.load()}")


def render(scene: Scene) -> RenderableType:
    """The whole screen of a moment."""
    nodes = Table.grid(padding=(0, 3))
    for name, condition in scene.nodes.items():
        nodes.add_row(Text(name, style="bold"), Text(condition, style=_colour(condition)))
    links = Text(scene.links or "all links are whole", style="red" if scene.links else "green")
    change = Text(scene.change or "nothing is being moved", style="yellow" if scene.change else "green")
    bar = ProgressBar(total=max(scene.load_s, 1.0), completed=scene.loaded_s, width=BAR_COLUMNS)
    happened = Text("\n".join(scene.happened[-HAPPENED_SHOWN:]))
    parts = Group(
        bar, Text(), nodes, links, change, Text(), Text(scene.load(), style="bold"), Text(), happened
    )
    title = f"folkmoot cluster chaos · seed {scene.seed} · {scene.phase}"
    return Panel(parts, title=title, title_align="left", border_style="blue")


def _colour(condition: str) -> str:
    return "green" if condition == "running" else "red"
