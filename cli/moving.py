"""Changes of the roster and what moves because of them: asked for, shown, and watched until it is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.connection import Target, converse
from folkmoot.cli.durations import span
from folkmoot.cli.errors import Failure, OperatorError, describe
from folkmoot.cli.exit_codes import DEGRADED, INTERRUPTED, OK
from folkmoot.cli.output import Output

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client
    from folkmoot.protocol.identity import KeyPair

POLL_S: Final = 0.5
PATIENCE_S: Final = 30.0
STILL_S: Final = 30.0

wait_option: Callable[..., Any] = click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Watch until everything has moved, or until nothing has moved for 30 seconds (exit code 3).",
)
dry_run_option: Callable[..., Any] = click.option(
    "--dry-run", is_flag=True, help="Only show what would move."
)

Draw = Callable[["Progress"], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far all nodes are.

    Args:
        total: changes there were to make when this was first asked.
        left: of those, still to be made.
        under_way: of those left, the part that is copied already.
        cells, cell_bytes: copied since the nodes started.
        waits: for what nodes cannot bring about themselves, a sentence each.
        blocked: why nothing can be planned.
        moved: differs from what it was as soon as anything has moved.
    """

    total: int
    left: int
    under_way: float
    cells: int
    cell_bytes: int
    waits: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    moved: tuple[int, ...] = ()


class Unwatched(OperatorError):
    """A change was agreed upon, and what follows from it could not be watched to its end.

    Args:
        failure: why not.
        epoch: of the roster that was agreed upon.
    """

    def __init__(self, failure: Failure, epoch: int) -> None:
        super().__init__(
            f"{failure.message}; what was asked for is agreed upon, at epoch {epoch}, and goes on by itself",
            hint="folkmoot ring plan, at any node",
            exit_code=INTERRUPTED if failure.exit_code == INTERRUPTED else DEGRADED,
            details={"epoch": epoch, "because": failure.name},
        )


def carry_out(
    target: Target,
    operator: KeyPair | None,
    output: Output,
    method: str,
    params: dict[str, Any],
    *,
    dry_run: bool,
    wait: bool,
    leaver: str | None = None,
    then: str | None = None,
) -> int:
    """Ask for a change of the roster, with its plan shown first, and watch what follows; the exit code.

    Args:
        method, params: of the change.
        dry_run, wait: whether to show the plan and no more; whether to watch.
        leaver: the id of a node that is to be off the roster in the end.
        then: what an operator can do next, once all of it is done; a sentence.

    Raises:
        FolkmootError: it was refused, or somebody else changed the roster meanwhile.
        Unwatched: it was agreed upon, and then watching it failed, or Ctrl-C ended it.
    """
    agreed: list[int] = []

    async def talk(client: Client) -> dict[str, Any]:
        planned = await client.call(method, {**params, "dry_run": True})
        names = await _names(client)
        if dry_run:
            return {"dry_run": True, **planned, "summary": _foreseen(planned["plan"], names)}
        output.note("; ".join(summary(planned["plan"], names)))
        before = await client.call("ring.plan", {}) if wait else None
        done = await client.call(method, {**params, "epoch": planned["epoch"]})
        agreed.append(done["epoch"])
        told = {"dry_run": False, **done, "summary": _foreseen(done["plan"], names)}
        if before is None:
            return told
        watched = await watch(client, output, before)
        if leaver is not None and not watched["left"]:
            watched["reasons"] += await wait_gone(client, leaver)
        if then is not None and not watched["left"] and not watched["reasons"]:
            watched["next"] = then
        return {**told, **watched}

    with _telling(agreed):
        told = converse(target, talk, operator=operator, patience_s=PATIENCE_S)
    code = say(told, output)
    return DEGRADED if method == "ring.replicas" and told["plan"]["fewer"] else code


@contextmanager
def _telling(agreed: list[int]) -> Iterator[None]:
    """Let whatever goes wrong within say what was agreed upon before: the epochs."""
    try:
        yield
    except BaseException as error:
        failure = describe(error)
        if not agreed or failure is None:
            raise
        raise Unwatched(failure, agreed[-1]) from error


