"""Backups of real nodes, made by the program beside nodes that write, fall and move; then read and judged.

Each is verified as an operator does it, and held to what clients had been told before it was begun: what all
replicas had acknowledged is in the backup of each node that was a whole replica of it until the end.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

import trio
from folkmoot.cli.chaos.caller import Caller
from folkmoot.cli.chaos.ring import Owned, owner_of, ranges_of
from folkmoot.cli.chaos.scene import Scene
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.node.simulation.backups import cells_of
from folkmoot.node.simulation.caller import UNANSWERED
from folkmoot.node.simulation.checkers.verdict import Inquiry, Verdict
from folkmoot.protocol.crdt import clock as clocks
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import WireError
from folkmoot.storage.backup.manifest import load

# A backup reads a store that others write, and is made in one run however often that node falls.
MADE_S: Final = 120.0
INVARIANT: Final = "backups hold what was acknowledged"


class Backups:
    """See the module.

    Args:
        cluster: whose nodes are backed up.
        callers: an operator at each of the nodes, by name.
        ids: of the nodes, by name.
        scene: has the history; told what happens.
        folder: where backups go, a folder for each node. Gone after a run that passed.

    Attributes:
        made: how many were.
        complaints: those that could not be made, a sentence each.
    """

    def __init__(
        self,
        cluster: LocalCluster,
        callers: Mapping[str, Caller],
        ids: Mapping[str, bytes],
        scene: Scene,
        folder: Path,
    ) -> None:
        self.made = 0
        self.complaints: list[str] = []
        self._cluster = cluster
        self._callers = callers
        self._ids = ids
        self._scene = scene
        self._folder = folder
        self._inquiry = Inquiry(INVARIANT)

    def verdicts(self) -> list[Verdict]:
        """What was found in them; none when nothing had been acknowledged that one of them must have."""
        return [self._inquiry.verdict({"made": self.made})] if self._inquiry.compared else []

    async def make(self, name: str) -> bool:
        """Back a node up, the second time and later what has changed since; whether it could be done."""
        told = self._told_so_far()
        before = await self._owned()
        folder = self._folder / name
        again = ("--incremental",) if folder.exists() else ()
        data = self._cluster.directory.data(name).path
        created = await self._run("create", "--data", str(data), "--to", str(folder), *again)
        if created is None:
            return False
        held = self._whole_at(name, before, await self._owned())
        if await self._run("verify", created["folder"]) is None:
            return False
        self.made += 1
        cells = await trio.to_thread.run_sync(cells_of, load(Path(created["folder"])))
        for (key, device), stamp in told.items():
            if before and owner_of(before, key).id in held:
                self._judge(created["name"], cells.get(key), key, device, stamp)
        return True

    def _judge(self, backup: str, cell: bytes | None, key: bytes, device: bytes, stamp: int) -> None:
        clock = Cell.decode(cell).clock if cell is not None else {}
        if self._inquiry.fails(clocks.covers(clock, device, stamp)):
            self._inquiry.complain(f"the backup {backup} lacks stamp {stamp} of {key.hex()}")

    def _told_so_far(self) -> dict[tuple[bytes, bytes], int]:
        """(key, device) → the newest stamp that all replicas have acknowledged."""
        newest: dict[tuple[bytes, bytes], int] = {}
        for ack in self._scene.history.acks:
            if ack.level == "all":
                at = ack.record.key, ack.record.device
                newest[at] = max(newest.get(at, 0), ack.record.stamp)
        return newest

    def forget(self) -> None:
        """Delete them all."""
        if self._folder.exists():
            rmtree(self._folder)

    async def _owned(self) -> list[Owned]:
        """All ranges, as those nodes know them that answer; of each the newest that any of them knows."""
        newest: dict[int, Owned] = {}

        async def ask(caller: Caller) -> None:
            try:
                for owned in await ranges_of(caller):
                    known = newest.get(owned.id, owned)
                    newest[owned.id] = max(known, owned, key=lambda each: each.epoch)
            except (WireError, *UNANSWERED):
                caller.leave()

        async with trio.open_nursery() as nursery:
            for caller in self._callers.values():
                nursery.start_soon(ask, caller)
        return list(newest.values())

    def _whole_at(self, name: str, before: list[Owned], after: list[Owned]) -> set[int]:
        """The ids of the ranges of which a node was a whole replica all the time."""
        node = self._ids[name]
        still = {owned.id: owned for owned in after}
        return {owned.id for owned in before if node in owned.whole and still.get(owned.id) == owned}

    async def _run(self, *words: str) -> dict[str, Any] | None:
        """Run `folkmoot backup WORDS… --json`: what it says; None, and complained of, when it fails."""
        command = [*self._cluster.manifest.program, "backup", *words, "--json"]
        with trio.move_on_after(MADE_S):
            ran = await trio.run_process(
                command, check=False, capture_stdout=True, capture_stderr=True, stdin=subprocess.DEVNULL
            )
            if ran.returncode == 0:
                said: dict[str, Any] = json.loads(ran.stdout)
                return said
            self._complain(f"exit code {ran.returncode}: {(ran.stdout + ran.stderr).decode().strip()}", words)
            return None
        self._complain(f"it takes more than {MADE_S:g} s", words)
        return None

    def _complain(self, what: str, words: tuple[str, ...]) -> None:
        self.complaints.append(f"folkmoot backup {' '.join(words)}: {what}")
        self._scene.tell(self.complaints[-1])
