"""What the gate knew of posts when it judged them, told to whoever follows once the posts are stored.

Only what changed something is told: anybody may send old posts again, and refused ones without end, and
neither must push out what others keep of new ones. Nothing waits for it, and what there is no room for is not
told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from folkmoot.protocol import limits
from folkmoot.protocol.expressions import Value
from folkmoot.protocol.moderation.flood import NO_FLOOD
from folkmoot.protocol.record import Record

SAME_TEXT: Final = "flood.same_text"


class Note(NamedTuple):
    """A post that was judged.

    Args:
        record: the version.
        judged_us: when, microseconds since 1970.
        signals: what was known of it beyond its text, by name.
        scores: what models said of its text, by their hashes: it can be worked out again, and takes longest.
    """

    record: Record
    judged_us: int
    signals: Mapping[str, Value]
    scores: Mapping[str, list[float]]


class Noting:
    """See the module."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, Note] = {}
        self._followers: list[tuple[Callable[[Note], None], Callable[[], bool]]] = []

    def follow(self, follower: Callable[[Note], None], wants: Callable[[], bool] = lambda: True) -> None:
        """Have somebody told of each post.

        Args:
            follower: told; it must be quick, and not wait.
            wants: whether it is to be told as things are.
        """
        self._followers.append((follower, wants))

    @property
    def wanted(self) -> bool:
        """Whether anybody is told."""
        return any(wants() for _, wants in self._followers)

    def look(
        self,
        record: Record,
        judged_us: int,
        flood: Mapping[str, Value],
        compared: bool,
        known: Mapping[str, Value],
        scores: Mapping[str, list[float]],
    ) -> None:
        """Remember a post that was judged until it is settled.

        Args:
            record, judged_us: see `Note`.
            flood: what was counted of it.
            compared: whether its text was among that.
            known: what else was known of it.
            scores: see `Note`.
        """
        if len(self._under_way) < limits.RECORDS_IN_INTAKE:
            signals = {name: flood[name] for name in NO_FLOOD if compared or name != SAME_TEXT}
            self._under_way[record.id] = Note(record, judged_us, {**known, **signals}, scores)

    def settle(self, record: bytes, *, changed: bool) -> None:
        """Tell of a post, by its id, if it changed something; of one that was not looked at, nothing."""
        note = self._under_way.pop(record, None)
        if note is not None and changed:
            for follower, wants in self._followers:
                if wants():
                    follower(note)
