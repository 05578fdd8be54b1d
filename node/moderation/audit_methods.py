"""What those who may decide ask of audits; see `auditing`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.moderation.auditing import Auditor, Question
from folkmoot.node.moderation.deciders import Deciders
from folkmoot.protocol import codec, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.feed import cursor as cursors
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.moderation.fairness.counting import By


class AuditMethods:
    """See the module.

    Args:
        deciders: who may ask.
        auditor: counts.
    """

    def __init__(self, deciders: Deciders, auditor: Auditor) -> None:
        self._deciders = deciders
        self._auditor = auditor

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {"moderation.audit": self.audit}

    async def audit(self, asker: Asker, params: Params) -> dict[str, Any]:
        """A page of numbers by group and rule; they are to be added up with those of the other pages."""
        asked = codec.shaped(params, messages.ModerationAudit, "moderation.audit")
        self._deciders.reviewers_only(asker, "audits")
        question = Question(asked.since, By(asked.by), asked.dialects)
        if question.by is By.DIALECT:
            await self._auditor.check(asked.dialects)
        bound = hashlib.sha256(
            asked.since.to_bytes(8, "big") + asked.by.encode() + b"\0" + asked.dialects
        ).digest()
        start = b"" if asked.cursor is None else cursors.decode(CursorKind.AUDIT, bound, asked.cursor)
        page = await self._auditor.page(start, question)
        cursor = None if page.resume is None else cursors.encode(CursorKind.AUDIT, bound, page.resume)
        return {"numbers": page.tally.to_wire(), "cursor": cursor, "missing": page.missing}
