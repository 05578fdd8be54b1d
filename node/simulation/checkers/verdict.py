"""What a checker says, and what it is given to judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from folkmoot.node.configuration.feeds_section import FeedsSection
from folkmoot.node.simulation.files import SimulatedFiles
from folkmoot.node.simulation.history import History
from folkmoot.node.simulation.witness import Witness
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.storage.inboxes import Bounds
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.search.index import SearchIndex

COMPLAINTS_TOLD = 10
USUAL = Bounds(FeedsSection().followers_max, FeedsSection().inbox_rows)
NOTHING = "nothing could be compared, so nothing was checked"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One invariant's.

    Args:
        invariant: its number in the design, such as `I5`.
        compared: how many comparisons were made.
        complaints: what broke it, a sentence each.
        facts: figures worth reporting.
    """

    invariant: str
    compared: int
    complaints: tuple[str, ...]
    facts: Mapping[str, int | float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether it holds, as far as was compared."""
        return not self.complaints

    @property
    def skipped(self) -> bool:
        """Whether nothing was compared, so that nothing is known."""
        return not self.compared

    @property
    def state(self) -> str:
        """What is to be said of it, for people."""
        if self.complaints:
            return f"BROKEN, {len(self.complaints)} complaints"
        return "NOT CHECKED, there was nothing to compare" if self.skipped else "holds"

    def to_json(self) -> dict[str, Any]:
        """As plain values, with the first complaints."""
        plain: dict[str, Any] = {"ok": self.ok, "compared": self.compared}
        if self.skipped:
            plain["skipped"] = True
        if self.facts:
            plain["facts"] = dict(self.facts)
        if self.complaints:
            plain["complaints"] = list(self.complaints[:COMPLAINTS_TOLD])
            plain["complaints_count"] = len(self.complaints)
        return plain


class Inquiry:
    """Counts comparisons and collects complaints.

    Args:
        invariant: which is inquired into.
    """

    def __init__(self, invariant: str) -> None:
        self.invariant = invariant
        self.compared = 0
        self.complaints: list[str] = []

    def fails(self, holds: bool) -> bool:
        """Count one comparison; whether it turned out badly."""
        self.compared += 1
        return not holds

    def complain(self, sentence: str) -> None:
        """Say what broke the invariant."""
        self.complaints.append(sentence)

    def verdict(self, facts: Mapping[str, int | float] | None = None) -> Verdict:
        """The verdict; an inquiry that compared nothing has failed."""
        if not self.compared:
            self.complain(NOTHING)
        return Verdict(self.invariant, self.compared, tuple(self.complaints), facts or {})


@dataclass(frozen=True, slots=True)
class HeldCells:
    """What one node holds in the end.

    Args:
        name, node_id: the node's.
        engine: its store's, stopped.
        cells: cell key → encoded cell.
        files: its media.
        data: the folder in which these lie.
        wall_us: what its clock says, microseconds since 1970.
        index: what its searches look in; None when there is nothing that could be.
    """

    name: str
    node_id: bytes
    engine: MemoryEngine
    cells: Mapping[bytes, bytes]
    files: SimulatedFiles = field(default_factory=SimulatedFiles)
    data: Path = Path()
    wall_us: int = 0
    index: SearchIndex | None = None


@dataclass(frozen=True, slots=True)
class Quiet:
    """How long recovery took, in virtual seconds; None when it took too long.

    Args:
        equal_s: from the last client's last request until all replicas were equal.
        agreed_s: from the heal until every node held every other alive.
        noticed_s: from a crash in the quiet until every other node knew of it.
        returned_s: from that node's next start until every node held every other alive, and went on to.
        known_s: from the last client's last request until every node knew every account as its register has
            it, and every post was labelled that was to be.
        projected_s: from then until projections were what all cells come to, on every node.
        indexed_s: from then until every node's search index was what its cells come to.
        shown_s: from then until every replica had all media that are shown.
        tidied_s: from then until nothing else was anywhere.
    """

    equal_s: float | None
    agreed_s: float | None
    noticed_s: float | None
    returned_s: float | None
    known_s: float | None
    projected_s: float | None
    indexed_s: float | None = None
    shown_s: float | None = None
    tidied_s: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the checkers judge.

    Args:
        seed: for checkers that sample.
        history: what clients saw.
        witness: what was committed.
        held: what the nodes hold in the end, after the quiet.
        ranges: who should hold what.
        quiet: how long it took to recover.
        peaks: the greatest each bounded thing ever was, with its bound.
        samples: how often the nodes were asked for those.
        errors: what living nodes logged as errors, or ended with.
        services: the account that each node signs labels with, by the node's name.
        bounds: of feeds.
    """

    seed: str
    history: History
    witness: Witness
    held: tuple[HeldCells, ...]
    ranges: RangeMap
    quiet: Quiet
    peaks: Mapping[str, tuple[int, int]]
    samples: int
    errors: tuple[str, ...] = ()
    services: Mapping[str, bytes] = field(default_factory=dict)
    bounds: Bounds = USUAL

    def replicas_of(self, key: bytes) -> list[HeldCells]:
        """The nodes that should hold the cell at `key`."""
        wanted = self.ranges.lookup(key).nodes()
        return [held for held in self.held if held.node_id in wanted]
