"""What people decide about media: what was withheld is shown after all, or what is shown is withheld.

A decision about a medium lies with its account, like the medium, and every node that is about to serve it
asks for it. What was found is believed for some seconds, so that reading a file in chunks asks once; so is it
that nobody can be asked, and what came of looking at the medium then stands alone. What a sealed list knows
is shown to nobody, whatever anybody decides, and only those who have to deal with it are told why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Literal

import trio
from cachetools import TTLCache
from folkmoot.node.actors.session import Asker
from folkmoot.node.moderation.casebook import Casebook, passed_over
from folkmoot.protocol import messages
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    CONFLICT,
    FORBIDDEN,
    LEVEL_UNREACHABLE,
    NOT_FOUND,
    WireError,
)
from folkmoot.protocol.media.manifest import HASH_BYTES
from folkmoot.protocol.moderation.bounds import DECISIONS_OF_ONE, MEDIA_DECIDED, MEDIA_DECIDED_S
from folkmoot.protocol.moderation.decision import MEDIA, Action, Decision, Role
from folkmoot.protocol.moderation.outcome import Visibility, outcome_of
from folkmoot.protocol.ring.levels import parse_level

Known = Literal["here", "sealed", "nowhere"]

Look = Callable[[bytes, bytes], Awaitable[Known]]
"""Whether there is a medium, by its account (34 bytes) and hash."""

_NOWHERE: Final = "no node that can be reached has this medium"


class MediaCases:
    """See the module.

    Args:
        casebook: finds decisions.
        look: see there.
        appeal: whom an author may ask for another look.
    """

    def __init__(self, casebook: Casebook, look: Look, appeal: Callable[[], str]) -> None:
        self._casebook = casebook
        self._look = look
        self._appeal = appeal
        self._known: TTLCache[tuple[bytes, bytes], Action | None] = TTLCache(
            MEDIA_DECIDED, MEDIA_DECIDED_S, timer=trio.current_time
        )

    async def decided(self, account: bytes, digest: bytes) -> Action | None:
        """What was decided about a medium, as far as any replica can tell; None when nothing was.

        Args:
            account: whose it is (34 bytes).
            digest: its hash.
        """
        named = account, digest
        with suppress(KeyError):  # one look: between two of them it could run out
            return self._known[named]
        try:
            outcome = await self._casebook.about_medium(account, digest, "one")
        except WireError as error:
            if error.kind is not LEVEL_UNREACHABLE:
                raise
            found = None
        else:
            found = outcome.versions.get(digest)
        self._known[named] = action = None if found is None else found.action
        return action

    async def show(self, asker: Asker, asked: messages.ModerationShow) -> dict[str, Any]:
        """What was decided about a medium: `moderation.show`."""
        if len(asked.item) != HASH_BYTES:
            raise WireError(BAD_REQUEST, f"the item of a medium is its hash of {HASH_BYTES} bytes")
        level = parse_level(asked.level)
        known = await self._look(asked.author, asked.item)
        if known == "sealed" and not {"expert", "operator"} & set(asker.roles):
            known = "nowhere"
        entries = await self._casebook.entries_about_medium(asked.author, asked.item, level)
        lapses = self._casebook.lapses()
        outcome = outcome_of(lapses.counted(each.decision for each in entries))
        is_here = known != "nowhere"
        visibility = Visibility.REMOVED if known == "sealed" else outcome.visibility(asked.item)
        return {
            "key": [asked.author, MEDIA, asked.item],
            "decisions": [each.record.to_wire() for each in entries],
            "labels": [],
            "shown": asked.item if is_here else None,
            "visibility": visibility.word if is_here else None,
            "disputed": bool(outcome.disputed),
            "settled": [each.mark for each in outcome.settled()],
            "passed_over": passed_over(entries, lapses),
            "appeal": self._appeal(),
            "notices": [],
        }

    async def check(self, account: bytes, decision: Decision, check_new: Callable[[Decision], None]) -> None:
        """Refuse a decision about a medium that there is not, or that does not know what others decided.

        Args:
            account: whose it is (34 bytes).
            decision: about to be kept.
            check_new: refuses what this node cannot answer for.

        Raises:
            WireError: `not_found`, `forbidden` or `conflict`.
        """
        known = await self._look(account, decision.version)
        if known == "sealed" and decision.role >= Role.EXPERT:
            raise WireError(FORBIDDEN, "a sealed list knows this medium: nobody is shown it, come what may")
        if known != "here":
            raise WireError(NOT_FOUND, _NOWHERE)
        entries = await self._casebook.entries_about_medium(account, decision.version, "quorum")
        known_already = [each.decision for each in entries]
        if decision.item not in {each.item for each in known_already}:
            check_new(decision)
            check_seen(decision, list(self._casebook.lapses().counted(known_already)))

    def forget(self, account: bytes, decision: Decision) -> None:
        """Something was decided here: it is looked up again."""
        self._known.pop((account, decision.version), None)


def check_seen(decision: Decision, before: Sequence[Decision]) -> None:
    """Refuse a decision that does not know what was decided about the same before, and stands.

    Args:
        decision: about to be kept.
        before: all that are known about its subject.

    Raises:
        WireError: `forbidden`, when one that it does not name has the greater role; else `conflict`.
    """
    own = [each for each in before if each.decider == decision.decider]
    if any(each.number > decision.number and each.thing == decision.thing for each in own):
        raise WireError(CONFLICT, "this account has decided about it since: its newest decision stands")
    if len(own) >= DECISIONS_OF_ONE:
        sentence = f"this account has decided {len(own)} times about it; now somebody else has to"
        raise WireError(CONFLICT, sentence)
    others = [
        each
        for each in outcome_of(before).in_force
        if not each.is_automatic
        and each.thing == decision.thing
        and each.mark not in decision.reverses
        and each.decider != decision.decider
    ]
    if any(each.role > decision.role for each in others):
        raise WireError(FORBIDDEN, "somebody of a greater role has decided about it")
    if others:
        raise WireError(
            CONFLICT,
            "others have decided about it meanwhile: look again, and name in reverses what you reverse",
            details={"marks": [each.mark for each in others]},
        )
