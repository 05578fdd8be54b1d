"""Seals what a sealed list knows, says what is sealed here, and erases what was kept for long enough.

A medium is sealed on the node that found it, and stays on that node alone: who finds the same bytes elsewhere
seals them there. From then on nobody may have it but experts, by `sealed_methods`; that its post is deleted,
its account purged or its range moved away changes nothing, for it is evidence. A node whose lists were taken
away, or that looks at no media any more, keeps sealed what is.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import trio
from folkmoot.node.configuration.screening_section import ScreeningSection
from folkmoot.node.environment import Executor, WallClock
from folkmoot.node.moderation.media.outcome import Outcome
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.custody import Custody, Entry, Found, State, is_due
from folkmoot.protocol.media.manifest import Manifest
from folkmoot.storage.errors import StorageError
from folkmoot.storage.media.layout import Name
from folkmoot.storage.media.sealed import Sealed, SealedMedia

log = logging.getLogger(__name__)

STATES: Final[tuple[State, ...]] = ("sealed", "handed_over", "erased", "lost")
NO_EXPERT: Final = (
    "nobody has the role expert, so nobody can open or hand over what is sealed: "
    "folkmoot role grant ACCOUNT expert"
)


class Sealing:
    """See the module. `run` must be running.

    Args:
        media: what is sealed on this node's disk.
        executor: where files are read and written.
        wall: dates what is done.
        settings: for how long what is sealed is kept, and whether anything can be.
        experts: how many accounts have the role, as far as this node knows.

    Attributes:
        refused: how many uploads were erased since the start because there was no room to seal them.
    """

    def __init__(
        self,
        media: SealedMedia,
        executor: Executor,
        wall: WallClock,
        settings: ScreeningSection,
        experts: Callable[[], int],
    ) -> None:
        self.media = media
        self.wall = wall
        self.run_blocking = executor.run
        self._settings = settings
        self._experts = experts
        self._due_since: dict[Name, float] = {}
        self.refused = 0

    async def run(self) -> None:
        """Erase what is due, now and then, until cancelled."""
        if waiting := self.waiting:
            log.warning("%d sealed media wait to be handed over: folkmoot media sealed ls", waiting)
        while True:
            await self.sweep()
            await trio.sleep(bounds.SEALED_SWEEP_S)

    def reload(self, settings: ScreeningSection) -> None:
        """Keep what is sealed for another time."""
        self._settings = settings

    def is_sealed(self, name: Name) -> bool:
        """Whether a medium is sealed here, or was and is erased. In memory."""
        return name in self.media

    @property
    def waiting(self) -> int:
        """How many sealed media were not handed over yet."""
        return self.counts()["sealed"]

    def counts(self) -> Counter[State]:
        """How many media are in which state."""
        return Counter(each.state for each in self.media.known().values())

    @property
    def experts(self) -> int:
        """How many accounts could open and hand over what is sealed, as far as this node knows."""
        return self._experts()

    def status(self) -> dict[str, Any]:
        """For operators: how much is sealed, and whether anybody can deal with it."""
        counts = self.counts()
        told: dict[str, Any] = {state: counts[state] for state in STATES}
        told |= {"bytes": self.media.used_bytes, "cap_bytes": int(self.media.cap_bytes)}
        lists = sum(each.sealed for each in self._settings.lists) if self._settings.enabled else 0
        return {**told, "refused": self.refused, "experts": self.experts, "lists": lists}

    async def seal(self, name: Name, outcome: Outcome, manifest: Manifest) -> None:
        """Seal a medium that lies here; an upload for which there is no room is erased.

        Raises:
            StorageError: the disk cannot be written; then it lies where it lay.
        """
        found = Found(
            outcome.list, outcome.category, outcome.hash, outcome.distance, manifest.size, manifest.mime
        )
        entry = Entry("sealed", self.wall.now_us(), found=found)
        if not await self.run_blocking(partial(self.media.seal, name, entry)):
            self.refused += 1
            log.error(
                "medium %s is erased and not sealed: what is sealed takes all of screening.sealed_cap",
                name.hash.hex(),
            )
        elif not self.experts:
            log.error("%s", NO_EXPERT)

    async def clear(self, name: Name) -> None:
        """Have what is sealed lie aside alone, whatever came here since."""
        await self.run_blocking(partial(self.media.clear, name))

    async def note(self, name: Name, entry: Entry) -> Sealed:
        """Have something done with a sealed medium once it is written down. See `SealedMedia.note`."""
        return await self.run_blocking(partial(self.media.note, name, entry))

    async def custody(self, name: Name) -> Custody:
        """The record of a sealed medium. See `SealedMedia.custody`."""
        return await self.run_blocking(partial(self.media.custody, name))

    async def manifest(self, name: Name) -> Manifest:
        """What a sealed medium is made of. See `SealedMedia.manifest`."""
        return await self.run_blocking(partial(self.media.manifest, name))

    async def read(self, name: Name, index: int) -> bytes:
        """One chunk of a sealed medium. See `SealedMedia.read`."""
        return await self.run_blocking(partial(self.media.read, name, index))

    async def sweep(self) -> None:
        """Erase what has been due for a while by this node's own time: wrong clocks are set right."""
        due = {name for name, each in self.media.known().items() if self._is_due(each)}
        now = trio.current_time()
        self._due_since = {name: self._due_since.get(name, now) for name in sorted(due)}
        for name, since in list(self._due_since.items()):
            if now - since >= bounds.SEALED_DUE_S:
                await self._erase(name)

    def _is_due(self, sealed: Sealed) -> bool:
        if sealed.state == "erased":
            return False
        return is_due(sealed.kept_since_us, self._settings.sealed_kept_days, self.wall.now_us())

    async def _erase(self, name: Name) -> None:
        """Erase what is due, unless somebody has done something with it this very moment."""
        reason = f"kept for {self._settings.sealed_kept_days:g} days (screening.sealed_kept_days)"
        entry, seen = Entry("erased", self.wall.now_us(), reason=reason), self.media.known()[name]
        if not self._is_due(seen):
            return
        try:
            await self.run_blocking(partial(self.media.note, name, entry, seen))
        except (WireError, StorageError) as error:
            log.warning("sealed medium %s is not erased yet: %s", name.hash.hex(), error)
            return
        if seen.state == "handed_over":
            log.info("sealed medium %s is erased: it was kept for long enough", name.hash.hex())
        else:
            log.error("sealed medium %s is erased, and was never handed over", name.hash.hex())
