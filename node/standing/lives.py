"""Which processes spoke as one node, and the errors of those that must not."""

from __future__ import annotations

from typing import Any, Final

from folkmoot.protocol.errors import FolkmootError
from msgspec import Struct

LIVES_KEPT: Final = 4


class NodeCloned(FolkmootError):
    """Another process is this node; this one must end."""


class NameTaken(FolkmootError):
    """Another node of the cluster has this one's name."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(
            f"the name {name} belongs to node {holder} of this cluster: choose another `node.name`; to bring "
            "that node back on another machine move its whole data directory, `node.id` included"
        )


class Life(Struct, frozen=True):
    """One process of a node.

    Args:
        instance: its 8 random bytes.
        boot: its boot number.
    """

    instance: bytes
    boot: int

    def to_wire(self) -> dict[str, Any]:
        return {"instance": self.instance, "boot": self.boot}


class _Heard:
    """When a process was heard first, and when it was alive for certain, monotonic seconds."""

    __slots__ = ("alive", "first")

    def __init__(self, now: float, alive: float) -> None:
        self.first, self.alive = now, alive


class Lives:
    """What was heard of the processes of each node: the few newest of each.

    That something arrives from a process now does not say that it is alive now: what it sent may have been
    held up, by a partition say, for longer than it lived. It was alive for certain when it was asked what it
    has answered, or was told what it returns.
    """

    def __init__(self) -> None:
        self._heard: dict[bytes, dict[bytes, tuple[Life, _Heard]]] = {}

    def hear(self, node_id: bytes, life: Life, now: float, alive: float) -> bool:
        """A process spoke as `node_id`; whether it is a new one, and not the first.

        Args:
            now: when its message arrived, monotonic seconds.
            alive: when it was alive for certain; minus infinity when the message does not show that.
        """
        lives = self._heard.setdefault(node_id, {})
        if life.instance in lives:
            _, heard = lives[life.instance]
            lives[life.instance] = life, heard
            heard.alive = max(heard.alive, alive)
            return False
        lives[life.instance] = life, _Heard(now, alive)
        if len(lives) > LIVES_KEPT:
            del lives[next(iter(lives))]
        return len(lives) > 1

    def is_doubtful(self, node_id: bytes, life: Life) -> bool:
        """Whether others have begun to speak as `node_id` since this process was alive for certain."""
        lives = self._heard.get(node_id, {})
        if life.instance not in lives:
            return False
        alive = lives[life.instance][1].alive
        return any(heard.first > alive for other, heard in lives.values() if other.instance != life.instance)

    def rival_of(self, node_id: bytes, life: Life, accepted: int) -> Life | None:
        """An earlier process, or the accepted one, that was alive after `life` had begun to speak: both run.

        Args:
            accepted: the boot that was accepted last.
        """
        lives = self._heard.get(node_id, {})
        if life.instance not in lives:
            return None
        since = lives[life.instance][1].first
        for other, heard in lives.values():
            earlier = other.boot < life.boot or other.boot == accepted
            if other.instance != life.instance and earlier and heard.alive > since:
                return other
        return None


def cloned(data: str, node_id: bytes, boot: int, running: int) -> NodeCloned:
    """The error of a process that was started while an earlier one runs."""
    return NodeCloned(
        f"{data} is a copy of the data directory of node {node_id.hex()}, which runs elsewhere since boot "
        f"{running}; this process, boot {boot}, is the copy and has ended. For a node of its own run "
        "`folkmoot init` in an empty directory; to move the node here stop the other process first, and copy "
        "its directory then"
    )


def superseded(data: str, node_id: bytes, boot: int, accepted: int) -> NodeCloned:
    """The error of a process after which another one was accepted."""
    return NodeCloned(
        f"the cluster has accepted a later process (boot {accepted}) as node {node_id.hex()}; {data}, boot "
        f"{boot}, is the copy that was left behind, and has ended. Keep one of the two directories; for a "
        "node of its own run `folkmoot init` in an empty one"
    )
