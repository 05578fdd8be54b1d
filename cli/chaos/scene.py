"""What a run of chaos shows at a moment: the nodes, what is broken, and what has happened so far."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from folkmoot.cli.terminal import one_line
from folkmoot.node.simulation.history import History


@dataclass(slots=True)
class Scene:
    """See the module.

    Args:
        seed: of the plan.
        load_s: how long the load is to last, in seconds.
        told: called with each new line of what happened.

    Attributes:
        nodes: by name, what was done to each: `running`, `killed` and so on.
        links: what is wrong with links; empty when nothing is.
        change: what is moved, split or backed up; empty when nothing is.
        in_force: the faults, by name, that are in force.
        felt: fault → how many calls of clients went wrong while it was in force.
        history: what clients were answered so far.
        load_began: when the load began, on the monotonic clock; None before.
    """

    seed: int
    load_s: float
    told: Callable[[str], None] = lambda line: None
    phase: str = "starting"
    nodes: dict[str, str] = field(default_factory=dict)
    links: str = ""
    change: str = ""
    in_force: set[str] = field(default_factory=set)
    felt: Counter[str] = field(default_factory=Counter)
    happened: list[str] = field(default_factory=list)
    history: History = field(default_factory=History)
    began: float = field(default_factory=time.monotonic)
    load_began: float | None = None

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    @property
    def loaded_s(self) -> float:
        """Seconds of load so far, no more than there are to be."""
        if self.load_began is None:
            return 0.0
        return min(time.monotonic() - self.load_began, self.load_s)

    def set(self, names: Sequence[str], condition: str) -> None:
        """Say what was done to nodes."""
        self.nodes.update(dict.fromkeys(names, condition))

    def tell(self, sentence: str) -> None:
        """Say what happened."""
        line = one_line(f"{self.seconds:6.1f} s  {sentence}")
        self.happened.append(line)
        self.told(line)

    def load(self) -> str:
        """The load in a line."""
        history = self.history
        return (
            f"{len(history.acks):,} acknowledgements, {len(history.reads):,} cells and "
            f"{len(history.pages):,} pages read"
        )
