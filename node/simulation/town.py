"""What everybody in a simulated world knows of each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from folkmoot.node.simulation.history import History
from folkmoot.node.simulation.world import World

Place = tuple[bytes, str, bytes]
"""(place, kind, item), as `record.get` names a cell."""

WRITE_LEVELS: Final = ("quorum", "quorum", "quorum", "one", "local_quorum", "each_quorum", "all")


@dataclass(slots=True)
class Town:
    """What everybody knows: the posts there are, and the history.

    Attributes:
        posts: (author, item) of every post whose making was answered.
        places: every cell any record was sent for, the one written last at the end.
        sessions: how many there were.
    """

    world: World
    history: History
    posts: list[tuple[bytes, bytes]] = field(default_factory=list)
    places: dict[Place, None] = field(default_factory=dict)
    sessions: int = 0

    def written(self, place: Place) -> None:
        """A record is sent for this cell."""
        self.places.pop(place, None)
        self.places[place] = None

    def new_session(self) -> int:
        """The number of a new session."""
        self.sessions += 1
        return self.sessions
