"""What the people of one run know of each other, wherever their cluster is: simulated or real."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from folkmoot.node.simulation.history import Ack, History

Place = tuple[bytes, str, bytes]
"""(place, kind, item), as `record.get` names a cell."""

WRITE_LEVELS: Final = ("quorum", "quorum", "quorum", "one", "local_quorum", "each_quorum", "all")


class Asker(Protocol):
    """A client's conversation with a cluster, at whatever node serves.

    Attributes:
        node: the name of the node that was asked last.
    """

    node: str

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Ask a node, and wait for the result.

        Raises:
            WireError: its error, or no answer in time.
            LinkBroken, NoNode, TransportError: there was no node to ask, or it went away.
        """


Watched = Callable[[str], AbstractContextManager[None]]
"""Entered with the name of something that is done, for as long as it takes."""


def unwatched(name: str) -> AbstractContextManager[None]:
    """Nobody counts it."""
    return nullcontext()


@dataclass(slots=True)
class Town:
    """What everybody knows: the posts there are, and the history.

    Args:
        history: where everything answered goes.
        acknowledged: called with each acknowledgement of a person's own record, as soon as it came.
        watched: entered with the name of each thing somebody does, for as long as it takes.

    Attributes:
        posts: (author, item) of every post whose making was answered.
        places: every cell any record was sent for, the one written last at the end.
        curators: the accounts of those.
        sessions: how many there were.
    """

    history: History
    acknowledged: Callable[[Ack], None]
    watched: Watched = unwatched
    posts: list[tuple[bytes, bytes]] = field(default_factory=list)
    places: dict[Place, None] = field(default_factory=dict)
    curators: list[bytes] = field(default_factory=list)
    sessions: int = 0

    def written(self, place: Place) -> None:
        """A record is sent for this cell."""
        self.places.pop(place, None)
        self.places[place] = None

    def new_session(self) -> int:
        """The number of a new session."""
        self.sessions += 1
        return self.sessions
