"""Has media looked at before they are shown: when an upload ends, when somebody reads one, and in between.

Each node judges what lies on its own disk, by its own lists, and notes the outcome beside it; nobody is
believed. At the node that takes an upload this comes before any replica hears of the medium. Where it comes
later (a list is new, or another node let the medium in) the bytes wait for it: what is unchecked is served
when the configuration says so.

What a sealed list knows is told nobody but experts and operators: an upload is refused without a reason, and
wherever it lies on the disk it is sealed (see `sealing`) and goes to no client and no peer.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Any, Final

import trio
from folkmoot.node.configuration.screening_section import ScreeningSection
from folkmoot.node.environment import MediaHome, PictureJudges
from folkmoot.node.media.keeping import NOWHERE, Keeping
from folkmoot.node.media.sealing import Sealing
from folkmoot.node.media.signals import MediaSignals, unseen_by
from folkmoot.node.moderation.media.bounds import WAITING, WAITING_OF_ONE
from folkmoot.node.moderation.media.judged import Judged, Question
from folkmoot.node.moderation.media.outcome import SEALED, UNCHECKED, Judge, Outcome, decoders, read_judge
from folkmoot.protocol.errors import BUSY, NOT_FOUND, NOT_YET, REFUSED_BY_POLICY, FolkmootError, WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import Manifest
from folkmoot.storage.errors import StorageError
from folkmoot.storage.media.layout import Area, Name

log = logging.getLogger(__name__)

ANSWER_S: Final = bounds.MEDIA_ANSWER_S / 2
REST_S: Final = 0.02  # between two media of which nobody waits for an answer
PAUSE_S: Final = 1.0  # … while many wait: they go first
_TOLD: Final = ("clear", "matched", "explicit", "unknown")


class _Check:
    def __init__(self, name: Name) -> None:
        self.name = name
        self.done = trio.Event()
        self.outcome = UNCHECKED


class Screening:
    """See the module. `run` must be running.

    Args:
        settings: what is looked for, and what is withheld.
        home: where files are read, and what looks at pictures.
        keeping: this node's media.
        sealing: puts aside what a sealed list knows.
        look_minutes: how often all media are gone through for what was not looked at.

    Attributes:
        outcomes: how often what came of it, since the start.
        signals: what rules may ask about media.

    Raises:
        HashListError: a list cannot be used.
    """

    def __init__(
        self,
        settings: ScreeningSection,
        home: MediaHome,
        keeping: Keeping,
        sealing: Sealing,
        look_minutes: float,
    ) -> None:
        self._settings = settings
        self._pictures: PictureJudges | None = home.pictures
        self._run = home.executor.run
        self._keeping = keeping
        self._sealing = sealing
        self._notes = keeping.blobs.notes
        self._look_s = look_minutes * 60
        self._judge: Judge = read_judge(settings)
        self._running: dict[Name, _Check] = {}
        self._begun, self._to_begin = trio.open_memory_channel[_Check](WAITING)
        self._anew = trio.Event()
        self._reread: ScreeningSection | None = None
        self._unusable = ""
        self.outcomes: Counter[str] = Counter()
        self.signals = MediaSignals(self.known, self._run, lambda: dict(unseen_by(self._settings)))
        keeping.sealed = self.is_sealed
        keeping.kept = self.hear

    async def run(self) -> None:
        """Look at what there is until cancelled."""
        async with trio.open_nursery() as nursery:
            if self._pictures is not None:
                nursery.start_soon(self._pictures.run)
            nursery.start_soon(self._go_through_all)
            async for check in self._to_begin:
                nursery.start_soon(self._check, check)

    def reload(self, settings: ScreeningSection) -> None:
        """Withhold other things, and have the lists read again: all of them, or none if one is unusable."""
        self._settings, self._reread = settings, settings
        self._anew.set()

    def status(self, *, for_operator: bool) -> dict[str, Any]:
        """What came of it since the start, sealed lists left out, how much is waiting, whether by the lists
        that are meant, and what can be decoded.

        Args:
            for_operator: whether to tell what is wrong with lists that were not taken: it names files.
        """
        told: dict[str, Any] = {each: self.outcomes[each] for each in _TOLD}
        told |= {"waiting": self.waiting, "outdated": bool(self._unusable), "decoders": decoders()}
        if for_operator:
            told["errors"] = self._unusable.splitlines()
        return told

    @property
    def waiting(self) -> int:
        """How many media wait to be looked at."""
        return len(self._running)

    # What is asked of one medium.

    def known(self, name: Name) -> Outcome:
        """What was noted of a medium, perhaps by an older list; blocks for a moment."""
        if self._sealing.is_sealed(name):
            return SEALED
        try:
            note = self._notes.get(name)
        except OSError as error:
            log.error("a note cannot be read: %s", error)
            return UNCHECKED
        return (None if note is None else Outcome.from_note(note)) or UNCHECKED

    def is_sealed(self, name: Name) -> bool:
        """Whether nobody may have a medium; blocks as `known` does."""
        return self.known(name).status == "sealed"

    async def outcome(self, name: Name) -> Outcome:
        """What is known of a medium that is here, looked at if it was not; `unchecked` while that goes on.

        Raises:
            WireError: `busy`, when too many are waiting.
        """
        known = await self._run(partial(self.known, name))
        if known is not UNCHECKED:
            return known
        check = self._begin(name)
        with trio.move_on_after(ANSWER_S):
            await check.done.wait()
        return check.outcome

    async def admit(self, name: Name) -> Outcome:
        """Look at an upload that is whole, before anybody hears of it.

        Raises:
            WireError: `busy`, while that goes on; `refused_by_policy`, when nobody may have it.
        """
        outcome = await self.outcome(name)
        if outcome.status == "unchecked":
            raise WireError(BUSY, "the medium is still being looked at", retry_after_ms=500)
        if outcome.status == "sealed":  # it is aside by now, but for what found no room there
            await self._run(partial(self._keeping.blobs.drop, Area.CACHE, name))
            raise WireError(REFUSED_BY_POLICY, "this medium is not taken")
        return outcome

    async def show(self, name: Name, *, in_any_case: bool) -> Outcome:
        """What is to be said of a medium that is about to be served.

        Args:
            name: which.
            in_any_case: whether what is withheld is served all the same, as to operators, who decide.

        Raises:
            WireError: `not_yet`, while it is looked at; `refused_by_policy`, when it is withheld, with
                `details.screening`; `not_found`, when it is sealed.
        """
        try:
            outcome = await self.outcome(name)
        except WireError:  # too much is waiting
            outcome = UNCHECKED
        if outcome.status == "sealed":
            raise WireError(NOT_FOUND, NOWHERE)
        if in_any_case or outcome.status not in self._settings.withhold:
            return outcome
        told = {"screening": outcome.to_wire()}
        if outcome.status == "unchecked":
            sentence = "the medium was not looked at yet; show a placeholder, and ask again"
            raise WireError(NOT_YET, sentence, retry_after_ms=1000, details=told)
        raise WireError(
            REFUSED_BY_POLICY, f"the medium is withheld: {_why(outcome)}; show a placeholder", details=told
        )

    # How media are looked at.

    def hear(self, name: Name) -> None:
        """A medium is kept here from now on: look at it soon, or when all are gone through."""
        with suppress(WireError):
            self._begin(name)

    def _begin(self, name: Name) -> _Check:
        check = self._running.get(name)
        if check is None:
            if sum(each.account == name.account for each in self._running) >= WAITING_OF_ONE:
                sentence = "media of this account are being looked at; one after the other"
                raise WireError(BUSY, sentence, retry_after_ms=1000)
            if len(self._running) >= WAITING:
                raise WireError(BUSY, "this node has too many media to look at", retry_after_ms=1000)
            check = self._running[name] = _Check(name)
            self._begun.send_nowait(check)  # as many find room
        return check

    async def _check(self, check: _Check) -> None:
        name = check.name
        try:
            if self._sealing.is_sealed(name):  # it came once more
                check.outcome = SEALED
                await self._sealing.clear(name)
                return
            if not (await self._run(partial(self._is_due, name))):
                check.outcome = await self._run(partial(self.known, name))
                return
            check.outcome = await self._looked_at(name)
        except (WireError, StorageError, OSError) as error:
            log.info("medium %s was not looked at: %s", name.hash.hex(), error)
        finally:
            del self._running[name]
            check.done.set()

    def _is_due(self, name: Name) -> bool:
        known = self.known(name)
        return known.version != self._judge.version or known.status == "sealed"  # and lies in the open

    async def _looked_at(self, name: Name) -> Outcome:
        manifest, judge = await self._keeping.manifest(name), self._judge
        if manifest.mime.startswith("audio/"):
            outcome = judge.nothing_to_see()
        else:
            judged = Judged(unjudged="no_decoder")
            if self._pictures is not None:
                question = Question(manifest.mime, manifest.size)
                read = partial(self._keeping.read, name)
                judged = await self._pictures.judge(question, len(manifest.chunks), read)
            outcome = await self._run(partial(judge.outcome, judged))
        if outcome.status == "sealed":
            await self._seal(name, outcome, manifest)
        else:
            await self._run(partial(self._notes.put, name, outcome.to_note()))
        self.signals.note(name, outcome)
        self._count(name, outcome)
        return outcome

    async def _seal(self, name: Name, outcome: Outcome, manifest: Manifest) -> None:
        """Put a medium aside; while the disk cannot be written, it is served to nobody where it lies."""
        try:
            await self._sealing.seal(name, outcome, manifest)
        except (WireError, StorageError) as error:
            log.error("medium %s is not sealed, and tried again: %s", name.hash.hex(), error)
            await self._run(partial(self._notes.put, name, outcome.to_note()))

    def _count(self, name: Name, outcome: Outcome) -> None:
        self.outcomes[outcome.status] += 1
        told = (name.hash.hex(), outcome.list, outcome.distance, outcome.hash.hex())
        if outcome.status == "sealed":
            log.error(
                "medium %s is in the sealed list %s, %d bits from %s: it is shown to nobody, and "
                "experts hand it over (folkmoot media sealed ls)",
                *told,
            )
        elif outcome.status == "matched":
            log.warning("medium %s is in the list %s, %d bits from %s", *told)

    async def _go_through_all(self) -> None:
        """Look at whatever was not looked at, or by what is not in force any more."""
        while True:
            self._anew = trio.Event()  # first: what is asked for from here on is not missed
            if self._reread is not None:
                await self._read_lists()
            try:
                for account in await self._run(partial(self._keeping.blobs.accounts, Area.KEPT)):
                    for name in await self._run(partial(self._due, account)):
                        await self._wait_for(name)
            except (WireError, StorageError, OSError) as error:
                log.warning("media are not gone through: %s", error)
            with trio.move_on_after(self._look_s):
                await self._anew.wait()

    def _due(self, account: bytes) -> list[Name]:
        listed = self._keeping.blobs.listed(Area.KEPT, account)
        return [name for each in listed if self._is_due(name := Name(account, each.hash))]

    async def _wait_for(self, name: Name) -> None:
        await trio.sleep(PAUSE_S if len(self._running) > WAITING // 2 else REST_S)
        with suppress(WireError):  # it is due the next time as well
            await self._begin(name).done.wait()

    async def _read_lists(self) -> None:
        assert self._reread is not None
        settings, self._reread = self._reread, None
        try:
            self._judge = await self._run(partial(read_judge, settings))
            self._unusable = ""
        except FolkmootError as error:
            self._unusable = str(error)
            log.error("the lists stay as they were, the new ones are unusable:\n%s", error)


def _why(outcome: Outcome) -> str:
    match outcome.status:
        case "matched":
            return f"the list {outcome.list} knows it"
        case "explicit":
            return "it may not be for everybody"
        case _:
            return f"what it shows cannot be judged ({outcome.reason})"
