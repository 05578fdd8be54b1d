"""What rules may ask about the media that a record shows: what this node's own looking at them has found.

Nobody else's word is taken, so what another node has let in is unknown here, and so is what nobody has looked
at. Outcomes are read from small files, away from the event loop, and remembered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from cachetools import LRUCache
from folkmoot.node.configuration.screening_section import ScreeningSection
from folkmoot.node.moderation.lookups import NOTHING, LookedUp
from folkmoot.node.moderation.media.outcome import UNCHECKED, Outcome
from folkmoot.protocol.expressions import Value
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.references import Reference, references
from folkmoot.protocol.record import Record
from folkmoot.storage.media.layout import Name

Run = Callable[[Callable[[], Any]], Awaitable[Any]]

_NEITHER: Final = frozenset({"unchecked", "unknown"})


class Unseen:
    """The lookup of a node that does not look at media: their signals are all unknown.

    Args:
        settings: say so.
    """

    def __init__(self, settings: ScreeningSection) -> None:
        self.unavailable: Mapping[str, str] = dict(unseen_by(settings))

    async def of(self, records: Sequence[Record]) -> LookedUp:
        """Nothing is known."""
        return NOTHING


class MediaSignals:
    """A lookup (see `moderation.lookups`) of the family `media`.

    Args:
        known: what was noted of a medium; blocks for a moment.
        run: has something done that blocks.
        unavailable: see `unseen_by`.
    """

    def __init__(
        self, known: Callable[[Name], Outcome], run: Run, unavailable: Callable[[], Mapping[str, str]]
    ) -> None:
        self._known = known
        self._run = run
        self._unavailable = unavailable
        self._remembered: LRUCache[Name, Outcome] = LRUCache(bounds.MEDIA_REMEMBERED)

    @property
    def unavailable(self) -> Mapping[str, str]:
        """Which signals this node cannot know, and why."""
        return self._unavailable()

    async def of(self, records: Sequence[Record]) -> LookedUp:
        """The signals of those records that show media."""
        shown = {record: found for record in records if (found := references(record))}
        if not shown:
            return NOTHING
        named = {Name(record.author, each.hash) for record, some in shown.items() for each in some}
        outcomes = {name: self._remembered[name] for name in named if name in self._remembered}
        if unread := named - outcomes.keys():
            outcomes |= await self._run(partial(self._read, sorted(unread)))
            for name in unread:  # what was looked at meanwhile is noted already
                if outcomes[name] is not UNCHECKED:
                    self._remembered.setdefault(name, outcomes[name])
        return {
            record.id: signals_of((each, outcomes[Name(record.author, each.hash)]) for each in some)
            for record, some in shown.items()
        }

    def note(self, name: Name, outcome: Outcome) -> None:
        """A medium was looked at, perhaps once more."""
        self._remembered[name] = outcome

    def _read(self, names: Iterable[Name]) -> dict[Name, Outcome]:
        return {name: self._known(name) for name in names}


def signals_of(seen: Iterable[tuple[Reference, Outcome]]) -> dict[str, Value]:
    """The signals of one record, those left out that are unknown.

    Args:
        seen: what it shows, and what is known of each; that sound is to be seen nowhere is known of itself.
    """
    outcomes = [outcome for each, outcome in seen if not (each.mime or "").startswith("audio/")]
    matched = [each for each in outcomes if each.status in ("matched", "sealed")]
    signals: dict[str, Value] = {}
    if not any(each.status in _NEITHER for each in outcomes):
        told = [each for each in matched if each.status == "matched"]
        signals = {
            "media.pdq_match": bool(matched),
            "media.lists": sorted({each.list for each in told}),
            "media.categories": sorted({each.category for each in told if each.category}),
        }
    elif matched:
        signals = {"media.pdq_match": True}
    scores = [each.nsfw for each in outcomes if each.nsfw is not None]
    if len(scores) == len(outcomes):
        signals["media.nsfw"] = max(scores, default=0.0)
    return signals


def unseen_by(settings: ScreeningSection) -> Iterator[tuple[str, str]]:
    """The signals that say nothing of any picture at a node with these settings, each with why."""
    off = "" if settings.enabled else "screening.enabled is off"
    for signal in ("media.pdq_match", "media.lists", "media.categories"):
        if off or not settings.lists:
            yield signal, off or "there is no list in screening.lists"
    if off or not settings.nsfw:
        yield "media.nsfw", off or "screening.nsfw is off"