def say(told: dict[str, Any], output: Output) -> int:
    """Print what became of it; the exit code."""
    lines = [f"epoch {told['epoch']}", *told["summary"]]
    if "left" in told:
        megabytes = told["bytes"] / 1e6
        lines = [
            f"{told['made']} changes made, {told['left']} left; "
            f"{told['cells']:,} cells ({megabytes:,.1f} MB) copied",
            *told["reasons"],
            *([told["next"]] if "next" in told else []),
        ]
    if told["plan"]["fewer"]:
        lines.append(told["plan"]["fewer"])
    output.result(told, lines)
    return DEGRADED if told["plan"]["blocked"] or told.get("left") or told.get("reasons") else OK


async def watch(client: Client, output: Output, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """Watch until nothing is left to be done, or can be, or nothing has moved for `STILL_S`; what came of it.

    Args:
        before: the answer to `ring.plan` since when it counts; None for from now on.
    """
    import trio

    first, moved, since = before, None, trio.current_time()
    with _drawn(output) as draw:
        while True:
            told = await client.call("ring.plan", {})
            first = first or told
            # Who did not tell in time how far it is counts from when it first does, and not from nothing.
            first["progress"] = {**told["progress"], **first["progress"]}
            progress = progress_of(told, first)
            draw(progress)
            if progress.blocked or not progress.left:
                break
            if progress.moved != moved:
                moved, since = progress.moved, trio.current_time()
            elif trio.current_time() - since >= STILL_S:
                break
            await trio.sleep(POLL_S)
    # A node may still say why it waited for what another has done meanwhile.
    waits = progress.waits if progress.left else []
    reasons = [f"blocked: {reason}" for reason in progress.blocked] + waits
    if progress.left and not reasons:
        reasons.append(f"nothing has moved for {STILL_S:.0f} s, and no node says why: folkmoot ring plan")
    return {
        "made": progress.total - progress.left,
        "left": progress.left,
        "cells": progress.cells,
        "bytes": progress.cell_bytes,
        "reasons": reasons,
    }


def progress_of(told: dict[str, Any], first: dict[str, Any]) -> Progress:
    """How far it is since `first` was told."""
    nodes = told["progress"].values()
    before = first["progress"]
    under_way = 0.0
    for node in nodes:
        for work in node["running"].values():
            under_way += work.get("blocks_done", 0) / max(1, work.get("blocks", 1))
    made = sum(
        max(0, node["done"] - before.get(name, {}).get("done", 0)) for name, node in told["progress"].items()
    )
    left = told["plan"]["count"]
    return Progress(
        total=max(first["plan"]["count"], made + left),
        left=left,
        under_way=min(under_way, left),
        cells=_since(told, first, "cells"),
        cell_bytes=_since(told, first, "bytes"),
        waits=waits_of(told),
        blocked=list(told["plan"]["blocked"]),
        moved=_moved(told),
    )


def _moved(told: dict[str, Any]) -> tuple[int, ...]:
    """Numbers of which one grows or falls whenever anything has moved."""
    nodes = told["progress"].values()
    blocks = sum(work.get("blocks_done", 0) for node in nodes for work in node["running"].values())
    counts = (sum(node[what] for node in nodes) for what in ("done", "cells", "bytes"))
    return told["plan"]["count"], blocks, *counts


def waits_of(told: dict[str, Any]) -> list[str]:
    """What a plan waits for, a sentence each: the nodes that are away, then what nodes say of the rest."""
    waits = told["plan"]["waits"]
    explained = {str(range_id) for wait in waits for range_id in wait["ranges"]}
    others: dict[str, list[str]] = {}
    for node in told["progress"].values():
        for range_id, reason in node["stuck"].items():
            if range_id not in explained:
                others.setdefault(reason, []).append(range_id)
    lines = [wait["reason"] for wait in waits]
    for reason, ranges in others.items():
        what = f"range {ranges[0]} waits" if len(ranges) == 1 else f"{len(ranges):,} ranges wait"
        lines.append(f"{what}: {reason}")
    return lines


def summary(plan: dict[str, Any], names: dict[str, str]) -> list[str]:
    """What a plan comes to, for people.

    Args:
        plan: as nodes tell it.
        names: of nodes, by id.
    """
    if plan["blocked"]:
        return [f"blocked: {reason}" for reason in plan["blocked"]]
    if not plan["count"]:
        return ["nothing has to move"]
    lines = [f"{plan['count']} changes of {plan['ranges']} ranges", _estimate(plan)]
    for node, slots in sorted(plan["nodes"].items(), key=lambda each: names.get(each[0], each[0])):
        parts = [f"{verb} {slots[verb]}" for verb in ("gets", "gives") if slots[verb]]
        lines.append(f"{names.get(node, node[:8])} {' and '.join(parts)}")
    return lines


def _foreseen(plan: dict[str, Any], names: dict[str, str]) -> list[str]:
    """What a plan comes to that is not watched, and for whom it will wait as things are."""
    return [*summary(plan, names), *(wait["reason"] for wait in plan["waits"])]


def _estimate(plan: dict[str, Any]) -> str:
    """About how much there is to copy, and how long that may take."""
    unknown = f" and {plan['unknown']} ranges of which nobody tells" if plan["unknown"] else ""
    why = "assumed: nothing has moved yet" if plan["eta_assumed"] else "as it went so far"
    copied = f"about {plan['cells']:,} cells ({plan['bytes'] / 1e6:,.1f} MB){unknown} to copy"
    handed = f", {plan['handed']:,} copies to hand on before they are dropped" if plan.get("handed") else ""
    return f"{copied}{handed}, about {span(plan['eta_s'])} ({why})"


def _since(told: dict[str, Any], first: dict[str, Any], what: str) -> int:
    """How much more all nodes have done of something; a node that restarted counts from nothing."""
    total = 0
    for name, node in told["progress"].items():
        before = first["progress"].get(name, {}).get(what, 0)
        total += node[what] - before if node[what] >= before else node[what]
    return total


async def wait_gone(client: Client, node: str) -> list[str]:
    """Wait until a node that has no range any more is taken off the roster.

    Returns:
        Why it is not, after `STILL_S` in which what keeps it has not changed; nothing once it is.
    """
    import trio

    keeps, since = "", trio.current_time()
    while True:
        status = await client.call("cluster.status", {})
        found = next((each for each in status["nodes"] if each["id"] == node and each["member"]), None)
        if found is None:
            return []
        progress = (await client.call("ring.plan", {}))["progress"].get(node)
        if _keeps(progress) != keeps:
            keeps, since = _keeps(progress), trio.current_time()
        elif trio.current_time() - since >= STILL_S:
            return [f"{found['name']} has no range any more and is still on the roster: {keeps}"]
        await trio.sleep(POLL_S)


def _keeps(progress: dict[str, Any] | None) -> str:
    """What keeps a node that leaves on the roster, for people."""
    if progress is None:
        return "it does not answer; once it does, it goes by itself"
    if leftovers := progress["leftovers"]:
        why = f": {progress['leftovers_reason']}" if progress["leftovers_reason"] else ""
        return f"of {leftovers:,} ranges it has still to give away what only it may have{why}"
    if progress["seat"]:
        return "it holds a seat, which no other node has taken over yet: folkmoot seats show"
    return "its last step is not decided yet: folkmoot seats show"


async def _names(client: Client) -> dict[str, str]:
    return {node["id"]: node["name"] for node in (await client.call("cluster.status", {}))["nodes"]}


@contextmanager
def _drawn(output: Output) -> Iterator[Draw]:
    """A progress bar on standard error, where somebody sees it; and what it waits for, once."""
    said: set[str] = set()

    def note_waits(progress: Progress) -> None:
        for line in progress.waits:
            if line not in said:
                said.add(line)
                output.note(line)

    if output.as_json or not sys.stderr.isatty():
        yield note_waits
        return
    # Rich takes a tenth of a second to import, which a script that is not watched need not pay.
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("moving ranges"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("moving", total=None, told="")

        def draw(progress: Progress) -> None:
            made = progress.total - progress.left
            told = f"{made}/{progress.total}, {progress.cell_bytes / 1e6:,.1f} MB"
            completed = made + progress.under_way
            bars.update(task, total=progress.total, completed=completed, told=told)
            note_waits(progress)

        yield draw
