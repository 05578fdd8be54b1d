"""What the demo shows at a moment: the nodes, the load, and what has happened so far."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from folkmoot.cli.importing.tally import Tally
from folkmoot.cli.terminal import one_line

RATE_WINDOW_S: Final = 2.0


@dataclass(slots=True)
class Fault:
    """One thing that was done to the cluster.

    Args:
        fault: what.
        target: to whom.
        at_s: when, in seconds since the demo began.
        seen_ms: until every other node that could had noticed; None until then.
        healed_s: from the cure until all saw each other alive again and owed each other nothing.
    """

    fault: str
    target: str
    at_s: float
    seen_ms: int | None = None
    healed_s: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "fault": self.fault,
            "target": self.target,
            "at_s": round(self.at_s, 2),
            "seen_ms": self.seen_ms,
            "healed_s": None if self.healed_s is None else round(self.healed_s, 2),
        }


@dataclass(slots=True)
class NodeScene:
    """One node as it is shown.

    Args:
        name, region: who.
        condition: what was done to it: `running`, `killed`, `cut off`.
        seen: how the others see it, for example `alive` or `dead`; empty when nobody says.
    """

    name: str
    region: str
    condition: str = "running"
    seen: str = ""


@dataclass(slots=True)
class Scene:
    """See the module.

    Args:
        nodes: by name.
        tally: of the load.
        told: called with each new line of what happened.
    """

    nodes: dict[str, NodeScene] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    told: Callable[[str], None] = lambda line: None
    phase: str = "starting"
    happened: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    @property
    def posts(self) -> int:
        """Records that were made from the lines read so far."""
        return self.tally.read - self.tally.skipped

    def tell(self, sentence: str) -> None:
        """Say what happened."""
        line = one_line(f"{self.seconds:5.1f} s  {sentence}")
        self.happened.append(line)
        self.told(line)

    def sample(self) -> None:
        """Take down how far the load is; `rate` is as fine as this is called often."""
        now = time.monotonic()
        self._samples.append((now, self.tally.acknowledged))
        while self._samples[0][0] < now - RATE_WINDOW_S:
            self._samples.popleft()

    def rate(self) -> float:
        """Acknowledgements a second, over the last two seconds."""
        if len(self._samples) < 2:
            return 0.0
        (then, before), (now, after) = self._samples[0], self._samples[-1]
        return (after - before) / (now - then)
