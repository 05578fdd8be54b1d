"""How the demo looks: live on a terminal, line by line elsewhere, and as a picture at the end."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trio
from folkmoot.cli.checking.checker import CheckResult
from folkmoot.cli.demo.reading import ShownPost
from folkmoot.cli.demo.scene import NodeScene, Scene
from folkmoot.node.data_directory import replace_file
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

HAPPENED_SHOWN: Final = 12
PICTURE_COLUMNS: Final = 110
TIME_COLUMNS: Final = 12
NAME_COLUMNS: Final = 9
COLOURS: Final = {"alive": "green", "suspect": "yellow", "dead": "red", "left": "dim"}


async def show_lines(scene: Scene) -> None:
    """Say how the load goes, every two seconds, until cancelled; what happens is told as it happens."""
    while True:
        await trio.sleep(2.0)
        if scene.phase == "loading":
            states = ", ".join(f"{node.name} {_condition(node)}" for node in scene.nodes.values())
            scene.told(f"{scene.seconds:5.1f} s  {_load(scene)} ({states})")


def render(scene: Scene) -> RenderableType:
    """The whole screen of a moment."""
    nodes = Table(box=None, padding=(0, 2), header_style="dim")
    for column in ("region", "node", "state", "seen by the others"):
        nodes.add_column(column)
    previous = ""
    for node in sorted(scene.nodes.values(), key=lambda node: (node.region, node.name)):
        region = "" if node.region == previous else node.region
        previous = node.region
        colour = "green" if node.condition == "running" else "red"
        seen = Text(node.seen, style=COLOURS.get(node.seen, ""))
        nodes.add_row(Text(region, style="bold"), node.name, Text(node.condition, style=colour), seen)
    happened = Text("\n".join(scene.happened[-HAPPENED_SHOWN:]))
    parts = Group(nodes, Text(), Text(_load(scene), style="bold"), Text(), happened)
    return Panel(parts, title=f"folkmoot demo · {scene.phase}", title_align="left", border_style="blue")


def conclusion(scene: Scene, posts: Sequence[ShownPost], reader: str, check: CheckResult) -> RenderableType:
    """What is left on the screen at the end."""
    feed = Table(box=None, padding=(0, 1), show_header=False, expand=True)
    feed.add_column(style="dim", no_wrap=True, min_width=TIME_COLUMNS)
    feed.add_column(style="bold cyan", no_wrap=True, min_width=NAME_COLUMNS)
    feed.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for post in posts:
        feed.add_row(f"{post.time:%d %b %H:%M}", post.author, _post_text(post))
    faults = Table(box=None, padding=(0, 2), header_style="dim")
    for column in ("fault", "to", "at", "seen by others after", "healed after"):
        faults.add_column(column)
    for fault in scene.faults:
        seen = "-" if fault.seen_ms is None else f"{fault.seen_ms} ms"
        healed = "-" if fault.healed_s is None else f"{fault.healed_s:.1f} s"
        faults.add_row(fault.fault, fault.target, f"{fault.at_s:.1f} s", seen, healed)
    value = check.summary()
    verdict = Text(
        f"{'passed' if check.passed else 'FAILED'}: {value['compared']:,} of {value['acknowledged']:,}"
        f" acknowledged records compared on {value['replicas']} replicas:"
        f" {value['lost']} lost, {value['resurrected']} resurrected,"
        f" {value['diverged']} diverged, {value['duplicated']} duplicated",
        style="bold green" if check.passed else "bold red",
    )
    return Group(
        Panel(feed, title=f"the conversation, as {reader} tells it", title_align="left", border_style="blue"),
        Panel(faults, title="what happened meanwhile", title_align="left", border_style="blue"),
        Panel(verdict, title="check", title_align="left", border_style="green" if check.passed else "red"),
    )


def save_picture(scene: Scene, shown: RenderableType, file: Path) -> None:
    """Draw the last live screen and the conclusion into an SVG file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    console = Console(record=True, width=PICTURE_COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(render(scene))
    console.print(shown)
    replace_file(file, console.export_svg(title="folkmoot demo").encode())


def _condition(node: NodeScene) -> str:
    return node.seen if node.condition == "running" and node.seen else node.condition


def _load(scene: Scene) -> str:
    tally = scene.tally
    return f"{scene.posts:,} records sent, {tally.acknowledged:,} acknowledged, {scene.rate():,.0f}/s"


def _post_text(post: ShownPost) -> Text:
    text = Text()
    if post.answers:
        text.append(f"↳ {post.answers}  ", style="dim")
    if post.labels:
        text.append(f"[{', '.join(post.labels)}] ", style="yellow")
    if post.likes or post.reposts:
        counts = [f"{count}{sign}" for count, sign in ((post.likes, "♥"), (post.reposts, "⟳")) if count]
        text.append(" ".join(counts) + "  ", style="magenta")
    text.append(post.text)
    return text
