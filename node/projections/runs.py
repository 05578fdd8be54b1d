"""A way through the logs of all ranges: how far it has come, and whether it is where another one is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from folkmoot.node.projections.logs import Read
from folkmoot.node.projections.stretches import Named, Stretch

Name = tuple[int, int]
"""Of a stretch; see there."""


class Step(NamedTuple):
    """What was read of a stretch and is to be applied.

    Args:
        began: when it was read (trio's clock).
    """

    stretch: Stretch
    read: Read
    began: float

    def until(self, position: int) -> Step:
        """What of it was up to a position of its log."""
        return self._replace(read=self.read._replace(batch=self.read.batch.until(position)))

    def after(self, count: int) -> Step:
        """What of it is left once so many of its changes are applied."""
        batch = self.read.batch
        return self._replace(read=self.read._replace(batch=batch._replace(changed=batch.changed[count:])))


@dataclass(slots=True)
class Run:
    """See the module.

    Args:
        number: under which its cursors are kept.
        positions: of each stretch, how far logs were read, by their ids.
        ask_at: of each stretch of others, when they are next asked (trio's clock).
        current_at: of each stretch, when its log was last read to its end (trio's clock).
        ends: of each stretch, the log that it is followed in.
        asked: the stretches of others that are being asked for.
        waiting: of each stretch, what was read of it and is yet to be applied, what was read first first.
        without: kinds of cells that it has no use for, as bytes of keys.
    """

    number: int
    without: frozenset[int] = frozenset()
    positions: dict[Name, dict[bytes, int]] = field(default_factory=dict)
    ask_at: dict[Name, float] = field(default_factory=dict)
    current_at: dict[Name, float] = field(default_factory=dict)
    ends: dict[Name, bytes] = field(default_factory=dict)
    asked: set[Name] = field(default_factory=set)
    waiting: dict[Name, Step] = field(default_factory=dict)

    @property
    def changes_waiting(self) -> int:
        """How many changes were read and are yet to be applied."""
        return sum(len(step.read.batch.changed) for step in self.waiting.values())

    def note(self, step: Step, count: int) -> None:
        """So many of the changes that were read of a stretch are applied.

        What was made of other logs before may have been newer: who goes back to them reads all of it again.
        """
        name, (log_id, batch) = step.stretch.name, step.read
        if count:
            self.positions[name] = {}
        self.positions[name][log_id] = batch.position_after(count)
        self.ends[name] = log_id
        if count < len(batch.changed):
            self.waiting[name] = step.after(count)
            return
        self.waiting.pop(name, None)
        if batch.reached >= batch.head:
            self.current_at[name] = step.began

    def position(self, name: Name, log_id: bytes) -> int:
        """How far a log was read; 0 if not at all."""
        return self.positions.get(name, {}).get(log_id, 0)

    def oldest(
        self, stretches: Iterable[Named], now: float, began: float, before: float | None
    ) -> float | None:
        """When the log that was read to its end longest ago was; None before all were read at all.

        One that has never been read, of a range that was split off or cannot be reached, counts as old as all
        was before it came.

        Args:
            stretches: what is followed now.
            now, began: the time, and when the run began (trio's clock).
            before: what this was before.
        """
        oldest = now
        for name, _ in stretches:
            if (current_at := self.current_at.get(name)) is not None:
                oldest = min(oldest, current_at)
            elif self.positions.get(name):
                oldest = min(oldest, began)
            elif before is None:
                return None
            else:
                oldest = min(oldest, before)
        return oldest

    def has_caught_up(
        self, main: Run, stretches: Iterable[Named], is_quiet: Callable[[Stretch, bytes, int], bool]
    ) -> bool:
        """Whether it has come to where the main run is, in the logs that this one follows.

        Not as long as the main run has yet to look at one that it read before the node started: it may not be
        there to be read.

        Args:
            stretches: what is followed now.
            is_quiet: whether nothing has changed of a stretch in a log after a position, as far as is known
                without asking anybody: then there is nothing to read, and positions stay what they are.
        """
        for name, stretch in stretches:
            log_id, known = main.ends.get(name), main.positions.get(name)
            if known is None or (log_id is None and any(known.values())):
                return False
            if log_id is None:
                continue
            position = self.position(name, log_id)
            ahead = main.position(name, log_id)
            if position < ahead and not is_quiet(stretch, log_id, position):
                return False
        return True

    def progress(self, main: Run) -> float:
        """How far it has come towards the main run, from 0 to 1, by what has been read of logs."""
        whole = read = 0
        for name, log_id in main.ends.items():
            whole += (ahead := main.position(name, log_id))
            read += min(ahead, self.position(name, log_id))
        return read / whole if whole else 0.0
